// The column beside the photo: classes, shapes, comments, history, and the buttons that end the work on a photo.

import { isLight } from "./annotate_canvas.js";
import { History } from "./annotate_history.js";
import { actButton, titleOf } from "./annotate_toolbar.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { formatNumber, say, sayCount } from "./words.js";

const FIRST_ROWS = 40; // of the list of shapes, with a new photo
const LATER_MS = 150;

/** The column; `work` is the AnnotateSession. */
export function Panel({ work }) {
  return html`<aside class="annotate-panel" aria-label=${say("annotate.panel")}>
    <${ClassList} work=${work} />
    ${!work.isWhole && html`<${ShapeList} work=${work} />`}
    <${CommentList} work=${work} />
    <${History} work=${work} />
    <div class="annotate-end">
      <button type="button" data-action="photo.skip" title=${titleOf("photo.skip")} onClick=${() => work.finish("skipped")}>${say("annotate.skip")}</button>
      <button type="button" data-action="photo.done" class="annotate-main main" title=${titleOf("photo.done")} onClick=${() => work.finish("done")}>${say("annotate.done")}</button>
    </div>
  </aside>`;
}

function ClassList({ work }) {
  const { stage, photo, project } = work;
  const counts = new Map();
  for (const [, shape] of photo.shapes) counts.set(shape.class, (counts.get(shape.class) ?? 0) + 1);
  const isChosen = (id) => (work.isWhole ? photo.state.classes.includes(id) : (stage.selected?.class ?? stage.classId) === id);
  return html`<section>
    <h2>${say("annotate.classes")}</h2>
    <ul class="annotate-classes">${project.about.classes.map((one) => html`<li key=${one.id}>
      <button type="button" aria-pressed=${isChosen(one.id)} data-class=${one.id}
        onClick=${(event) => work.chooseClass(one.id, event.shiftKey)}>
        ${swatch(one)}<span class="annotate-class-name">${one.name}</span>
        ${!work.isWhole && html`<span class="annotate-count">${formatNumber(counts.get(one.id) ?? 0)}</span>`}
      </button></li>`)}
    </ul>
    <button type="button" class="annotate-add" data-action="class.search" onClick=${() => work.open("class")}>${say("annotate.add-class")}</button>
    ${work.isWhole && html`<label class="annotate-check"><input type="checkbox" checked=${work.goesOn}
      onChange=${(event) => work.setGoesOn(event.target.checked)} /> ${say("annotate.goes-on")}</label>`}
  </section>`;
}

/** The colour of a class with its key or first letter, so that the colour is never alone. */
export function swatch(one) {
  const paint = (node) => {
    if (!node) return;
    node.style.backgroundColor = one.colour;
    node.style.color = isLight(one.colour) ? "#000" : "#fff";
  };
  return html`<span class="annotate-swatch" aria-hidden="true" ref=${paint}>${one.key || one.name.slice(0, 1)}</span>`;
}

/** A shape in words: class, size and place. */
export function describeShape(shape, project) {
  const [left, top, right, bottom] = shape.box.map(Math.round);
  const name = project.findClass(shape.class)?.name ?? say("annotate.no-class");
  const kind = say(`annotate.kind.${shape.kind}`);
  return say("annotate.shape", { name, kind, width: right - left, height: bottom - top, left, top });
}

/** Scroll the list and the panel, and not the page: `scrollIntoView` would move the photo under a hand that draws. */
function showSelectedRow(list) {
  const row = list?.querySelector("[aria-selected=true]");
  if (!row) return;
  for (const scroller of [list, list.closest(".annotate-panel")]) {
    const { top, bottom } = row.getBoundingClientRect();
    const frame = scroller.getBoundingClientRect();
    if (top < frame.top) scroller.scrollTop -= frame.top - top;
    else if (bottom > frame.bottom) scroller.scrollTop += bottom - frame.bottom;
  }
}

