// Mouse, pen and fingers on the photo: what they press is the work of a tool; wheel, pinch and Space move the view.

import { clampPoint } from "./annotate_geometry.js";
import { findGrab } from "./annotate_tools.js";

const WHEEL_STEP = 1.0015;
const REACH = 9; // CSS pixels around a handle
const TOUCH_REACH = 22;

/** Listens to the pointers on the frame of a Stage. */
export class PointerInput {
  #frame;
  #stage;
  #drag = null;
  #touches = new Map();
  #pinch = null;

  constructor(frame, stage) {
    this.#frame = frame;
    this.#stage = stage;
    for (const [name, handle] of Object.entries({
      pointerdown: (event) => this.#press(event),
      pointermove: (event) => this.#move(event),
      pointerup: (event) => this.#release(event),
      pointercancel: (event) => this.#release(event, true),
      pointerleave: () => this.#leave(),
      contextmenu: (event) => event.preventDefault(),
      dblclick: () => stage.tool.finish() && stage.showChange(),
    })) frame.addEventListener(name, handle);
    frame.addEventListener("wheel", (event) => this.#turnWheel(event), { passive: false });
  }

  get isDragging() {
    return this.#drag !== null;
  }

  /** Whether the drag moves the photo. */
  get isPanning() {
    return Boolean(this.#drag?.isPan);
  }

  /** Give up the drag. */
  abort() {
    this.#drag?.cancel?.();
    this.#drag = null;
  }

  /** The pointer's place in the frame, in CSS pixels. */
  #locate(event) {
    const { left, top } = this.#frame.getBoundingClientRect();
    return [event.clientX - left - this.#frame.clientLeft, event.clientY - top - this.#frame.clientTop];
  }

  #press(event) {
    const stage = this.#stage;
    if (!stage.document) return;
    stage.focus();
    const place = this.#locate(event);
    this.#frame.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") this.#touches.set(event.pointerId, place);
    if (this.#touches.size === 2) {
      stage.abort(); // a second finger: what the first one began was no drawing
      this.#pinch = measurePinch([...this.#touches.values()]);
      return;
    }
    if (this.#drag || this.#touches.size > 2) return;
    stage.finishNudge();
    stage.cursor = null;
    this.#drag = this.#startDrag(event, place);
    stage.requestDraw();
  }

  #startDrag(event, place) {
    const stage = this.#stage;
    if (event.button === 1 || stage.isPanning) {
      event.preventDefault();
      return makePan(stage.view, place);
    }
    if (event.button !== 0) return null;
    const point = clampPoint(stage.view.toPhoto(place), stage.size);
    const reach = event.pointerType === "touch" ? TOUCH_REACH : REACH;
    return findGrab(stage, place, reach, event) ?? stage.tool.press(point, place, event) ?? makePan(stage.view, place);
  }

  #move(event) {
    const stage = this.#stage;
    if (!stage.document) return;
    const place = this.#locate(event);
    if (this.#touches.has(event.pointerId)) this.#touches.set(event.pointerId, place);
    if (this.#pinch) {
      this.#followPinch();
      return;
    }
    const point = clampPoint(stage.view.toPhoto(place), stage.size);
    stage.pointer = event.pointerType === "touch" ? null : point;
    if (this.#drag) this.#drag.move(point, place, event);
    else this.#hover(point, place);
    stage.requestDraw();
  }

  #hover(point, place) {
    const stage = this.#stage;
    stage.tool.hover(point);
    const grab = findGrab(stage, place, REACH, null);
    stage.hoveredId = stage.tool.name === "select" ? (stage.findShapesAt(point)[0] ?? null) : null;
    this.#frame.style.cursor = stage.isPanning ? "grab" : (grab?.cursor ?? (stage.hoveredId ? "move" : stage.tool.cursor));
  }

  #release(event, isCancelled = false) {
    this.#touches.delete(event.pointerId);
    if (this.#pinch) {
      if (!this.#touches.size) this.#pinch = null;
      return;
    }
    const drag = this.#drag;
    this.#drag = null;
    if (drag && isCancelled) drag.cancel?.();
    else drag?.finish(event);
    this.#stage.showChange();
  }

  #leave() {
    this.#stage.pointer = this.#stage.hoveredId = null;
    this.#stage.requestDraw();
  }

  #followPinch() {
    const { view } = this.#stage;
    const [one, other] = this.#touches.values();
    if (!other) return;
    const now = measurePinch([one, other]);
    view.panBy(now.middle[0] - this.#pinch.middle[0], now.middle[1] - this.#pinch.middle[1]);
    view.zoomAt(now.distance / this.#pinch.distance, now.middle);
    this.#pinch = now;
    this.#stage.showChange();
  }

  #turnWheel(event) {
    event.preventDefault();
    if (!this.#stage.document) return;
    const lines = event.deltaMode === 1 ? 20 : 1;
    const power = event.ctrlKey ? 5 : 1; // a trackpad's pinch comes as small steps with Ctrl
    this.#stage.view.zoomAt(WHEEL_STEP ** (-event.deltaY * lines * power), this.#locate(event));
    this.#stage.showChange();
  }
}

function makePan(view, start) {
  let last = start;
  return {
    isPan: true,
    move: (_point, place) => {
      view.panBy(place[0] - last[0], place[1] - last[1]);
      last = place;
    },
    finish: () => {},
  };
}

/** @param {number[][]} places */
function measurePinch([one, other]) {
  const distance = Math.max(1, Math.hypot(other[0] - one[0], other[1] - one[1]));
  return { distance, middle: [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2] };
}
