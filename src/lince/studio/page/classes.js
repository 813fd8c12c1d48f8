// The table of classes: add, rename, recolour, reorder, keys, merge, delete; every act can be undone.

import { html, useRef, useState } from "./vendor/preact.js";
import { DeleteDialog, MergeDialog } from "./class_dialogs.js";
import { tell, tellError } from "./notices.js";
import { redoAct, undoAct } from "./photo_acts.js";
import { whenAllSaved } from "./unsaved.js";
import { formatNumber, say, sayCount } from "./words.js";
import { useEvents } from "./hooks.js";

// Of the palette in which lince draws classes everywhere; the first that no class has yet is used.
const COLOURS = ["#e67800", "#0072b2", "#009469", "#cc5a96", "#56b4e9", "#aa3c00", "#7864c8", "#968c14"];
const CLASS_DIALOGS = { merge: MergeDialog, delete: DeleteDialog };
const KEYS = ["", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** The page of the classes. */
export function ClassesPage({ project, list, acts, queue }) {
  useEvents(project, "change");
  const [dialog, setDialog] = useState(null);
  const { classes } = project.about;
  const chosen = dialog && project.findClass(dialog.id);
  const open = async (next) => {
    await whenAllSaved({ queue, acts });
    await project.refresh().catch(() => {}); // its counts are those of now
    setDialog(next);
  };
  const close = () => setDialog(null);
  const retire = (one, into) => {
    close();
    acts.run(`api/classes/${one.id}/retire`, { into }).then(
      (answer) => {
        project.refresh().catch(() => {});
        tell(sayRetired(one, project.findClass(into), answer), { action: { label: say("undo"), run: () => undo() } });
      },
      tellError,
    );
  };
  const undo = () => undoAct(acts, list).then(() => project.refresh().catch(() => {}));
  const redo = () => redoAct(acts, list).then(() => project.refresh().catch(() => {}));
  const onKey = (event) => {
    const letter = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.target.closest("input:not([type=color])") || !["z", "y"].includes(letter)) return;
    event.preventDefault();
    if (letter === "y" || event.shiftKey) redo();
    else undo();
  };
  return html`<main class="classes" onKeyDown=${onKey}>
    <div class="bar">
      <h1>${say("page.classes")}</h1>
      <button type="button" class="icon" aria-label=${say("undo")} title=${`${say("undo")} (Ctrl+Z)`} onClick=${undo}>↶</button>
      <button type="button" class="icon" aria-label=${say("redo")} title=${`${say("redo")} (Ctrl+Shift+Z)`} onClick=${redo}>↷</button>
    </div>
    <${AddClass} project=${project} acts=${acts} />
    ${classes.length > 0 ? html`<${ClassTable} project=${project} acts=${acts} setDialog=${open} />` : html`<p class="empty">${say("classes.empty")}</p>`}
    <p class="quiet">${say("classes.ids")}</p>
    ${chosen && html`<${CLASS_DIALOGS[dialog.name]} one=${chosen} classes=${classes} onChoose=${(into) => retire(chosen, into)} onClose=${close} />`}
  </main>`;
}

/** Say what became of a class and its labels: shapes, and photos that had it as a whole. */
function sayRetired(one, into, { shapes, photos }) {
  const parts = [shapes && sayCount("classes.shapes", shapes), photos && sayCount("classes.photos", photos)].filter(Boolean);
  const name = into ? "moved" : "deleted";
  return say(parts.length ? `classes.${name}` : `classes.${name}_unused`, { name: one.name, into: into?.name ?? "", labels: parts.join(", ") });
}

/** Return the state of a class as the server has it. */
const toState = ({ name, colour, key, position }) => ({ alive: true, colour, key, merged_into: null, name, position });

/** Change classes as one act: `changes` are pairs of a class and its new fields. */
async function change(project, acts, changes) {
  const edits = changes.map(([one, fields]) => ({ target: { kind: "class", id: String(one.id) }, before: toState(one), after: { ...toState(one), ...fields } }));
  try {
    await acts.edit(edits);
  } catch (error) {
    tellError(error);
  }
  await project.refresh().catch(() => {});
}

