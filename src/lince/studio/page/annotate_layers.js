// The two canvases over the photo: below, all shapes, drawn anew only when they or the zoom change and moved with the
// photo meanwhile; above, the few that are selected, under the pointer or being moved, drawn once a frame.

import { drawShapes } from "./annotate_canvas.js";

const MARGIN = 200; // CSS pixels around the frame, so that moving the photo shows what is beside it

/** Draws shapes on the canvases `below` and `above`. */
export class ShapeLayers {
  #below;
  #above;
  #ratio = 1;
  #drawn = null; // for what the canvas below was drawn: {scale, left, top, movedId}
  #wasDrawnAbove = false;

  constructor(below, above) {
    this.#below = below;
    this.#above = above;
  }

  /** Take the size of the frame in CSS pixels. */
  resize(width, height, ratio) {
    this.#ratio = ratio;
    setSize(this.#below, width + 2 * MARGIN, height + 2 * MARGIN, ratio);
    setSize(this.#above, width, height, ratio);
    Object.assign(this.#below.style, { left: `${-MARGIN}px`, top: `${-MARGIN}px` });
    this.forget();
  }

  /** What was drawn is no longer so. */
  forget() {
    this.#drawn = null;
  }

  /**
   * Draw `shapes`, [id, state] pairs, as `view` shows them; `strong` are the ids of those that are drawn above, and
   * `movedId` is that of the one that is being changed.
   */
  draw(view, shapes, { strong, movedId, findClass, height }) {
    const options = { findClass, height, ratio: this.#ratio };
    if (!this.#isDrawnFor(view, movedId)) {
      const others = movedId ? shapes.filter(([id]) => id !== movedId) : shapes;
      drawShapes(this.#below, shift(view, MARGIN), others, { ...options, strong: new Set() });
      this.#drawn = { scale: view.scale, left: view.left, top: view.top, movedId };
    }
    this.#below.style.transform = `translate(${view.left - this.#drawn.left}px, ${view.top - this.#drawn.top}px)`;
    const above = strong.size ? shapes.filter(([id]) => strong.has(id)) : [];
    if (above.length || this.#wasDrawnAbove) drawShapes(this.#above, view, above, { ...options, strong });
    this.#wasDrawnAbove = above.length > 0;
  }

  #isDrawnFor(view, movedId) {
    const drawn = this.#drawn;
    if (drawn?.scale !== view.scale || drawn.movedId !== movedId) return false;
    return Math.abs(view.left - drawn.left) <= MARGIN && Math.abs(view.top - drawn.top) <= MARGIN;
  }
}

/** Return what drawing needs of a view whose frame has a margin. */
function shift({ scale, left, top }, margin) {
  return { scale, toScreen: ([x, y]) => [scale * x + left + margin, scale * y + top + margin] };
}

function setSize(canvas, width, height, ratio) {
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
}
