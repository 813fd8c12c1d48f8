// The brush and the eraser: strokes of a round brush on the pixels of a mask.

import { decodeMask, encodeMask } from "./annotate_mask.js";

/** Paints the selected mask, or a new one where none is selected; the eraser takes away from the selected one. */
export class BrushTool {
  hasCross = false;
  cursor = "none";

  constructor(stage, name) {
    this.stage = stage;
    this.name = name;
  }

  press(point, _place) {
    const { stage } = this;
    const { width, height } = stage.size;
    const selected = stage.selected?.kind === "mask" && !stage.locked.has(stage.selectedId) ? stage.selected : null;
    if (!selected && this.name === "eraser") return { move: () => {}, finish: () => {} };
    const id = selected ? stage.selectedId : null;
    const pixels = selected ? decodeMask(selected.mask, width, height) : new Uint8Array(width * height);
    let last = point;
    const stroke = [point, point];
    this.#paint(pixels, point, point);
    this.#showBrush(point, stroke);
    return {
      move: (now) => {
        this.#paint(pixels, last, now);
        last = now;
        stroke.push(now);
        this.#showBrush(now, stroke);
      },
      finish: () => this.#finish(pixels, id, selected),
      cancel: () => {
        stage.draft = null;
      },
    };
  }

  hover(point) {
    this.#showBrush(point);
  }

  finish() {
    return false;
  }

  put() {}

  cancel() {
    this.stage.draft = null;
  }

  get #radius() {
    return Math.max(0.5, this.stage.brushRadius / this.stage.view.scale);
  }

  #showBrush(point, stroke = null) {
    const colour = this.name === "eraser" ? "#fff" : this.stage.colour;
    this.stage.draft = { brush: { point, radius: this.#radius, stroke, colour } };
  }

  /** Paint the pixels whose middles are within the radius of the line from one point to another. */
  #paint(pixels, [x1, y1], [x2, y2]) {
    const { width, height } = this.stage.size;
    const value = this.name === "eraser" ? 0 : 1;
    const radius = this.#radius;
    const steps = Math.max(1, Math.ceil(Math.hypot(x2 - x1, y2 - y1) / Math.max(0.5, radius / 3)));
    for (let step = 0; step <= steps; step += 1) {
      const [x, y] = [x1 + ((x2 - x1) * step) / steps, y1 + ((y2 - y1) * step) / steps];
      for (let row = Math.max(0, Math.ceil(y - radius - 0.5)); row <= Math.min(height - 1, y + radius - 0.5); row += 1) {
        const half = Math.sqrt(Math.max(0, radius ** 2 - (row + 0.5 - y) ** 2));
        const from = Math.max(0, Math.ceil(x - half - 0.5));
        const to = Math.min(width - 1, Math.floor(x + half - 0.5));
        if (to >= from) pixels.fill(value, row * width + from, row * width + to + 1);
      }
    }
  }

  #finish(pixels, id, before) {
    const { stage } = this;
    stage.draft = null;
    const { mask, box } = encodeMask(pixels, stage.size.width, stage.size.height);
    if (id) stage.document.changeShape(id, box ? { ...before, mask, box } : null, before);
    else if (box) stage.addShape({ kind: "mask", mask, box });
    if (id && !box) stage.select(null);
  }
}
