// Export: the format, what is left out and lost first, then to a folder or as a zip archive; the command that does it.

import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { RequestError, getJson, postJson } from "./api.js";
import { tell, tellError } from "./notices.js";
import { countUnsaved, whenAllSaved } from "./unsaved.js";
import { useEvents } from "./hooks.js";
import { formatNumber, say, sayCount } from "./words.js";

const FIRST = { classification: "folders", detection: "yolo" };

/** The page of the export. */
export function ExportPage({ project, queue, acts }) {
  useEvents(queue, "status");
  useEvents(acts, "status");
  const unsaved = { queue, acts };
  const { formats, task, folder } = project.about;
  const [format, setFormat] = useState(FIRST[task] ?? "coco");
  const [withPhotos, setWithPhotos] = useState(true);
  const [preview, setPreview] = useState(null);
  const language = document.documentElement.lang;
  const { counts } = project.about;
  const isEmpty = counts.draft + counts.done === 0 && countUnsaved(unsaved) === 0;
  const isSaved = countUnsaved(unsaved) === 0;
  const { connection, about: { seq } } = project;
  useEffect(() => readPreview({ format, withPhotos, language, unsaved, setPreview }), [format, withPhotos, language, seq, isSaved, connection]);
  return html`<main class="export">
    <h1>${say("page.export")}</h1>
    <div class="choice">
      <label class="field">${say("export.format")}
        <select value=${format} onChange=${(event) => setFormat(event.target.value)}>
          ${formats.map((name) => html`<option key=${name} value=${name} selected=${name === format}>${say(`format.${name}`)}</option>`)}
        </select>
      </label>
      <label class="check"><input type="checkbox" checked=${withPhotos} disabled=${preview && preview.can_refer === false && withPhotos}
        onChange=${(event) => setWithPhotos(event.target.checked)} /> ${say("export.with_photos")}</label>
      ${preview?.can_refer === false && html`<p class="quiet">${say("export.needs_photos")}</p>`}
    </div>
    ${!preview && html`<p class="quiet" role="status">${say("loading")}</p>`}
    ${preview?.problem && html`<p class="error" role="alert">${isEmpty && !preview.isUnread ? say("export.nothing_yet") : preview.problem}</p>`}
    ${preview && !preview.problem && html`
      <${Losses} preview=${preview} refusedCount=${queue.conflicts.length} />
      <${Targets} key=${`${format} ${preview.folder}`} format=${format} withPhotos=${withPhotos} preview=${preview} unsaved=${unsaved} />
      ${preview.command && html`<${Command} text=${preview.command} />`}
      <${ClassIds} classes=${preview.classes} />`}
    <p class="quiet">${say("export.project", { folder })}</p>
  </main>`;
}

/**
 * Read what an export would hold, once all is saved; nothing is shown or exported without what still waits.
 * What is shown of the same choice stays until the answer comes, and where none comes.
 */
function readPreview({ format, withPhotos, language, unsaved, setPreview }) {
  let isOld = false;
  const choice = `${format} ${withPhotos} ${language}`;
  setPreview((shown) => (shown?.choice === choice && countUnsaved(unsaved) === 0 ? shown : null));
  const read = async () => {
    if (await whenAllSaved(unsaved)) return getJson(`api/export?format=${format}&photos=${withPhotos}`);
    return { problem: sayCount("export.unsaved", countUnsaved(unsaved)) };
  };
  read().then(
    (answer) => !isOld && setPreview({ ...answer, choice }),
    (error) => {
      if (!(error instanceof RequestError)) throw error;
      const isUnread = error.status === 0;
      if (!isOld) setPreview((shown) => shown ?? { problem: error.message || say("error.unreachable"), isUnread });
    },
  );
  return () => {
    isOld = true;
  };
}

