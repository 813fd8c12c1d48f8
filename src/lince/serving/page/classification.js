// Shows and corrects the records of a classifier: bars of probabilities, and a list of classes (see tasks.js).

import { connectBars, createBarsView, showBars } from "./bars.js";
import { byId } from "./dom.js";
import { formatPercent, text } from "./texts.js";

export const name = "classification";
export const metricNames = ["accuracy"];
export const canCorrect = true;

const LARGEST_DRAWING = 64; // pixels of a side; larger inputs are not for drawings

/** Digits are drawn for small grey models. */
export function acceptsDrawing({ input }) {
  return input.channels === "grey" && Math.max(input.height, input.width) <= LARGEST_DRAWING;
}

export const requestOptions = () => ({});
export const createView = createBarsView;
export const connect = connectBars;

export const summarise = (record) =>
  text("class-summary", { name: record.class, share: formatPercent(record.probability) });
export const briefly = (record) => record.class;
export const shapes = () => [];
export const overlay = () => null;
export const imageSize = () => null;

/** Show the most probable classes, or all of them. */
export const show = ({ class: className, classes }, _model, view) =>
  showBars(classes.map((one) => ({ ...one, said: one.name === className })), view);

/** Offer the classes of the model. */
export function prepareCorrection(_record, { classes }) {
  const options = classes.map((className) => new Option(className, className));
  byId("label").replaceChildren(new Option(text("choose-class"), ""), ...options);
}

export const startCorrection = () => {};
export const stopCorrection = () => {};
export const correction = () => ({ label: byId("label").value });
