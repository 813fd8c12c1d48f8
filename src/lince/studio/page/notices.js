// Short messages at the foot of the page, read aloud by screen readers; errors stay until they are closed.

import { html, useEffect, useState } from "./vendor/preact.js";
import { RequestError } from "./api.js";
import { say } from "./words.js";

const SHOWN_MS = 6000;
let notices = [];
let number = 0;
const listeners = new Set();

const show = (next) => {
  notices = next;
  for (const listener of listeners) listener(notices);
};

const drop = (id) => show(notices.filter((one) => one.id !== id));

/** Show a message; `action` is an optional button: { label, run }. */
export function tell(text, { kind = "info", action = null } = {}) {
  const id = (number += 1);
  show([...notices.slice(-3), { id, text, kind, action }]);
  if (kind === "info") setTimeout(() => drop(id), SHOWN_MS);
}

/** Show what a request failed with, in the server's own words where it has some. */
export function tellError(error) {
  if (!(error instanceof RequestError)) throw error;
  tell(error.status === 0 ? say("error.unreachable") : error.message || say("error.failed"), { kind: "error" });
}

/** The messages that are shown now. */
export function Notices() {
  const [shown, setShown] = useState(notices);
  useEffect(() => {
    listeners.add(setShown);
    return () => listeners.delete(setShown);
  }, []);
  const run = (one) => {
    drop(one.id);
    one.action.run();
  };
  return html`<div class="notices" role="status" aria-live="polite">
    ${shown.map(
      (one) => html`<div key=${one.id} class=${`notice ${one.kind}`}>
        <p>${one.text}</p>
        ${one.action && html`<button type="button" onClick=${() => run(one)}>${one.action.label}</button>`}
        <button class="icon" type="button" aria-label=${say("close")} onClick=${() => drop(one.id)}>✕</button>
      </div>`,
    )}
  </div>`;
}
