// Draws all shapes of a photo on a canvas, once a frame; lines are as thick at any zoom.

import { drawMask } from "./annotate_mask.js";

const HALO = "rgba(0, 0, 0, 0.55)";
const NO_CLASS = "#8a8a8a";
const LABEL_FONT = "600 12px system-ui, sans-serif";
const LABEL_HEIGHT = 18;
const MOST_FILLED = 100; // shapes of one colour whose insides are tinted
const SHORTEST_LABELLED = 40; // CSS pixels of a side

/** The colour of a class on a photo. */
export const colourOf = (label) => label?.colour ?? NO_CLASS;

/**
 * Draw `shapes`, [id, state] pairs, into `canvas` of the size of its frame.
 * The ids in `strong` are drawn stronger, and `findClass` gives name and colour; `height` is that of the photo.
 */
export function drawShapes(canvas, view, shapes, { strong, findClass, ratio, height }) {
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width / ratio, canvas.height / ratio);
  const visible = shapes.filter(([, shape]) => isInSight(shape, view, canvas.width / ratio, canvas.height / ratio));
  // Outlines of one colour are one path: hundreds of shapes cost a few strokes a frame.
  const groups = new Map();
  for (const [id, shape] of visible) {
    const colour = colourOf(findClass(shape.class));
    const isStrong = strong.has(id);
    if (shape.kind === "mask") drawMask(context, view, shape, { colour, isStrong, height });
    else addTo(groups, { colour, isStrong, isDashed: shape.source === "model" }, shape);
  }
  for (const group of groups.values()) drawOutlines(context, view, group);
  for (const [, shape] of visible) drawLabel(context, view, shape, findClass(shape.class));
}

function isInSight({ box: [left, top, right, bottom] }, view, width, height) {
  const [x0, y0] = view.toScreen([left, top]);
  const [x1, y1] = view.toScreen([right, bottom]);
  return x1 >= 0 && y1 >= 0 && x0 <= width && y0 <= height;
}

function addTo(groups, style, shape) {
  const name = `${style.colour} ${style.isStrong} ${style.isDashed}`;
  if (!groups.has(name)) groups.set(name, { ...style, shapes: [] });
  groups.get(name).shapes.push(shape);
}

function drawOutlines(context, view, { colour, isStrong, isDashed, shapes }) {
  context.beginPath();
  for (const shape of shapes) {
    if (shape.kind === "polygon") for (const ring of shape.rings) traceRing(context, view, ring);
    else traceBox(context, view, shape.box);
  }
  if (isStrong || shapes.length <= MOST_FILLED) {
    context.globalAlpha = isStrong ? 0.22 : 0.1;
    context.fillStyle = colour;
    context.fill(isStrong ? "evenodd" : "nonzero");
    context.globalAlpha = 1;
  }
  context.lineWidth = isStrong ? 5 : 4;
  context.strokeStyle = HALO;
  context.stroke();
  context.lineWidth = isStrong ? 3 : 2;
  context.strokeStyle = colour;
  context.setLineDash(isDashed ? [7, 4] : []); // what a model suggested, until a person has changed it
  context.stroke();
  context.setLineDash([]);
}

function traceBox(context, view, [left, top, right, bottom]) {
  const [x, y] = view.toScreen([left, top]);
  context.rect(x, y, view.scale * (right - left), view.scale * (bottom - top));
}

function traceRing(context, view, ring) {
  ring.forEach((point, place) => {
    const [x, y] = view.toScreen(point);
    if (place) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  context.closePath();
}

function drawLabel(context, view, { box: [left, top, right] }, label) {
  if (!label || view.scale * (right - left) < SHORTEST_LABELLED) return;
  const [x, y] = view.toScreen([left, top]);
  const most = Math.floor(view.scale * (right - left));
  context.font = LABEL_FONT;
  context.textBaseline = "middle";
  const text = shorten(context, label.name, most - 10);
  const above = y - LABEL_HEIGHT >= 0 ? y - LABEL_HEIGHT : y;
  context.fillStyle = label.colour;
  context.fillRect(x - 1, above, measure(context, text) + 10, LABEL_HEIGHT);
  context.fillStyle = isLight(label.colour) ? "#000" : "#fff";
  context.fillText(text, x + 4, above + LABEL_HEIGHT / 2 + 1);
}

/** Return a name, cut where it is wider than `most`. */
function shorten(context, name, most) {
  if (measure(context, name) <= most) return name;
  let length = name.length - 1;
  while (length > 1 && measure(context, `${name.slice(0, length)}…`) > most) length -= 1;
  return `${name.slice(0, length)}…`;
}

const widths = new Map();

function measure(context, text) {
  if (!widths.has(text)) widths.set(text, context.measureText(text).width);
  return widths.get(text);
}

/** Whether black is easier to read on a colour than white (WCAG's relative luminance). */
export function isLight(colour) {
  const [red, green, blue] = [1, 3, 5].map((place) => {
    const value = parseInt(colour.slice(place, place + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}