function ShapeList({ work }) {
  const { stage, photo, project } = work;
  const list = useRef(null);
  const rows = useRef(null);
  if (rows.current?.photo !== photo) rows.current = { photo, found: new Map() };
  const isWhole = useLater(photo);
  useEffect(() => showSelectedRow(list.current), [stage.selectedId]);
  const shapes = stage.shapes;
  const active = stage.selectedId ? `shape-${stage.selectedId}` : null;
  return html`<section>
    <h2 id="annotate-shapes">${sayCount("annotate.shapes", shapes.length)}</h2>
    <ul class="annotate-shapes" role="listbox" tabindex="0" ref=${list} aria-labelledby="annotate-shapes" aria-activedescendant=${active}
      onKeyDown=${(event) => walkList(event, stage)}>
      ${(isWhole ? shapes : shapes.slice(0, FIRST_ROWS)).map(([id, shape]) => findRow(rows.current.found, work, id, shape))}
    </ul>
    ${stage.selected && html`<div class="annotate-row" role="group" aria-label=${say("annotate.selected")}>
      ${actButton(work, "shape.duplicate", "copy")}${actButton(work, "shape.lock", "lock", stage.locked.has(stage.selectedId))}
      ${actButton(work, "photo.comment", "comment")}${actButton(work, "shape.delete", "trash")}
    </div>`}
    ${!shapes.length && work.place > 0 && html`<button type="button" data-action="shape.copy-previous" title=${titleOf("shape.copy-previous")}
      onClick=${() => work.act("shape.copy-previous")}>${say("annotate.copy-previous")}</button>`}
  </section>`;
}

/** Whether `cause` is the same for a while: what takes long to show can wait until the photo is there. */
function useLater(cause) {
  const [shown, setShown] = useState(null);
  useEffect(() => {
    const timer = setTimeout(() => setShown(cause), LATER_MS);
    return () => clearTimeout(timer);
  }, [cause]);
  return shown === cause;
}

/** Return the row of a shape; that of one that is as it was before is not made anew, since there may be hundreds. */
function findRow(rows, { stage, project }, id, shape) {
  const isSelected = id === stage.selectedId;
  const causes = [shape, isSelected, stage.locked.has(id), project.about.classes, document.documentElement.lang];
  const known = rows.get(id);
  if (known?.causes.every((cause, place) => cause === causes[place])) return known.row;
  const label = project.findClass(shape.class);
  const row = html`<li key=${id} id=${`shape-${id}`} role="option" aria-selected=${isSelected} data-shape=${id} onClick=${() => stage.select(id)}>
    ${label && swatch(label)}
    <span>${describeShape(shape, project)}${shape.source === "model" ? ` · ${say("annotate.from-model")}` : ""}${stage.locked.has(id) ? ` · ${say("annotate.locked")}` : ""}</span>
  </li>`;
  rows.set(id, { causes, row });
  return row;
}

/** In the list, up and down choose a shape; the arrows move it only when the photo has the keyboard. */
function walkList(event, stage) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.ctrlKey || event.altKey || event.shiftKey) return;
  event.preventDefault();
  event.stopPropagation();
  const ids = stage.shapes.map(([id]) => id);
  const place = ids.indexOf(stage.selectedId) + step;
  if (ids[place]) stage.select(ids[place]);
  else if (stage.selectedId === null && ids.length) stage.select(ids[step > 0 ? 0 : ids.length - 1]);
}

function CommentList({ work }) {
  const { photo } = work;
  return html`<section>
    <h2>${say("annotate.comments")}</h2>
    ${photo.comments.length > 0 && html`<ul class="annotate-comments">${photo.comments.map(([id, comment]) => html`<li key=${id} class=${comment.done ? "annotate-settled" : ""}>
      <p><strong>${comment.who}</strong> ${comment.text}</p>
      <span class="annotate-row">
        ${comment.shape && photo.findShape(comment.shape) && html`<button type="button" onClick=${() => work.stage.select(comment.shape)}>${say("annotate.show-shape")}</button>`}
        <label class="annotate-check"><input type="checkbox" checked=${comment.done}
          onChange=${(event) => photo.change([{ kind: "comment", id, after: { ...comment, done: event.target.checked } }])} /> ${say("annotate.settled")}</label>
      </span></li>`)}</ul>`}
    <button type="button" title=${titleOf("photo.comment")} onClick=${() => work.open("comment")}>${say("annotate.add-comment")}</button>
  </section>`;
}
