// Bars of the probabilities of classes: the first ones, or all of them.

import { byId, createElement } from "./dom.js";
import { formatNumber, formatPercent, text } from "./texts.js";

const FIRST_CLASSES = 5; // bars that are shown until a person wants all of them
let isConnected = false;

/** The view of the bars of a model that was just chosen. */
export const createBarsView = () => ({ allClasses: false });

/** Add the listener of the button for all classes, once for all renderers that show bars. */
export function connectBars(page) {
  if (isConnected) return;
  isConnected = true;
  byId("toggle-classes").addEventListener("click", () => {
    const view = page.getView();
    view.allClasses = !view.allClasses;
    page.render();
  });
}

/**
 * Show `classes`, {name, probability, said, threshold}, the most probable first: all of them, or as many as there is
 * room for, but at least those that are said. `threshold` is undefined where a class has none.
 */
export function showBars(classes, { allClasses }) {
  const least = Math.max(FIRST_CLASSES, classes.findLastIndex(({ said }) => said) + 1);
  byId("bars").replaceChildren(...(allClasses ? classes : classes.slice(0, least)).map(createBar));
  const toggle = byId("toggle-classes");
  toggle.hidden = classes.length <= least;
  const count = formatNumber(classes.length);
  toggle.textContent = allClasses ? text("fewer-classes") : text("all-classes", { count });
  toggle.setAttribute("aria-expanded", String(allClasses));
}

function createBar({ name, probability, said, threshold }) {
  const item = createElement("li", said ? "said" : "");
  const track = createElement("span", "track");
  const fill = createElement("span", "fill");
  fill.style.width = `${100 * probability}%`;
  track.setAttribute("aria-hidden", "true");
  track.append(fill);
  const share = formatPercent(probability);
  if (threshold === undefined) {
    item.append(createElement("span", "name", name), createElement("span", "value", share), track);
    return item;
  }
  const mark = createElement("span", "mark");
  mark.style.left = `${100 * threshold}%`;
  track.append(mark);
  const value = text("share-from", { share, threshold: formatPercent(threshold) });
  item.append(createElement("span", "name", said ? `✓ ${name}` : name), createElement("span", "value", value), track);
  return item;
}
