// Where the photo lies in its frame: screen = scale * photo + offset, both in CSS pixels from the frame's top left corner.

const MARGIN = 12; // CSS pixels around a photo that is fitted
const LARGEST = 64; // CSS pixels for one of the photo
const KEPT = 48; // CSS pixels of the photo that cannot be moved out of sight

/** The scale and offset of the photo; all points are [x, y]. */
export class View {
  scale = 1;
  left = 0;
  top = 0;
  #photo = [1, 1];
  #frame = [1, 1];
  #isFitted = true;

  /** Say how large the photo is, in its own pixels, and fit it. */
  setPhoto(width, height) {
    this.#photo = [width, height];
    this.fit();
  }

  /** Say how large the frame is; a fitted photo stays fitted, another keeps its middle. */
  setFrame(width, height) {
    const [oldWidth, oldHeight] = this.#frame;
    this.#frame = [Math.max(1, width), Math.max(1, height)];
    if (this.#isFitted) this.fit();
    else this.panBy((width - oldWidth) / 2, (height - oldHeight) / 2);
  }

  /** The middle of the frame. */
  get middle() {
    return this.#frame.map((side) => side / 2);
  }

  /** Show the whole photo as large as possible. */
  fit() {
    this.scale = this.#fittingScale;
    this.left = (this.#frame[0] - this.scale * this.#photo[0]) / 2;
    this.top = (this.#frame[1] - this.scale * this.#photo[1]) / 2;
    this.#isFitted = true;
  }

  /** Show one pixel of the photo as one CSS pixel, around the middle. */
  showActualSize() {
    this.zoomAt(1 / this.scale, this.middle);
  }

  /** Enlarge by `factor`; the point of the photo under `place` stays there. */
  zoomAt(factor, place) {
    const smallest = Math.min(this.#fittingScale / 2, 1);
    const scale = Math.min(LARGEST, Math.max(smallest, this.scale * factor));
    const [x, y] = this.toPhoto(place);
    this.scale = scale;
    this.left = place[0] - scale * x;
    this.top = place[1] - scale * y;
    this.#isFitted = false;
    this.#keepInSight();
  }

  /** Move the photo by CSS pixels. */
  panBy(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.#isFitted = false;
    this.#keepInSight();
  }

  /** Show a box [left, top, right, bottom] of the photo in the middle, three times as large as it needs to fit. */
  showBox([left, top, right, bottom]) {
    const [width, height] = this.#frame;
    const scale = Math.min(width / (right - left), height / (bottom - top)) / 2;
    this.scale = Math.min(LARGEST, Math.max(this.#fittingScale, scale));
    this.left = width / 2 - (this.scale * (left + right)) / 2;
    this.top = height / 2 - (this.scale * (top + bottom)) / 2;
    this.#isFitted = false;
  }

  toScreen(/** @type {number[]} */ [x, y]) {
    return [this.scale * x + this.left, this.scale * y + this.top];
  }

  toPhoto(/** @type {number[]} */ [x, y]) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  get #fittingScale() {
    const [width, height] = this.#frame.map((side) => Math.max(16, side - 2 * MARGIN));
    return Math.min(width / this.#photo[0], height / this.#photo[1], LARGEST);
  }

  #keepInSight() {
    const bound = (offset, frame, photo) => Math.min(frame - KEPT, Math.max(KEPT - this.scale * photo, offset));
    this.left = bound(this.left, this.#frame[0], this.#photo[0]);
    this.top = bound(this.top, this.#frame[1], this.#photo[1]);
  }
}
