// The scissors: a polygon whose outline follows edges between one click and the next.

import { boxAround, clampPoint, distanceOf, isEmptyBox } from "./annotate_geometry.js";
import { Wire } from "./annotate_wire.js";

const CLOSING = 10; // CSS pixels around the first point

/** Each click fixes the outline so far; Enter, a double click or a click on the first point closes it. */
export class ScissorsTool {
  hasCross = true;
  cursor = "crosshair";
  #pieces = []; // the points between one click and the next; the first piece is the first click
  #wire = null; // from the last click; null while it is laid
  #clicks = []; // that wait for the wire before them
  #isClosing = false;
  #drawing = 0; // which outline is drawn: what was asked for an earlier one is dropped
  #pointer = null;

  constructor(stage, name) {
    this.stage = stage;
    this.name = name;
  }

  press(point, place) {
    const [first] = [...this.#pieces.flat(), ...this.#clicks];
    const isClosing = this.#pieces.length + this.#clicks.length > 1 && distanceOf(this.stage.view.toScreen(first), place) < CLOSING;
    return { move: (now) => this.hover(now), finish: () => (isClosing ? this.finish() : this.put(point)) };
  }

  hover(point) {
    this.#pointer = point;
    this.#show();
  }

  put(point) {
    const last = this.#clicks.at(-1) ?? this.#pieces.at(-1)?.at(-1);
    if (last && distanceOf(last, point) * this.stage.view.scale < 1) this.finish(); // a double click, or Enter twice
    else {
      this.#clicks.push(point);
      this.#takeClicks();
    }
  }

  finish() {
    if (!this.#pieces.length && !this.#clicks.length) return false;
    this.#isClosing = true;
    this.#takeClicks();
    return true;
  }

  cancel() {
    this.#reset();
    this.stage.draft = null;
  }

  /** Take back what the last click fixed; whether there was something. */
  removeLast() {
    if (!this.#pieces.length && !this.#clicks.length) return false;
    if (this.#clicks.length) this.#clicks.pop();
    else this.#pieces.pop();
    const end = this.#pieces.at(-1)?.at(-1);
    if (!this.#clicks.length) {
      this.#drawing += 1;
      this.#wire = null;
      if (end) this.#lay(end);
    }
    this.#show();
    return true;
  }

  #takeClicks() {
    while (this.#clicks.length && (this.#wire || !this.#pieces.length)) {
      const point = this.#clicks.shift();
      if (this.#pieces.length) this.#fix(this.#wire.follow(point));
      else this.#fix([point]);
    }
    if (this.#isClosing && this.#wire && !this.#clicks.length) this.#close();
    else this.#show();
  }

  #fix(points) {
    this.#pieces.push(points);
    this.#lay(points.at(-1));
  }

  /** Lay the wire from a point; where that cannot be done, the outline goes on straight. */
  async #lay(point) {
    const { stage } = this;
    const drawing = (this.#drawing += 1);
    this.#wire = null;
    const straight = { start: point, follow: (end) => [point, end] };
    const wire = await Wire.lay(stage.picture, stage.size, point, stage.view.scale).catch(() => straight);
    if (drawing !== this.#drawing) return;
    this.#wire = wire;
    if (this.#pieces.length === 1) this.#pieces = [[wire.start]];
    this.#takeClicks();
    stage.requestDraw();
  }

  /** The last piece leads back to the first point; an outline that is none goes on being drawn. */
  #close() {
    const { stage } = this;
    this.#isClosing = false;
    const ring = [...this.#pieces.flat(), ...this.#wire.follow(this.#pieces[0][0])].map((point) => clampPoint(point, stage.size));
    const points = ring.filter((point, place) => distanceOf(point, ring.at(place - 1)) > 0);
    if (this.#pieces.length < 2 || points.length < 3 || isEmptyBox(boxAround(points))) return;
    this.cancel();
    stage.addShape({ kind: "polygon", rings: [points], box: boxAround(points) });
  }

  #show() {
    const { stage } = this;
    if (!this.#pieces.length) return;
    const fixed = this.#pieces.flat();
    const end = this.#pointer ?? fixed.at(-1);
    const live = this.#wire && !this.#clicks.length ? this.#wire.follow(end) : [...this.#clicks, end];
    stage.draft = { points: [...fixed, ...live], corners: this.#pieces.map((piece) => piece.at(-1)) };
  }

  #reset() {
    this.#drawing += 1;
    this.#pieces = [];
    this.#clicks = [];
    this.#wire = this.#pointer = null;
    this.#isClosing = false;
  }
}
