// What a person says of a detector's answer: which objects are right, which are not, and which were missed.

import { dot } from "./answer.js";
import { at, made, number, say } from "./words.js";

const LEAST = 3; // CSS pixels of a box that is meant
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The objects as a person sets them right, and the box that is being drawn on `canvas`. */
export class Marking {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.marks = [];
    this.scale = { across: 1, down: 1 };
    this.box = null;
    this.corner = null;
    at("add").addEventListener("click", () => this.#adding(!this.adding));
    for (const [name, act] of Object.entries({
      pointerdown: (event) => this.#down(event),
      pointermove: (event) => this.#move(event),
      pointerup: () => this.#up(),
      pointercancel: () => this.#adding(false),
      keydown: (event) => this.#key(event),
    })) canvas.addEventListener(name, act);
  }

  get adding() {
    return this.canvas.classList.contains("adding");
  }

  /** Begin with what `model` found on a photo of `size`. */
  begin(objects, model, size) {
    this.model = model;
    this.size = size;
    this.marks = objects.map((one) => ({ box: one.box, class: one.class }));
    this.#adding(false);
    this.#list();
  }

  /** All that is on the photo, as the person says. */
  get objects() {
    return this.marks.filter((one) => one.class);
  }

  /** What is drawn while the answer is set right. */
  get drawn() {
    const numbered = this.marks.map((one, index) => ({ ...one, number: index + 1 })).filter((one) => one.class);
    return this.box ? [{ box: this.box, class: "" }, ...numbered] : numbered;
  }

  #adding(on) {
    this.canvas.classList.toggle("adding", on);
    this.canvas.tabIndex = on ? 0 : -1;
    at("add").setAttribute("aria-pressed", String(on));
    at("add-help").hidden = !on;
    this.box = this.corner = null;
    if (on) {
      this.canvas.focus({ preventScroll: true });
      this.canvas.scrollIntoView({ block: "nearest", behavior: "instant" });
    }
    this.changed();
  }

  #list() {
    at("marks").replaceChildren(...this.marks.map((mark, index) => this.#row(mark, index)));
  }

  #row(mark, index) {
    const line = made("li");
    const choice = made("select");
    choice.setAttribute("aria-label", say("object", { number: number(index + 1) }));
    for (const name of [...this.model.classes, ""]) {
      choice.append(new Option(name || say("no-object"), name, name === mark.class, name === mark.class));
    }
    choice.addEventListener("change", () => {
      mark.class = choice.value;
      line.firstChild.replaceWith(dot(mark.class, this.model));
      this.changed();
    });
    line.append(dot(mark.class, this.model), choice, made("span", "value", number(index + 1)));
    return line;
  }

  #place(event) {
    const sheet = this.canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - sheet.left) / this.scale.across, (event.clientY - sheet.top) / this.scale.down];
    return [Math.max(0, Math.min(this.size.width, x)), Math.max(0, Math.min(this.size.height, y))];
  }

  #down(event) {
    if (!this.adding || event.button > 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.corner = this.#place(event);
  }

  #move(event) {
    if (!this.corner) return;
    const [[left, top], [right, bottom]] = [this.corner, this.#place(event)];
    this.box = [Math.min(left, right), Math.min(top, bottom), Math.max(left, right), Math.max(top, bottom)];
    this.changed();
  }

  #up() {
    if (this.corner && this.box) this.#keep();
    this.corner = null;
  }

  #keep() {
    const [left, top, right, bottom] = this.box;
    const seen = (right - left) * this.scale.across >= LEAST && (bottom - top) * this.scale.down >= LEAST;
    const box = this.box.map((side) => Math.round(side * 100) / 100);
    this.#adding(false);
    if (!seen) return;
    this.marks.push({ box, class: this.model.classes[0] });
    this.#list();
    this.changed();
    at("marks").lastChild.querySelector("select").focus();
  }

  #key(event) {
    if (!this.adding || event.ctrlKey || event.metaKey || event.altKey) return;
    const way = ARROWS[event.key];
    if (way) this.#shift(way, event.shiftKey);
    else if (event.key === "Enter" && this.box) this.#keep();
    else if (event.key === "Escape") this.#adding(false);
    else return;
    event.preventDefault();
  }

  #shift(way, resize) {
    const { width, height } = this.size;
    const [dx, dy] = [(way[0] * width) / 50, (way[1] * height) / 50];
    const [left, top, right, bottom] = this.box ?? [width * 0.4, height * 0.4, width * 0.6, height * 0.6];
    const moved = resize ? [left, top, right + dx, bottom + dy] : [left + dx, top + dy, right + dx, bottom + dy];
    if (moved[0] >= 0 && moved[1] >= 0 && moved[2] <= width && moved[3] <= height && moved[2] > left && moved[3] > top) {
      this.box = moved;
    }
    this.box ??= [left, top, right, bottom];
    this.changed();
  }
}
