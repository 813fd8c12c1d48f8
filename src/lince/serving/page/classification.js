// Shows and corrects the records of a classifier: bars of probabilities, and a list of classes (see tasks.js).

import { byId, createElement } from "./dom.js";
import { formatNumber, formatPercent, text } from "./texts.js";

export const name = "classification";
export const metricNames = ["accuracy"];
export const canCorrect = true;

const FIRST_CLASSES = 5; // bars that are shown until a person wants all of them
const LARGEST_DRAWING = 64; // pixels of a side; larger inputs are not for drawings

/** Digits are drawn for small grey models. */
export function acceptsDrawing({ input }) {
  return input.channels === "grey" && Math.max(input.height, input.width) <= LARGEST_DRAWING;
}

export const requestOptions = () => ({});
export const createView = () => ({ allClasses: false });

export function connect(page) {
  byId("toggle-classes").addEventListener("click", () => {
    const view = page.getView();
    view.allClasses = !view.allClasses;
    page.render();
  });
}

export const summarise = (record) =>
  text("class-summary", { name: record.class, share: formatPercent(record.probability) });
export const briefly = (record) => record.class;
export const shapes = () => [];
export const imageSize = () => null;

/** Show the most probable classes, or all of them. */
export function show({ classes }, _model, { allClasses }) {
  const visible = allClasses ? classes : classes.slice(0, FIRST_CLASSES);
  byId("bars").replaceChildren(...visible.map(createBar));
  const toggle = byId("toggle-classes");
  toggle.hidden = classes.length <= FIRST_CLASSES;
  const count = formatNumber(classes.length);
  toggle.textContent = allClasses ? text("fewer-classes") : text("all-classes", { count });
  toggle.setAttribute("aria-expanded", String(allClasses));
}

/** Offer the classes of the model. */
export function prepareCorrection(_record, { classes }) {
  const options = classes.map((className) => new Option(className, className));
  byId("label").replaceChildren(new Option(text("choose-class"), ""), ...options);
}

export const startCorrection = () => {};
export const stopCorrection = () => {};
export const correction = () => ({ label: byId("label").value });

function createBar({ name: className, probability }) {
  const item = createElement("li");
  const track = createElement("span", "track");
  const fill = createElement("span", "fill");
  fill.style.width = `${100 * probability}%`;
  track.setAttribute("aria-hidden", "true");
  track.append(fill);
  const value = createElement("span", "value", formatPercent(probability));
  item.append(createElement("span", "name", className), value, track);
  return item;
}
