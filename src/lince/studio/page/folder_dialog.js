// Chooses a folder on the machine of the studio: by its path, or step by step below the home folder.

import { html, useEffect, useState } from "./vendor/preact.js";
import { RequestError, getJson } from "./api.js";
import { Dialog } from "./dialog.js";
import { say, sayCount } from "./words.js";

/** A dialog that gives `onChoose` the path of a folder, and, where there are `formats`, one of them or `null`. */
export function FolderDialog({ title, help, action, formats = null, onChoose, onClose }) {
  const [format, setFormat] = useState("");
  const [path, setPath] = useState("");
  const [listed, setListed] = useState(null);
  const [message, setMessage] = useState("");
  const open = async (folder) => {
    try {
      const answer = await getJson(`api/folders?path=${encodeURIComponent(folder)}`);
      setListed(answer);
      setPath((typed) => (folder ? answer.path : typed || answer.path)); // the first list may come after a path was typed
      setMessage("");
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      setMessage(error.message || say("error.unreachable"));
    }
  };
  useEffect(() => {
    open("");
  }, []);
  const submit = (event) => {
    event.preventDefault();
    if (path.trim()) onChoose(path.trim(), format || null);
  };
  return html`<${Dialog} title=${title} onClose=${onClose} wide>
    <form onSubmit=${submit}>
      <p>${help}</p>
      <label class="field">${say("folder.path")}<input class="path" value=${path} required onInput=${(event) => setPath(event.target.value)} /></label>
      ${message && html`<p class="error" role="alert">${message}</p>`}
      ${listed && html`<div class="folders" role="group" aria-label=${say("folder.list", { path: listed.path })}>
        ${listed.parent && html`<button type="button" class="up" onClick=${() => open(listed.parent)}>↑ ${say("folder.up")}</button>`}
        ${listed.folders.map((one) => html`<button key=${one.path} type="button" onClick=${() => open(one.path)}>${one.name}</button>`)}
        ${!listed.folders.length && html`<p class="quiet">${say("folder.none")}</p>`}
      </div>
      <p class="quiet" role="status">${sayCount("folder.photos", listed.photos)}</p>`}
      ${formats && html`<label class="field">${say("folder.format")}
        <select value=${format} onChange=${(event) => setFormat(event.target.value)}>
          <option value="">${say("folder.format_any")}</option>
          ${formats.map((name) => html`<option key=${name} value=${name}>${say(`format.${name}`)}</option>`)}
        </select></label>`}
      <div class="buttons">
        <button type="button" onClick=${onClose}>${say("cancel")}</button>
        <button class="main">${action}</button>
      </div>
    </form>
  <//>`;
}
