// The SVG over the photo: the selected shape's handles or vertices, what is being drawn, the crosshair.

import { HANDLES, findHandlePoint } from "./annotate_geometry.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const HANDLE = 10; // CSS pixels of a side
const SHORTEST_SIDE = 34; // CSS pixels below which only the corners of a box have handles
const MOST_VERTICES = 400;
const CURSORS = { nw: "nwse", se: "nwse", ne: "nesw", sw: "nesw", n: "ns", s: "ns", e: "ew", w: "ew" };

/** Return the names of the handles that a box has at this zoom. */
export function listHandles([left, top, right, bottom], view) {
  const isNarrow = view.scale * (right - left) < SHORTEST_SIDE;
  const isFlat = view.scale * (bottom - top) < SHORTEST_SIDE;
  return Object.keys(HANDLES).filter((name) => name.length === 2 || !("ns".includes(name) ? isNarrow : isFlat));
}

/** The cursor's name over a handle. */
export const cursorOf = (name) => `${CURSORS[name]}-resize`;

/** Draw what belongs to the selection, the drawing and the pointer into `svg`. */
export function drawOverlay(svg, view, { selected, isLocked, draft, pointer, cursor, snap, size }) {
  const nodes = [];
  if (pointer) nodes.push(...drawCross(view.toScreen(pointer), view, size, "annotate-cross"));
  if (cursor) nodes.push(...drawCross(view.toScreen(cursor), view, size, "annotate-cross annotate-cross-keys"));
  if (selected) nodes.push(...drawSelected(view, selected, isLocked));
  if (draft) nodes.push(...drawDraft(view, draft));
  if (snap) nodes.push(makeCircle(view.toScreen(snap), 9, "annotate-snap"));
  svg.replaceChildren(...nodes);
}

function drawSelected(view, shape, isLocked) {
  const nodes = [];
  if (shape.kind === "polygon") nodes.push(...shape.rings.map((ring) => makePath(view, ring, "annotate-selected", true)));
  else nodes.push(makePath(view, cornersOf(shape.box), "annotate-selected", true));
  if (isLocked || shape.kind === "mask") return nodes;
  if (shape.kind === "polygon") {
    const vertices = shape.rings.flat();
    if (vertices.length <= MOST_VERTICES) for (const point of vertices) nodes.push(makeCircle(view.toScreen(point), 5, "annotate-vertex"));
    return nodes;
  }
  for (const name of listHandles(shape.box, view)) nodes.push(makeHandle(view.toScreen(findHandlePoint(shape.box, name)), name));
  return nodes;
}

function drawDraft(view, { box, points = [], corners = points, isClosed, brush }) {
  const nodes = [];
  if (box) nodes.push(makePath(view, cornersOf(box), "annotate-draft", true));
  if (points.length > 1) nodes.push(makePath(view, points, "annotate-draft", isClosed));
  for (const point of corners) nodes.push(makeCircle(view.toScreen(point), 5, "annotate-vertex"));
  if (brush) nodes.push(...drawBrush(view, brush));
  return nodes;
}

function drawBrush(view, { point, radius, stroke, colour }) {
  const circle = makeCircle(view.toScreen(point), radius * view.scale, "annotate-brush");
  if (!stroke) return [circle];
  const line = makePath(view, stroke, "annotate-stroke", false);
  line.setAttribute("stroke", colour);
  line.setAttribute("stroke-width", 2 * radius * view.scale);
  return [line, circle];
}

function drawCross([x, y], view, { width, height }, name) {
  const [left, top] = view.toScreen([0, 0]);
  const [right, bottom] = view.toScreen([width, height]);
  return [[left, y, right, y], [x, top, x, bottom]].map(([x1, y1, x2, y2]) => make("line", { x1, y1, x2, y2, class: name }));
}

const cornersOf = ([left, top, right, bottom]) => [[left, top], [right, top], [right, bottom], [left, bottom]];

function makePath(view, points, name, isClosed) {
  const text = points.map((point) => view.toScreen(point).join(",")).join(" ");
  return make(isClosed ? "polygon" : "polyline", { points: text, class: name });
}

function makeHandle([x, y], name) {
  const side = HANDLE;
  return make("rect", { x: x - side / 2, y: y - side / 2, width: side, height: side, rx: 2, class: "annotate-handle", "data-handle": name });
}

const makeCircle = ([cx, cy], r, name) => make("circle", { cx, cy, r, class: name });

function make(tag, attributes) {
  const node = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
