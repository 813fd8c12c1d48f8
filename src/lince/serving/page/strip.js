// The strip of the last photos, each with its prediction in a few words.

import { byId, createElement } from "./dom.js";
import { drawThumbnail } from "./picture.js";
import { getRenderer } from "./tasks.js";
import { formatNumber, text } from "./texts.js";

/** Show `entries`, of which `current` is on display; `onSelect` is called with an entry that is clicked. */
export function showStrip(entries, current, onSelect) {
  if (entries.length < 2) return;
  const items = entries.map((entry, index) => createItem(entry, index, entry === current, onSelect));
  byId("strip").replaceChildren(...items);
}

/** Focus the button of the entry at `index`. */
export function focusStrip(index) {
  byId("strip").children[index]?.querySelector("button").focus();
}

function createItem(entry, index, isCurrent, onSelect) {
  const [item, button, canvas] = [createElement("li"), createElement("button"), createElement("canvas")];
  const label = describeEntry(entry);
  button.type = "button";
  button.setAttribute("aria-label", text("show-photo", { number: formatNumber(index + 1), answer: label }));
  if (isCurrent) button.setAttribute("aria-current", "true");
  if (entry.bitmap) drawThumbnail(canvas, entry.bitmap);
  button.append(canvas, createElement("span", "", label));
  button.addEventListener("click", () => onSelect(entry));
  item.append(button);
  return item;
}

function describeEntry({ record, model, error }) {
  if (record) return getRenderer(model).briefly(record, model);
  return error ? text("failed") : "…";
}
