// Edits the class map of an image: a person gives an area another class, and paints with a brush.

import { createSwatch } from "./class_colours.js";
import { byId, createElement } from "./dom.js";
import { text } from "./texts.js";

const MOST_UNDONE = 10; // strokes

/** The class map that is corrected, and the brush on `canvas`. */
export class MaskEditor {
  /** `changed` is called whenever the picture has to be drawn again. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.classMap = null; // open while there is one
    this.before = []; // the values before each stroke
    this.place = null; // of the pointer, while it is down
    byId("paint").addEventListener("click", () => this.#setPainting(!this.isPainting));
    byId("paint-undo").addEventListener("click", () => this.#undo());
    for (const [name, handle] of Object.entries({
      pointerdown: (event) => this.#startStroke(event),
      pointermove: (event) => this.#paintTo(event),
      pointerup: () => { this.place = null; },
      pointercancel: () => { this.place = null; },
    })) canvas.addEventListener(name, handle);
  }

  get isPainting() {
    return this.canvas.classList.contains("painting");
  }

  /** Begin with a copy of `classMap`; `found` are the names of its classes. */
  open(classMap, found) {
    this.classMap = classMap.copy();
    this.before = [];
    this.#setPainting(false);
    const { model } = classMap;
    byId("paint-class").replaceChildren(...model.classes.map((name, index) => new Option(name, index + 1)),
      new Option(text("background"), 0));
    byId("area-list").replaceChildren(...found.map((name) => this.#createItem(name)));
    this.#showUndo();
  }

  close() {
    if (!this.classMap) return;
    this.classMap = null;
    this.before = [];
    this.#setPainting(false);
  }

  /** Return a list item with the class called `name` and a choice of what it really is. */
  #createItem(name) {
    const { model } = this.classMap;
    const [item, select] = [createElement("li"), createElement("select")];
    select.setAttribute("aria-label", text("area-is", { name }));
    let value = model.classes.indexOf(name) + 1;
    model.classes.forEach((one, index) => select.append(new Option(one, index + 1)));
    select.append(new Option(text("background"), 0));
    select.value = String(value);
    select.addEventListener("change", () => {
      this.#remember();
      this.classMap.replace(value, Number(select.value));
      value = Number(select.value);
      item.firstChild.replaceWith(createSwatch(model.classes[value - 1] ?? "", model));
      this.changed();
    });
    item.append(createSwatch(name, model), createElement("span", "name", name), select);
    return item;
  }

  #setPainting(isPainting) {
    this.canvas.classList.toggle("painting", isPainting);
    byId("paint").setAttribute("aria-pressed", String(isPainting));
    byId("brush").hidden = !isPainting;
    this.place = null;
    this.changed();
  }

  /** Return the pointer's place, and the radius of the brush, in pixels of the image. */
  #locate(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const scale = this.classMap.width / width;
    const radius = (Number(byId("brush-size").value) / 2) * scale;
    return [(event.clientX - left) * scale, ((event.clientY - top) / height) * this.classMap.height, radius];
  }

  #startStroke(event) {
    if (!this.classMap || !this.isPainting || event.button > 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.#remember();
    this.place = this.#locate(event);
    this.#paintTo(event);
  }

  #paintTo(event) {
    if (!this.place) return;
    const [[x, y], [endX, endY, radius]] = [this.place, this.#locate(event)];
    const steps = Math.max(1, Math.ceil(Math.hypot(endX - x, endY - y) / Math.max(1, radius / 2)));
    const value = Number(byId("paint-class").value);
    for (let step = 1; step <= steps; step++) {
      this.classMap.paint(x + ((endX - x) * step) / steps, y + ((endY - y) * step) / steps, radius, value);
    }
    this.place = [endX, endY];
    this.changed();
  }

  #remember() {
    this.before = [...this.before.slice(1 - MOST_UNDONE), this.classMap.values.slice()];
    this.#showUndo();
  }

  #undo() {
    this.classMap.values.set(this.before.pop());
    this.classMap.colour(0, 0, this.classMap.width, this.classMap.height);
    this.#showUndo();
    this.changed();
  }

  #showUndo() {
    byId("paint-undo").disabled = !this.before.length;
  }
}
