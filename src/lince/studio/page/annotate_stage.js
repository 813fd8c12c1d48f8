// The photo with its shapes: what is selected, drawn and moved, which tool is chosen, and how it is all drawn.

import { colourOf } from "./annotate_canvas.js";
import { areaOf, clampPoint, containsPoint, moveShape, resizeBox } from "./annotate_geometry.js";
import { ShapeLayers } from "./annotate_layers.js";
import { drawOverlay } from "./annotate_overlay.js";
import { PointerInput } from "./annotate_pointer.js";
import { makeTool } from "./annotate_tools.js";
import { View } from "./annotate_view.js";
import { makeId } from "./ids.js";

const NUDGE_MS = 450; // after the last arrow key a movement is saved
const NEW_SHAPE = { flags: 0, mask: "", model: "", rings: [], score: null, source: "person" };

/**
 * Holds what belongs to this view of a photo: tool, class, selection, zoom. Events: `change` (any of them), `needs-class`
 * (a shape was drawn and the project has no class).
 */
export class Stage extends EventTarget {
  view = new View();
  tool;
  classId = null;
  selectedId = null;
  hoveredId = null;
  isHidden = false;
  hasCross = true;
  brightness = 1;
  isInverted = false;
  locked = new Set();
  draft = null; // what is being drawn
  preview = null; // {id, shape, before}: a shape while it is moved
  homeless = null; // a shape that waits for the first class
  cursor = null; // the place of the crosshair that the keys move
  pointer = null;
  snap = null;
  brushRadius = 12; // CSS pixels
  isPanning = false; // while Space is held
  #document = null;
  #frame;
  #layers;
  #svg;
  #picture = null;
  #pointer;
  #frameRequest = 0;
  #nudging = 0;
  #findClass;
  #observer;

  constructor(frame, findClass) {
    super();
    this.#frame = frame;
    this.#findClass = findClass;
    const [below, above] = frame.querySelectorAll("canvas");
    this.#layers = new ShapeLayers(below, above);
    this.#svg = frame.querySelector("svg");
    this.tool = makeTool("box", this);
    this.#pointer = new PointerInput(frame, this);
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(frame);
  }

  /** Show another photo: its labels, and its picture, an <img> that is decoded. */
  open(photoDocument, picture) {
    this.finishNudge();
    this.abort();
    this.#document = photoDocument;
    this.selectedId = this.hoveredId = this.cursor = this.homeless = null;
    this.locked = new Set();
    if (this.#picture) this.#picture.remove();
    this.#picture = picture;
    picture.className = "annotate-picture";
    picture.alt = "";
    picture.draggable = false;
    picture.style.width = `${photoDocument.record.width}px`;
    picture.style.height = `${photoDocument.record.height}px`;
    this.#frame.prepend(picture);
    this.view.setPhoto(photoDocument.record.width, photoDocument.record.height);
    this.showChange();
  }

  /** Save what the arrow keys moved, and listen no longer. */
  close() {
    this.finishNudge();
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frameRequest);
  }

  /** Whether the keyboard is on the photo. */
  get hasFocus() {
    return this.#frame.contains(document.activeElement);
  }

  /** Give the keyboard to the photo. */
  focus() {
    this.#frame.focus({ preventScroll: true });
  }

  /** The picture of the photo, an <img>. */
  get picture() {
    return this.#picture;
  }

  get document() {
    return this.#document;
  }

  /** The size of the photo. */
  get size() {
    return this.#document.record;
  }

  /** All shapes as [id, state], with the one that is being moved where it is now. */
  get shapes() {
    const shapes = this.#document?.shapes ?? [];
    const { preview } = this;
    return preview ? shapes.map(([id, shape]) => [id, id === preview.id ? preview.shape : shape]) : shapes;
  }

