// The help: the keys of the page, and where to read more.

import { html, useEffect, useState } from "./vendor/preact.js";
import { Dialog } from "./dialog.js";
import { GALLERY_KEYS } from "./gallery_keys.js";
import { say } from "./words.js";

const WORDED = ["Ctrl", "Delete", "Enter", "Escape", "Shift", "Space"]; // keys that are called otherwise in other languages

/** The help of a page; that of photos is the annotator's own table of keys. */
export function HelpDialog({ page, onClose }) {
  const [KeyHelp, setKeyHelp] = useState(null);
  useEffect(() => {
    if (page === "photo") import("./keys.js").then((keys) => setKeyHelp(() => keys.KeyHelp), () => {});
  }, [page]);
  return html`<${Dialog} title=${say("help.title")} onClose=${onClose} wide>
    ${KeyHelp && html`<${KeyHelp} />`}
    ${page !== "photo" && html`<table class="keys">
      <caption class="visually-hidden">${say("help.keys")}</caption>
      <thead class="visually-hidden"><tr><th scope="col">${say("help.key")}</th><th scope="col">${say("help.does")}</th></tr></thead>
      <tbody>
        ${GALLERY_KEYS.map(([keys, name]) => html`<tr key=${name}><td>${keys.map((key) => html`<kbd key=${key}>${WORDED.includes(key) ? say(`keys.name.${key}`) : key}</kbd> `)}</td><td>${say(name)}</td></tr>`)}
      </tbody>
    </table>`}
    <p>${say("help.saved")}</p>
  <//>`;
}
