// Shows and corrects the records of a multilabel model: bars with thresholds, and a box to tick for each class.

import { connectBars, createBarsView, showBars } from "./bars.js";
import { byId, createElement } from "./dom.js";
import { formatPercent, text } from "./texts.js";

export const name = "multilabel";
export const metricNames = ["map", "f1_macro"];
export const canCorrect = true;

export const acceptsDrawing = () => false;
export const requestOptions = () => ({});
export const createView = createBarsView;
export const connect = connectBars;

/** Return all classes that are said with their probabilities, the most probable first. */
export const summarise = ({ classes }) =>
  classes
    .filter(({ said }) => said)
    .map(({ name: className, probability }) =>
      text("class-summary", { name: className, share: formatPercent(probability) }))
    .join(", ") || text("no-class");
export const briefly = ({ said }) => said.join(", ") || text("no-class");
export const shapes = () => [];
export const overlay = () => null;
export const imageSize = () => null;
export const show = ({ classes }, _model, view) => showBars(classes, view);

/** Offer a box for each class of the model; those that were said are ticked. */
export function prepareCorrection({ said }, { classes }) {
  byId("label-boxes").replaceChildren(...classes.map((className) => createBox(className, said.includes(className))));
}

export const startCorrection = () => {};
export const stopCorrection = () => {};

export function correction() {
  const boxes = [...byId("label-boxes").querySelectorAll("input:checked")];
  return { labels: JSON.stringify(boxes.map(({ value }) => value)) };
}

function createBox(className, isTicked) {
  const [item, label, box] = [createElement("li"), createElement("label"), createElement("input")];
  Object.assign(box, { type: "checkbox", value: className, checked: isTicked });
  label.append(box, createElement("span", "", className));
  item.append(label);
  return item;
}
