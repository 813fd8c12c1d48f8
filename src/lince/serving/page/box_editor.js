// Edits the boxes of an image: a person changes or removes their classes, and draws boxes that are missing.

import { createSwatch } from "./class_colours.js";
import { byId, createElement } from "./dom.js";
import { formatNumber, text } from "./texts.js";

const SMALLEST_BOX = 3; // CSS pixels of a side; less is a click, not a box
const KEY_STEPS = 50; // key presses from one side of the image to the other
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The boxes [left, top, right, bottom] in pixels of the image, and the one that is being drawn on `canvas`. */
export class BoxEditor {
  /** `changed` is called whenever the boxes have to be drawn again. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.isOpen = false;
    this.entries = []; // {box, class}; an entry that is no object has the class ""
    this.box = null; // the new box, while it is drawn
    this.corner = null; // where the pointer went down
    byId("add-box").addEventListener("click", () => this.#setAdding(!this.isAdding));
    for (const [name, handle] of Object.entries({
      pointerdown: (event) => this.#startBox(event),
      pointermove: (event) => this.#stretchBox(event),
      pointerup: () => this.#finishBox(),
      pointercancel: () => this.#setAdding(false),
      keydown: (event) => this.#handleKey(event),
    })) canvas.addEventListener(name, handle);
  }

  get isAdding() {
    return this.canvas.classList.contains("adding");
  }

  /** The corrected objects, {box, class}. */
  get objects() {
    return this.entries.filter((entry) => entry.class);
  }

  /** The objects to draw, numbered from 1 as in the list, and the new box before them. */
  get drawnObjects() {
    const numbered = this.entries.map((entry, index) => ({ ...entry, number: index + 1 }));
    const objects = numbered.filter((entry) => entry.class);
    return this.box ? [{ box: this.box, class: "" }, ...objects] : objects;
  }

  /** Begin with the `objects` that `model` found on an image of `size`, {width, height}. */
  open(objects, model, size) {
    this.model = model;
    this.size = { width: size.width, height: size.height };
    this.entries = objects.map((object) => ({ box: object.box, class: object.class }));
    this.isOpen = true;
    this.#setAdding(false);
    this.#showList();
  }

  close() {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#setAdding(false);
  }

  #setAdding(isAdding) {
    this.canvas.classList.toggle("adding", isAdding);
    this.canvas.tabIndex = isAdding ? 0 : -1;
    byId("add-box").setAttribute("aria-pressed", String(isAdding));
    byId("add-box-help").hidden = !isAdding;
    this.box = this.corner = null;
    if (isAdding) {
      this.canvas.focus({ preventScroll: true });
      this.canvas.scrollIntoView({ block: "nearest", behavior: "instant" });
    }
    this.changed();
  }

  #showList() {
    byId("box-list").replaceChildren(...this.entries.map((entry, index) => this.#createItem(entry, index)));
  }

  #createItem(entry, index) {
    const item = createElement("li");
    const select = createElement("select");
    const number = formatNumber(index + 1);
    select.setAttribute("aria-label", text("object", { number }));
    for (const name of [...this.model.classes, ""]) {
      select.append(new Option(name || text("no-object"), name, name === entry.class, name === entry.class));
    }
    select.addEventListener("change", () => {
      entry.class = select.value;
      item.firstChild.replaceWith(createSwatch(entry.class, this.model));
      this.changed();
    });
    item.append(createSwatch(entry.class, this.model), select, createElement("span", "value", number));
    return item;
  }

  /** CSS pixels of the canvas for one pixel of the image, across and down. */
  get #scale() {
    const { width, height } = this.canvas.getBoundingClientRect();
    return [width / this.size.width, height / this.size.height];
  }

  /** Return the pointer's place in pixels of the image, within its borders. */
  #locate(event) {
    const [across, down] = this.#scale;
    const { left, top } = this.canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - left) / across, (event.clientY - top) / down];
    return [Math.max(0, Math.min(this.size.width, x)), Math.max(0, Math.min(this.size.height, y))];
  }

  #startBox(event) {
    if (!this.isAdding || event.button > 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.corner = this.#locate(event);
  }

  #stretchBox(event) {
    if (!this.corner) return;
    const [[left, top], [right, bottom]] = [this.corner, this.#locate(event)];
    this.box = [Math.min(left, right), Math.min(top, bottom), Math.max(left, right), Math.max(top, bottom)];
    this.changed();
  }

  #finishBox() {
    if (this.corner && this.box) this.#addBox();
    this.corner = null;
  }

  /** Add the new box with the first class, for the person to choose another; drop it where it is too small. */
  #addBox() {
    const [left, top, right, bottom] = this.box;
    const [across, down] = this.#scale;
    const isLarge = (right - left) * across >= SMALLEST_BOX && (bottom - top) * down >= SMALLEST_BOX;
    const box = this.box.map((side) => Math.round(side * 100) / 100);
    this.#setAdding(false);
    if (!isLarge) return;
    this.entries.push({ box, class: this.model.classes[0] });
    this.#showList();
    this.changed();
    byId("box-list").lastChild.querySelector("select").focus();
  }

  #handleKey(event) {
    if (!this.isAdding || event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = ARROWS[event.key];
    if (direction) this.#moveBox(direction, event.shiftKey);
    else if (event.key === "Enter" && this.box) this.#addBox();
    else if (event.key === "Escape") this.#setAdding(false);
    else return;
    event.preventDefault();
  }

  /** Move the new box one step, or its right and bottom sides with `resize`; the first key press shows it. */
  #moveBox(direction, resize) {
    const { width, height } = this.size;
    const [dx, dy] = [(direction[0] * width) / KEY_STEPS, (direction[1] * height) / KEY_STEPS];
    const [left, top, right, bottom] = this.box ?? [width * 0.4, height * 0.4, width * 0.6, height * 0.6];
    const moved = resize ? [left, top, right + dx, bottom + dy] : [left + dx, top + dy, right + dx, bottom + dy];
    const isInside = moved[0] >= 0 && moved[1] >= 0 && moved[2] <= width && moved[3] <= height;
    if (isInside && moved[2] > left && moved[3] > top) this.box = moved;
    this.box ??= [left, top, right, bottom];
    this.changed();
  }
}
