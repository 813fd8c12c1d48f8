// The row above the photo: where one is, the tools, undo, zoom and light.

import { icon } from "./annotate_icons.js";
import { nameState } from "./annotate_pictures.js";
import { keyTable } from "./keys.js";
import { showKey } from "./keys_help.js";
import { html } from "./vendor/preact.js";
import { formatNumber, say } from "./words.js";

const TOOLS = ["select", "box", "points", "polygon", "scissors", "brush", "eraser"];

/** The row; `work` is the AnnotateSession. */
export function Toolbar({ work }) {
  const { stage, photo, ids, place } = work;
  const others = new Set(photo ? work.project.othersAt(photo.id).map((one) => one.who) : []);
  return html`<div class="annotate-bar" role="toolbar" aria-label=${say("annotate.bar")}>
    <span class="annotate-group">
      ${actButton(work, "photo.previous", "previous")}
      <span class="annotate-place">${place < 0 ? "" : say("annotate.place", { place: place + 1, count: ids.length })}</span>
      ${actButton(work, "photo.next", "next")}
    </span>
    <span class="annotate-name" title=${photo?.record?.path ?? ""}>${photo?.record?.path ?? ""}</span>
    ${photo && html`<span class=${`annotate-state annotate-state-${photo.state.state}`}>${say(`annotate.state.${stateOf(photo)}`)}</span>`}
    ${others.size > 0 && html`<span class="annotate-others">${say("annotate.others", { names: [...others].join(", ") })}</span>`}
    ${!work.isFree && html`<span class="annotate-taken" role="alert">${say("annotate.taken")} ${" "}
      <button type="button" onClick=${() => work.goToFree()}>${say("annotate.next-free")}</button></span>`}
    ${!work.isWhole && html`<span class="annotate-group" role="group" aria-label=${say("annotate.tools")}>
      ${TOOLS.map((name) => actButton(work, `tool.${name}`, name, stage.tool.name === name))}
    </span>`}
    <span class="annotate-group">
      ${actButton(work, "edit.undo", "undo")}${actButton(work, "edit.redo", "redo")}
    </span>
    <span class="annotate-group annotate-zooms">
      ${actButton(work, "view.smaller", "smaller")}
      <button type="button" class="annotate-zoom" title=${titleOf("view.actual")} aria-label=${titleOf("view.actual")} onClick=${() => work.act("view.actual")}>
        ${say("annotate.percent", { percent: formatNumber(Math.round(100 * stage.view.scale)) })}</button>
      ${actButton(work, "view.larger", "larger")}${actButton(work, "view.fit", "fit")}
    </span>
    <span class="annotate-group">
      ${!work.isWhole && actButton(work, "shapes.hide", "hide", stage.isHidden)}
      <label class="annotate-light" title=${say("annotate.brightness")}>${icon("light")}
        <input type="range" min="0.2" max="3" step="0.1" value=${stage.brightness} aria-label=${say("annotate.brightness")}
          onInput=${(event) => {
            stage.brightness = Number(event.target.value);
            stage.showChange();
          }} /></label>
      ${actButton(work, "photo.flag", "flag", Boolean(photo?.state?.flag))}
      ${actButton(work, "photo.comment", "comment")}
      ${actButton(work, "help", "keys")}
    </span>
  </div>`;
}

const stateOf = ({ state, shapes }) => nameState(state.state, shapes.length + state.classes.length);

/** Return a button that does an action; `isOn` is for those that stay pressed. */
export function actButton(work, action, picture, isOn = undefined) {
  const title = titleOf(action);
  return html`<button type="button" key=${action} class="annotate-button" title=${title} aria-label=${title} aria-pressed=${isOn}
    data-action=${action} onClick=${() => work.act(action)}>${icon(picture)}</button>`;
}

/** Return the name of an action and its first key. */
export function titleOf(action) {
  const [key] = keyTable.find(action);
  const name = say(`keys.action.${action}`);
  return key ? say("annotate.with-key", { name, key: showKey(key) }) : name;
}
