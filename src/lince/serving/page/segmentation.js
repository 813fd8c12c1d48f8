// Shows and corrects the records of a segmentation model: classes as colours over the photo (see tasks.js).

import { createSwatch } from "./class_colours.js";
import { ClassMap } from "./class_map.js";
import { byId, createElement } from "./dom.js";
import { MaskEditor } from "./mask_editor.js";
import { formatPercent, text } from "./texts.js";

export const name = "segmentation";
export const metricNames = ["miou", "pixel_accuracy"];
export const canCorrect = true;

const OPACITY = 0.5; // of the colours, at first
const classMaps = new WeakMap(); // of each record: its class map, or what will give it
let editor = null;
let redrawPicture = () => {};

export const acceptsDrawing = () => false;
export const requestOptions = () => ({});
export const createView = () => ({ opacity: OPACITY });

export function connect(page) {
  redrawPicture = page.redrawPicture;
  editor = new MaskEditor(byId("picture"), redrawPicture);
  byId("opacity").addEventListener("input", ({ target }) => {
    page.getView().opacity = Number(target.value);
    showOpacity(page.getView());
    redrawPicture();
  });
}

/** Return the classes with their shares, the largest first. */
export const summarise = ({ classes }) =>
  classes
    .map(({ class: className, share }) => text("class-summary", { name: className, share: formatPercent(share) }))
    .join(", ") || text("background-only");
export const briefly = ({ classes }) => classes.map((region) => region.class).join(", ") || text("background-only");
export const shapes = () => [];
export const imageSize = ({ width, height }) => ({ width, height });

/** Return the picture of the class map, the corrected one while a person corrects it, once it is decoded. */
export function overlay(record, _model, { opacity }) {
  const classMap = editor.classMap ?? classMaps.get(record);
  return classMap instanceof ClassMap ? { picture: classMap.picture, opacity } : null;
}

/** Show the slider and the list of classes, and decode the class map. */
export function show(record, model, view) {
  byId("opacity").value = String(view.opacity);
  showOpacity(view);
  byId("area-shares").replaceChildren(
    ...record.classes.map(({ class: className, share }) => createItem(createSwatch(className, model), className, share)),
    createItem(createElement("span", "swatch"), text("background"), record.background),
  );
  if (!classMaps.has(record)) decodeClassMap(record, model);
}

export const prepareCorrection = () => {};

export async function startCorrection(record, model) {
  const classMap = await decodeClassMap(record, model);
  if (byId("correction").open) editor.open(classMap, record.classes.map((region) => region.class));
}

export const stopCorrection = () => editor.close();
export const correction = async () => ({ class_map: await editor.classMap.encode() });

/** Return the class map of a record, decoded once. */
async function decodeClassMap(record, model) {
  if (!classMaps.has(record)) classMaps.set(record, ClassMap.decode(record.class_map, model, record));
  const classMap = await classMaps.get(record);
  classMaps.set(record, classMap);
  redrawPicture();
  return classMap;
}

function showOpacity({ opacity }) {
  const label = formatPercent(opacity);
  byId("opacity-value").textContent = label;
  byId("opacity").setAttribute("aria-valuetext", label);
}

function createItem(swatch, label, share) {
  const item = createElement("li");
  item.append(swatch, createElement("span", "name", label), createElement("span", "value", formatPercent(share)));
  return item;
}