  /** The selected shape's state. */
  get selected() {
    if (!this.selectedId) return null;
    return this.preview?.id === this.selectedId ? this.preview.shape : (this.#document?.findShape(this.selectedId) ?? null);
  }

  /** Whether the arrow keys move a crosshair, as nothing is selected and a tool draws. */
  get drawsByKeys() {
    return !this.selectedId && this.tool.name !== "select";
  }

  /** The colour of the selected shape, else of the next one. */
  get colour() {
    return colourOf(this.#findClass(this.selected?.class ?? this.classId));
  }

  setTool(name) {
    this.finishNudge();
    this.abort();
    this.tool = makeTool(name, this);
    if (name !== "select") this.selectedId = null;
    this.cursor = null;
    this.showChange();
  }

  /** Choose the class of the next shapes; a shape that waits for a class gets it. */
  setClass(id) {
    this.classId = id;
    const { homeless } = this;
    this.homeless = null;
    if (homeless) this.addShape(homeless);
    this.showChange();
  }

  select(id) {
    this.finishNudge();
    this.selectedId = id;
    this.cursor = null;
    this.showChange();
  }

  /** Add a shape of the chosen class, and select it. */
  addShape(fields) {
    this.draft = null;
    if (this.classId === null) {
      this.homeless = fields;
      this.draft = fields.rings ? { points: fields.rings[0], isClosed: true } : { box: fields.box };
      this.dispatchEvent(new Event("needs-class"));
      return;
    }
    const id = makeId();
    const shape = { ...NEW_SHAPE, ...fields, class: this.classId, photo: this.#document.id, z: this.#document.nextZ };
    this.#document.changeShape(id, shape);
    this.select(id);
  }

  /** Change the selected shape; one that is locked stays as it is. */
  changeSelected(after) {
    this.finishNudge();
    if (!this.selected || this.locked.has(this.selectedId)) return false;
    this.#document.changeShape(this.selectedId, after);
    if (!after) this.selectedId = null;
    this.showChange();
    return true;
  }

  /** Return the ids of the shapes under a point of the photo, the smallest first. */
  findShapesAt(point) {
    if (this.isHidden) return [];
    return this.shapes.filter(([, shape]) => containsPoint(shape, point))
      .sort(([, a], [, b]) => areaOf(a) - areaOf(b)).map(([id]) => id);
  }

  /** Select the next or previous shape: of those under the pointer where several are, else of all. */
  cycle(step) {
    const under = this.pointer ? this.findShapesAt(this.pointer) : [];
    const isCovered = under.length > 1 && under.includes(this.selectedId);
    const ids = isCovered ? under : this.shapes.map(([id]) => id);
    if (!ids.length) return false;
    const place = ids.indexOf(this.selectedId);
    this.select(ids[place < 0 ? (step > 0 ? 0 : ids.length - 1) : (place + step + ids.length) % ids.length]);
    return true;
  }

  /** Move the selected shape by pixels, or one side of a box (`side` is "grow" or "shrink"). */
  nudge(dx, dy, side) {
    const shape = this.selected;
    if (!shape || this.locked.has(this.selectedId)) return;
    const before = this.preview?.before ?? shape;
    const moved = side && shape.kind === "box" ? nudgeSide(shape, dx, dy, side, this.size) : moveShape(shape, dx, dy, this.size);
    this.preview = { id: this.selectedId, shape: moved, before };
    clearTimeout(this.#nudging);
    this.#nudging = setTimeout(() => this.finishNudge(), NUDGE_MS);
    this.requestDraw();
  }

  /** Save what the arrow keys have moved so far. */
  finishNudge() {
    clearTimeout(this.#nudging);
    if (this.#pointer.isDragging || !this.preview) return;
    const { id, shape, before } = this.preview;
    this.preview = null;
    this.#document.changeShape(id, shape, before);
  }

  /** Move the crosshair of the keys; it begins in the middle of what is in sight. */
  moveCursor(dx, dy) {
    const from = this.cursor ?? this.view.toPhoto(this.view.middle).map(Math.round);
    this.cursor = clampPoint([from[0] + dx, from[1] + dy], this.size);
    this.tool.hover(this.cursor);
    this.requestDraw();
  }

  /** Enter: put a corner or point at the crosshair, or finish what is drawn. Whether there was something to do. */
  enter() {
    if (this.cursor) this.tool.put(this.cursor);
    else if (!this.tool.finish()) return false;
    this.showChange();
    return true;
  }

  /** Esc: give up what is drawn, then the selection. Whether there was something to give up. */
  escape() {
    const isBusy = this.draft || this.#pointer.isDragging || this.homeless;
    const had = isBusy || this.cursor || this.selectedId;
    if (isBusy) this.abort();
    else if (this.cursor) this.cursor = null;
    else this.select(null);
    this.homeless = null;
    this.showChange();
    return Boolean(had);
  }

  /** Give up what the pointer or a tool is in the middle of; nothing of it is an edit. */
  abort() {
    this.#pointer.abort();
    this.tool.cancel();
    this.draft = this.snap = this.preview = null;
  }

  /** Draw at the next frame. */
  requestDraw() {
    this.#frameRequest ||= requestAnimationFrame(() => {
      this.#frameRequest = 0;
      this.#draw();
    });
  }

  showChange() {
    this.#layers.forget();
    this.requestDraw();
    this.dispatchEvent(new Event("change"));
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#frame;
    this.#layers.resize(clientWidth, clientHeight, window.devicePixelRatio || 1);
    this.view.setFrame(clientWidth, clientHeight);
    if (this.#document) this.#draw(); // at once: a canvas of another size is empty
  }

  #draw() {
    if (!this.#document?.record) return;
    const { view, size } = this;
    if (this.#picture) {
      this.#picture.style.transform = `translate(${view.left}px, ${view.top}px) scale(${view.scale})`;
      this.#picture.style.filter = `brightness(${this.brightness}) invert(${this.isInverted ? 1 : 0})`;
      this.#picture.classList.toggle("annotate-pixels", view.scale >= 4);
    }
    this.#drawShapes();
    drawOverlay(this.#svg, view, {
      selected: this.isHidden ? null : this.selected,
      isLocked: this.locked.has(this.selectedId),
      draft: this.draft,
      pointer: this.hasCross && this.tool.hasCross && !this.#pointer.isPanning ? this.pointer : null,
      cursor: this.cursor,
      snap: this.snap,
      size,
    });
  }

  #drawShapes() {
    const movedId = this.preview?.id ?? null;
    const strong = new Set([this.selectedId, this.hoveredId, movedId].filter(Boolean));
    const options = { strong, movedId, findClass: this.#findClass, height: this.size.height };
    this.#layers.draw(this.view, this.isHidden ? [] : this.shapes, options);
  }
}

/** Return a box whose side in the direction (dx, dy) was moved outwards ("grow") or inwards ("shrink"). */
function nudgeSide(shape, dx, dy, side, size) {
  const handle = dx < 0 ? "w" : dx > 0 ? "e" : dy < 0 ? "n" : "s";
  const sign = side === "grow" ? 1 : -1;
  const [left, top, right, bottom] = shape.box;
  const point = [dx < 0 ? left + sign * dx : right + sign * dx, dy < 0 ? top + sign * dy : bottom + sign * dy];
  const box = resizeBox(shape.box, handle, clampPoint(point, size));
  return box[2] - box[0] >= 1 && box[3] - box[1] >= 1 ? { ...shape, box } : shape;
}
