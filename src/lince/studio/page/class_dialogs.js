// The questions before a class is merged or deleted, with the counts of what is affected.

import { html, useState } from "./vendor/preact.js";
import { Dialog } from "./dialog.js";
import { say, sayCount } from "./words.js";

/** The counts of a class in words. */
const describe = (one) => ({
  name: one.name,
  shapes: sayCount("classes.shapes", one.shapes),
  photos: sayCount("classes.photos", Math.max(one.photos, one.shape_photos)),
});

/** Asks into which class another one is merged. */
export function MergeDialog({ one, classes, onChoose, onClose }) {
  const others = classes.filter((other) => other.id !== one.id);
  const [into, setInto] = useState(String(others[0].id));
  const submit = (event) => {
    event.preventDefault();
    onChoose(Number(into));
  };
  return html`<${Dialog} title=${say("classes.merge_title", { name: one.name })} onClose=${onClose}>
    <form onSubmit=${submit}>
      <p>${say("classes.merge_help", describe(one))}</p>
      <${ClassChoice} label=${say("classes.into")} classes=${others} value=${into} onChange=${setInto} />
      <div class="buttons"><button type="button" onClick=${onClose}>${say("cancel")}</button><button class="main">${say("classes.merge_do")}</button></div>
    </form>
  <//>`;
}

/** Asks what becomes of the labels of a class that is deleted. */
export function DeleteDialog({ one, classes, onChoose, onClose }) {
  const others = classes.filter((other) => other.id !== one.id);
  const isUsed = one.shapes > 0 || one.photos > 0;
  const [chosen, setWay] = useState(null);
  const way = chosen ?? (others.length && isUsed ? "move" : "remove"); // the counts may come after the dialog
  const [into, setInto] = useState(String(others[0]?.id ?? ""));
  const submit = (event) => {
    event.preventDefault();
    onChoose(isUsed && way === "move" ? Number(into) : null);
  };
  return html`<${Dialog} title=${say("classes.delete_title", { name: one.name })} onClose=${onClose}>
    <form onSubmit=${submit}>
      <p>${say(isUsed ? "classes.delete_used" : "classes.delete_unused", describe(one))}</p>
      ${isUsed && others.length > 0 && html`
        <label class="radio"><input type="radio" name="way" checked=${way === "move"} onChange=${() => setWay("move")} /> ${say("classes.delete_move")}</label>
        ${way === "move" && html`<${ClassChoice} label=${say("classes.into")} classes=${others} value=${into} onChange=${setInto} />`}
        <label class="radio"><input type="radio" name="way" checked=${way === "remove"} onChange=${() => setWay("remove")} /> ${say("classes.delete_remove")}</label>`}
      <p class="quiet">${say("classes.undoable")}</p>
      <div class="buttons"><button type="button" onClick=${onClose}>${say("cancel")}</button><button class="main">${say("classes.delete_do")}</button></div>
    </form>
  <//>`;
}

function ClassChoice({ label, classes, value, onChange }) {
  return html`<label class="field">${label}
    <select value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${classes.map((one) => html`<option key=${one.id} value=${String(one.id)} selected=${String(one.id) === value}>${one.name}</option>`)}
    </select>
  </label>`;
}