function AddClass({ project, acts }) {
  const field = useRef(null);
  const add = async (event) => {
    event.preventDefault();
    const name = field.current.value.trim();
    if (!name) return;
    const { classes } = project.about;
    const position = Math.max(-1, ...classes.map((one) => one.position)) + 1;
    const colour = COLOURS.find((one) => !classes.some((other) => other.colour === one)) ?? COLOURS[position % COLOURS.length];
    const key = KEYS.slice(1).find((one) => !classes.some((other) => other.key === one)) ?? "";
    const after = { alive: true, colour, key, merged_into: null, name, position };
    try {
      await acts.edit([{ target: { kind: "class", id: "" }, before: null, after }]);
      field.current.value = "";
    } catch (error) {
      tellError(error);
    }
    await project.refresh().catch(() => {});
    field.current?.focus();
  };
  return html`<form class="add-class" onSubmit=${add}>
    <label class="field">${say("classes.new")}<input ref=${field} maxlength="200" autocomplete="off" placeholder=${say("classes.new_example")} /></label>
    <button class="main">${say("classes.add")}</button>
  </form>`;
}

function ClassTable({ project, acts, setDialog }) {
  const { classes } = project.about;
  const move = (place, step) => {
    const order = [...classes];
    [order[place], order[place + step]] = [order[place + step], order[place]];
    const changes = order.map((one, position) => [one, { position }]).filter(([one, fields]) => one.position !== fields.position);
    return change(project, acts, changes);
  };
  return html`<div class="table-frame" tabindex="0" role="region" aria-label=${say("page.classes")}><table class="class-table" role="table">
    <thead role="rowgroup"><tr role="row">
      <th role="columnheader" scope="col">${say("classes.order")}</th><th role="columnheader" scope="col">${say("classes.colour")}</th><th role="columnheader" scope="col">${say("classes.name")}</th><th role="columnheader" scope="col">${say("classes.key")}</th>
      <th role="columnheader" scope="col" class="number">${say("classes.shape_count")}</th><th role="columnheader" scope="col" class="number">${say("classes.photo_count")}</th><th role="columnheader" scope="col"><span class="visually-hidden">${say("classes.acts")}</span></th>
    </tr></thead>
    <tbody role="rowgroup">
      ${classes.map(
        (one, place) => html`<${ClassRow} key=${one.id} one=${one} place=${place} count=${classes.length} classes=${classes}
          onChange=${(fields) => change(project, acts, [[one, fields], ...freeKey(one, fields, classes)])} onMove=${(step) => move(place, step)} setDialog=${setDialog} />`,
      )}
    </tbody>
  </table></div>`;
}

/** A key belongs to one class: who had it gives it up. */
function freeKey(one, fields, classes) {
  if (!fields.key) return [];
  return classes.filter((other) => other.id !== one.id && other.key === fields.key).map((other) => [other, { key: one.key }]);
}

function ClassRow({ one, place, count, onChange, onMove, setDialog }) {
  const rename = (event) => {
    const name = event.target.value.trim();
    if (name && name !== one.name) onChange({ name });
    else event.target.value = one.name;
  };
  const onKey = (event) => {
    if (event.key === "Enter") event.target.blur();
    if (event.key === "Escape") {
      event.target.value = one.name;
      event.target.blur();
    }
  };
  return html`<tr role="row">
    <td role="cell" class="order">
      <button type="button" class="icon" disabled=${place === 0} aria-label=${say("classes.up", { name: one.name })} onClick=${() => onMove(-1)}>↑</button>
      <button type="button" class="icon" disabled=${place === count - 1} aria-label=${say("classes.down", { name: one.name })} onClick=${() => onMove(1)}>↓</button>
    </td>
    <td role="cell"><input type="color" value=${one.colour} aria-label=${say("classes.colour_of", { name: one.name })} onChange=${(event) => onChange({ colour: event.target.value })} /></td>
    <td role="cell"><input key=${one.name} class="name" defaultValue=${one.name} maxlength="200" aria-label=${say("classes.name_of", { name: one.name })} onBlur=${rename} onKeyDown=${onKey} /></td>
    <td role="cell"><select aria-label=${say("classes.key_of", { name: one.name })} value=${one.key} onChange=${(event) => onChange({ key: event.target.value })}>
      ${KEYS.map((key) => html`<option key=${key} value=${key} selected=${key === one.key}>${key || "—"}</option>`)}
    </select></td>
    <td role="cell" class="number">${formatNumber(one.shapes)}</td>
    <td role="cell" class="number">${formatNumber(Math.max(one.photos, one.shape_photos))}</td>
    <td role="cell" class="acts">
      <button type="button" class="small" disabled=${count < 2} onClick=${() => setDialog({ name: "merge", id: one.id })}>${say("classes.merge")}</button>
      <button type="button" class="small" onClick=${() => setDialog({ name: "delete", id: one.id })}>${say("classes.delete")}</button>
    </td>
  </tr>`;
}
