// The questions of the annotator: which class, a comment, and whose change stays.

import { describeShape, swatch } from "./annotate_panel.js";
import { KeyHelp } from "./keys_help.js";
import { html, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { say } from "./words.js";

/** A dialog that opens at once; `close` is called when it is left. What had the keyboard gets it back, or the photo. */
function Dialog({ name, title, close, children }) {
  const dialog = useRef(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    element.showModal();
    element.querySelector("[data-first]")?.focus();
    return () => {
      element.close(); // gives the keyboard back; a dialog that is only taken away does not
      const frame = /** @type {HTMLElement} */ (document.querySelector(".annotate-frame"));
      if (document.activeElement === document.body) frame?.focus({ preventScroll: true });
    };
  }, []);
  return html`<dialog ref=${dialog} class=${`annotate-dialog annotate-dialog-${name}`} aria-labelledby=${`annotate-${name}`} onClose=${(event) => event.target.isConnected && close?.()}
    onCancel=${(event) => close ? null : event.preventDefault()}>
    <h2 id=${`annotate-${name}`}>${title}</h2>${children}</dialog>`;
}

/** All keys. */
export const KeyDialog = ({ close }) => html`<${Dialog} name="keys" title=${say("keys.title")} close=${close}>
  <button type="button" class="annotate-close" data-first onClick=${close}>${say("keys.close")}</button>
  <${KeyHelp} />
<//>`;

/** Choose a class by typing a part of its name, or add one. */
export function ClassDialog({ work, close }) {
  const [text, setText] = useState("");
  const [place, setPlace] = useState(0);
  const [problem, setProblem] = useState("");
  const wanted = text.trim();
  const found = work.project.about.classes.filter((one) => one.name.toLowerCase().includes(wanted.toLowerCase()));
  const isNew = wanted && !work.project.about.classes.some((one) => one.name === wanted);
  const count = found.length + (isNew ? 1 : 0);
  const choose = async (number) => {
    if (number < found.length) {
      work.chooseClass(found[number].id);
      close();
    } else if (isNew) {
      const reason = await work.addClass(wanted);
      setProblem(reason);
      if (!reason) close();
    }
  };
  const press = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && count) setPlace((place + step + count) % count);
    else if (event.key === "Enter") choose(Math.min(place, count - 1));
    else return;
    event.preventDefault();
  };
  return html`<${Dialog} name="class" title=${say("annotate.choose-class")} close=${close}>
    <input type="text" class="annotate-text" role="combobox" aria-expanded="true" aria-controls="annotate-found" aria-label=${say("annotate.class-name")}
      aria-activedescendant=${count ? `annotate-found-${Math.min(place, count - 1)}` : null} data-first maxlength="200" value=${text}
      onInput=${(event) => {
        setText(event.target.value);
        setPlace(0);
      }} onKeyDown=${press} />
    <ul id="annotate-found" class="annotate-found" role="listbox" aria-label=${say("annotate.classes")}>
      ${found.map((one, number) => html`<li key=${one.id} id=${`annotate-found-${number}`} role="option" aria-selected=${number === place} onClick=${() => choose(number)}>
        ${swatch(one)} ${one.name}</li>`)}
      ${isNew && html`<li id=${`annotate-found-${found.length}`} role="option" aria-selected=${place >= found.length} onClick=${() => choose(found.length)}>
        ${say("annotate.add-named", { name: wanted })}</li>`}
    </ul>
    ${problem && html`<p role="alert">${problem}</p>`}
    <div class="annotate-row"><button type="button" onClick=${close}>${say("annotate.cancel")}</button></div>
  <//>`;
}

/** Write a comment on the selected shape, or on the photo. */
export function CommentDialog({ work, close }) {
  const [text, setText] = useState("");
  const shape = work.stage.selected;
  const about = shape ? describeShape(shape, work.project) : say("annotate.whole-photo");
  const save = (event) => {
    event.preventDefault();
    if (text.trim()) work.addComment(text.trim());
  };
  return html`<${Dialog} name="comment" title=${say("annotate.comment-on", { what: about })} close=${close}>
    <form onSubmit=${save}>
      <textarea class="annotate-text" rows="3" maxlength="10000" data-first aria-label=${say("annotate.comment-text")} value=${text}
        onInput=${(event) => setText(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && save(event)}></textarea>
      <div class="annotate-row">
        <button type="submit" class="main">${say("annotate.save")}</button>
        <button type="button" onClick=${close}>${say("annotate.cancel")}</button>
      </div>
    </form>
  <//>`;
}

/** Somebody else changed the same thing, or the server refused a change: the person says what stays. */
export function ConflictDialog({ work, conflict }) {
  const { kind, mine, theirs, status, who, message } = conflict;
  const show = (state) => describeState(kind, state, work.project);
  const settle = (choice) => () => work.photo.settle(conflict, choice);
  const isRefused = status === "refused";
  return html`<${Dialog} name="conflict" title=${say(isRefused ? "annotate.refused" : "annotate.conflict", { who: who || say("annotate.somebody") })}>
    ${isRefused && html`<p>${message}</p>`}
    <dl class="annotate-choices">
      <dt>${say("annotate.yours")}</dt><dd>${show(mine)}</dd>
      <dt>${say("annotate.theirs")}</dt><dd>${show(theirs)}</dd>
    </dl>
    <div class="annotate-row">
      <button type="button" data-first onClick=${settle("mine")}>${say(isRefused ? "annotate.try-again" : "annotate.keep-yours")}</button>
      <button type="button" onClick=${settle("theirs")}>${say(isRefused ? "annotate.discard" : "annotate.keep-theirs")}</button>
      ${kind === "shape" && mine && theirs && !isRefused && html`<button type="button" onClick=${settle("both")}>${say("annotate.keep-both")}</button>`}
    </div>
  <//>`;
}

function describeState(kind, state, project) {
  if (!state) return say("annotate.removed");
  if (kind === "shape") return describeShape(state, project);
  if (kind === "comment") return state.text;
  const names = state.classes.map((id) => project.findClass(id)?.name ?? say("annotate.no-class"));
  return [say(`annotate.state.${state.state}`), ...names, state.flag && say("annotate.flagged")].filter(Boolean).join(", ");
}