/** What an export holds, and first of all what it does not. */
function Losses({ preview, refusedCount }) {
  const isWhole = !preview.left_out_count && !preview.losses.length && !refusedCount;
  return html`<section aria-labelledby="losses" class=${`losses ${isWhole ? "none" : ""}`}>
    <h2 id="losses">${say(isWhole ? "export.nothing_lost" : "export.lost")}</h2>
    ${refusedCount > 0 && html`<p>${sayCount("export.refused", refusedCount)}</p>`}
    ${preview.losses.length > 0 && html`<ul>${preview.losses.map((line) => html`<li key=${line}>${line}</li>`)}</ul>`}
    ${preview.left_out_count > 0 && html`<details>
      <summary>${sayCount("export.left_out", preview.left_out_count)}</summary>
      <ul class="long">${preview.left_out.map((line) => html`<li key=${line}>${line}</li>`)}</ul>
      ${preview.left_out_count > preview.left_out.length && html`<p>${say("add.more", { count: preview.left_out_count - preview.left_out.length })}</p>`}
    </details>`}
    <p><strong>${sayCount("export.holds", preview.photos)}</strong>${preview.objects > 0 && ` · ${sayCount("classes.shapes", preview.objects)}`}</p>
  </section>`;
}

function Targets({ format, withPhotos, preview, unsaved }) {
  const [folder, setFolder] = useState(preview.folder);
  const [isBusy, setBusy] = useState(false);
  const [result, setResult] = useState(null);
  const options = { format, with_photos: withPhotos, lossy: preview.losses.length > 0 };
  const run = async (act) => {
    setBusy(true);
    setResult(null);
    try {
      if (await whenAllSaved(unsaved)) await act();
      else tell(sayCount("export.unsaved", countUnsaved(unsaved)), { kind: "error" });
    } catch (error) {
      tellError(error);
    }
    setBusy(false);
  };
  const toFolder = (event) => {
    event.preventDefault();
    run(async () => setResult(await postJson("api/export", { folder, ...options })));
  };
  const toZip = () =>
    run(async () => {
      const { address } = await postJson("api/export/zip", options);
      const link = document.createElement("a");
      link.href = address;
      link.click();
      tell(say("export.zip_ready"));
    });
  return html`<form class="targets" onSubmit=${toFolder}>
    <label class="field">${say("export.folder")}<input class="path" required value=${folder} onInput=${(event) => setFolder(event.target.value)} /></label>
    <div class="buttons">
      <button class="main" disabled=${isBusy}>${say("export.to_folder")}</button>
      <button type="button" disabled=${isBusy} onClick=${toZip}>${say("export.to_zip")}</button>
    </div>
    <div role="status">
      ${isBusy && html`<p>${say("export.working")}</p>`}
      ${result && html`<p class="good">${sayCount("export.done", result.photos, { folder: result.folder })}</p>`}
    </div>
  </form>`;
}

function Command({ text }) {
  const code = useRef(null);
  const copy = async () => tell(say((await copyText(text, code.current)) ? "export.copied" : "export.not_copied"));
  return html`<section aria-labelledby="command">
    <h2 id="command">${say("export.command")}</h2>
    <div class="command"><code ref=${code}>${text}</code><button type="button" class="small" onClick=${copy}>${say("export.copy")}</button></div>
  </section>`;
}

/** Copy `text`, which `element` shows; return whether it was. Over http from another machine, browsers know only the second way. */
async function copyText(text, element) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  getSelection()?.selectAllChildren(element);
  return document.execCommand("copy");
}

function ClassIds({ classes }) {
  if (!classes.length) return null;
  const hasIds = classes.some((one) => one.id !== null);
  return html`<section aria-labelledby="class-ids">
    <h2 id="class-ids">${say("export.classes")}</h2>
    <p class="quiet">${say(hasIds ? "export.ids_help" : "export.names_help")}</p>
    <table>
      <thead><tr>${hasIds && html`<th scope="col" class="number">${say("export.id")}</th>`}<th scope="col">${say("classes.name")}</th><th scope="col" class="number">${say("export.count")}</th></tr></thead>
      <tbody>${classes.map((one) => html`<tr key=${one.name}>${hasIds && html`<td class="number">${one.id}</td>`}<td>${one.name}</td><td class="number">${formatNumber(one.count)}</td></tr>`)}</tbody>
    </table>
  </section>`;
}
