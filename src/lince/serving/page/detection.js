// Shows and corrects the records of a detector: boxes, a score threshold, and a box editor (see tasks.js).

import { BoxEditor } from "./box_editor.js";
import { createSwatch, getClassColour } from "./class_colours.js";
import { byId, createElement } from "./dom.js";
import { formatNumber, formatPercent, text } from "./texts.js";

export const name = "detection";
export const metricNames = ["segm_map50", "segm_map50_95", "map50", "map50_95"];
export const canCorrect = true;

const LOW_SCORE = 0.05; // detections below this are noise for most models
let editor = null;

export const acceptsDrawing = () => false;

/** Ask for all detections that the slider can show. */
export const requestOptions = (model) => ({ threshold: String(lowestThreshold(model)) });

/** `threshold` null: the model's own threshold of each class. */
export const createView = () => ({ threshold: null });

export function connect(page) {
  editor = new BoxEditor(byId("picture"), page.redrawPicture);
  const setThreshold = (threshold) => {
    page.getView().threshold = threshold;
    page.render();
  };
  byId("threshold").addEventListener("input", (event) => setThreshold(Number(event.target.value)));
  byId("threshold-default").addEventListener("click", () => {
    setThreshold(null);
    byId("threshold").focus();
  });
}

/** Return how many objects of each class there are. */
export function summarise(record, model, view) {
  const counts = new Map();
  for (const { class: className } of selectObjects(record, model, view)) {
    counts.set(className, (counts.get(className) ?? 0) + 1);
  }
  const parts = [...counts].map(([className, count]) =>
    text("object-count", { name: className, count: formatNumber(count) }));
  return parts.length ? parts.join(" · ") : text("no-objects");
}

export const briefly = (record, model) => summarise(record, model, createView());

/** Return the boxes in the editor while a person corrects them, else those that reach the threshold. */
export function shapes(record, model, view) {
  const objects = editor.isOpen ? editor.drawnObjects : selectObjects(record, model, view);
  return objects.map((object) => ({
    box: object.box,
    colour: getClassColour(object.class, model),
    text: describeObject(object),
    rings: object.outline ?? [],
  }));
}

export const overlay = () => null;
export const imageSize = ({ width, height }) => ({ width, height });

/** Show the slider with its threshold, and the list of objects that reach it. */
export function show(record, model, view) {
  const { threshold } = view;
  const slider = byId("threshold");
  slider.min = String(Math.ceil(lowestThreshold(model) * 100) / 100);
  slider.value = String(threshold ?? model.thresholds.reduce((sum, value) => sum + value, 0) / model.thresholds.length);
  const label = threshold === null ? text("threshold-default") : formatPercent(threshold);
  byId("threshold-value").textContent = label;
  slider.setAttribute("aria-valuetext", label);
  byId("threshold-default").disabled = threshold === null;
  byId("object-list").replaceChildren(...selectObjects(record, model, view).map((object) => createItem(object, model)));
}

export const prepareCorrection = () => {};
export const startCorrection = (record, model, view) => editor.open(selectObjects(record, model, view), model, record);
export const stopCorrection = () => editor.close();
export const correction = () => ({ objects: JSON.stringify(editor.objects) });

const lowestThreshold = (model) => Math.min(LOW_SCORE, ...model.thresholds);

function selectObjects(record, model, { threshold }) {
  return record.objects.filter(
    (object) => object.score >= (threshold ?? model.thresholds[model.classes.indexOf(object.class)]),
  );
}

/** Return the text at a box: number and class in the editor, class and score of a detection. */
function describeObject({ number, class: className, score }) {
  if (number) return `${formatNumber(number)} ${className}`;
  return score === undefined ? className : `${className} ${formatPercent(score)}`;
}

function createItem({ class: className, score }, model) {
  const item = createElement("li");
  item.append(
    createSwatch(className, model),
    createElement("span", "name", className),
    createElement("span", "value", formatPercent(score)),
  );
  return item;
}
