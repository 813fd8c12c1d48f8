// The bar below the gallery: what can be done with the selected photos.

import { html, useState } from "./vendor/preact.js";
import { Dialog, TextDialog } from "./dialog.js";
import { changePhotos, makeClassFields } from "./photo_acts.js";
import { goTo } from "./router.js";
import { say, sayCount } from "./words.js";

const IS_TOUCH = matchMedia("(pointer: coarse)").matches;
const SPLITS = ["train", "val", "test", ""];

/** The bar and its dialogs. */
export function SelectionBar({ project, list, acts, dialog, setDialog }) {
  const ids = list.selection.size ? [...list.selection] : [];
  const close = () => setDialog(null);
  const change = (fields, chosen = ids) => {
    close();
    changePhotos({ list, acts, ids: chosen, fields, seen: project.last });
  };
  const isBin = list.filter.filter === "removed";
  const isClassified = project.about.task === "classification";
  return html`<div class=${`selection ${ids.length ? "some" : ""}`} role="toolbar" aria-label=${say("gallery.acts")}>
    <span class="count" role="status">${ids.length ? sayCount("gallery.selected", ids.length) : say(IS_TOUCH ? "gallery.tap_hint" : "gallery.select_hint")}</span>
    ${ids.length > 0 && !isBin && html`
      ${ids.length === 1 && html`<button type="button" onClick=${() => goTo("photo", ids[0])}>${say("act.open")}</button>`}
      ${isClassified && html`<button type="button" onClick=${() => setDialog("class")}>${say("act.class")}</button>`}
      <button type="button" onClick=${() => change({ state: "skipped" })}>${say("act.skip")}</button>
      <button type="button" onClick=${() => change({ state: "done" })}>${say("act.done")}</button>
      <button type="button" onClick=${() => setDialog("flag")}>${say("act.flag")}</button>
      <button type="button" onClick=${() => setDialog("split")}>${say("act.split")}</button>
      <button type="button" onClick=${() => change({ removed: true })}>${say("act.remove")}</button>`}
    ${ids.length > 0 && isBin && html`<button type="button" onClick=${() => change({ removed: false })}>${say("act.restore")}</button>`}
    <span class="space"></span>
    ${ids.length < list.ids.length && html`<button type="button" onClick=${() => list.select(list.ids)}>${say("act.all")}</button>`}
    ${ids.length > 0 && html`<button type="button" onClick=${() => list.select([])}>${say("act.none")}</button>`}
    ${dialog === "class" && html`<${ClassDialog} project=${project} count=${ids.length} onChoose=${(id) => change(makeClassFields(id))} onClose=${close} />`}
    ${dialog === "split" && html`<${SplitDialog} count=${ids.length} onChoose=${(split) => change({ split })} onClose=${close} />`}
    ${dialog === "flag" && html`<${FlagDialog} list=${list} ids=${ids} change=${change} onClose=${close} />`}
  </div>`;
}

function ClassDialog({ project, count, onChoose, onClose }) {
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const classes = project.about.classes.filter((one) => one.name.toLowerCase().includes(wanted));
  const submit = (event) => {
    event.preventDefault();
    if (classes.length) onChoose(classes[0].id);
  };
  return html`<${Dialog} title=${sayCount("act.class_title", count)} onClose=${onClose}>
    <form onSubmit=${submit}>
      <label class="field"><span class="visually-hidden">${say("act.class_search")}</span>
        <input type="search" placeholder=${say("act.class_search")} onInput=${(event) => setText(event.target.value)} /></label>
    </form>
    <div class="choices">
      ${classes.map(
        (one) => html`<button key=${one.id} type="button" onClick=${() => onChoose(one.id)}>
          <i class="swatch" style=${{ background: one.colour }}></i>${one.name}${one.key && html` <kbd>${one.key}</kbd>`}
        </button>`,
      )}
      ${wanted === "" && html`<button type="button" onClick=${() => onChoose(null)}>${say("act.no_class")} <kbd>0</kbd></button>`}
    </div>
    ${!project.about.classes.length && html`<p>${say("gallery.no_classes")} <a href="#/classes" onClick=${onClose}>${say("page.classes")}</a></p>`}
  <//>`;
}

function SplitDialog({ count, onChoose, onClose }) {
  return html`<${Dialog} title=${sayCount("act.split_title", count)} onClose=${onClose}>
    <p>${say("act.split_help")}</p>
    <div class="choices">
      ${SPLITS.map((name) => html`<button key=${name} type="button" onClick=${() => onChoose(name)}>${say(`split.${name || "none"}`)}</button>`)}
    </div>
  <//>`;
}

function FlagDialog({ list, ids, change, onClose }) {
  const chosen = ids.length ? ids : [list.ids[list.focus]];
  const flags = new Set(chosen.map((id) => list.get(id)?.flag ?? ""));
  const value = flags.size === 1 ? [...flags][0] : "";
  return html`<${TextDialog} title=${sayCount("act.flag_title", chosen.length)} label=${say("act.flag_label")} value=${value} action=${say("act.flag_save")}
    onAnswer=${(flag) => change({ flag }, chosen)} onClose=${onClose} />`;
}
