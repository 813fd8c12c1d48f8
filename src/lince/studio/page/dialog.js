// Dialogs: the browser's own, which keep the focus inside and close with Escape.

import { html, useEffect, useRef } from "./vendor/preact.js";
import { say } from "./words.js";

/**
 * A dialog that is open as long as it is shown. `onClose` is called when the person closes it; what had the focus gets
 * it back.
 */
export function Dialog({ title, onClose, children, wide = false }) {
  const dialog = useRef(null);
  useEffect(() => {
    const opener = /** @type {HTMLElement} */ (document.activeElement);
    const element = dialog.current;
    element.showModal();
    return () => {
      element.close(); // as long as it is open, nothing else can have the focus
      if (opener?.isConnected) opener.focus();
    };
  }, []);
  const onClick = (event) => event.target === dialog.current && onClose();
  return html`<dialog ref=${dialog} class=${wide ? "wide" : ""} aria-labelledby="dialog-title" onClose=${(event) => event.target.isConnected && onClose()} onClick=${onClick}>
    <div class="dialog-body">
      <header>
        <h2 id="dialog-title">${title}</h2>
        <button class="icon" type="button" aria-label=${say("close")} onClick=${onClose}>✕</button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

/** A question with one text to fill in; `onAnswer` gets the text. */
export function TextDialog({ title, label, value = "", action, onAnswer, onClose, maxLength = 200 }) {
  const field = useRef(null);
  useEffect(() => field.current?.select(), []);
  const submit = (event) => {
    event.preventDefault();
    onAnswer(field.current.value.trim());
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${submit}>
      <label class="field">${label}<input ref=${field} defaultValue=${value} maxlength=${maxLength} /></label>
      <div class="buttons">
        <button type="button" onClick=${onClose}>${say("cancel")}</button>
        <button class="main">${action}</button>
      </div>
    </form>
  <//>`;
}
