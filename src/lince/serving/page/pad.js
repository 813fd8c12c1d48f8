// A pad to draw a digit on: by mouse, finger or pen, and by keyboard.

const LINE_WIDTH = 0.075; // lengths are fractions of the pad's side
const KEY_STEP = 0.04;
const FINE_KEY_STEP = 0.01;
const SMALLEST_STEP = 0.004; // between two points of a stroke
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The strokes on `canvas`, lists of points [x, y]; `changed` is called when one was finished or removed. */
export class DrawingPad {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = [];
    this.stroke = null; // the one that is being drawn
    this.cursor = [0.5, 0.5]; // the pen of the keyboard
    this.isKeyboardUsed = false;
    for (const [name, handle] of Object.entries({
      pointerdown: (event) => this.#startStroke(event),
      pointermove: (event) => this.#extendStroke(event),
      pointerup: () => this.#finishStroke(),
      pointercancel: () => this.#finishStroke(),
      keydown: (event) => this.#handleKey(event),
      blur: () => this.#leave(),
    })) canvas.addEventListener(name, handle);
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  undo() {
    this.stroke = null;
    this.strokes.pop();
    this.draw();
    this.changed();
  }

  clear() {
    this.stroke = null;
    this.strokes = [];
    this.draw();
    this.changed();
  }

  draw() {
    const side = this.canvas.clientWidth;
    if (!side) return;
    this.canvas.width = this.canvas.height = Math.round(side * (window.devicePixelRatio || 1));
    const context = this.canvas.getContext("2d");
    context.scale(this.canvas.width, this.canvas.height);
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = LINE_WIDTH;
    context.strokeStyle = "#fff";
    for (const stroke of this.stroke ? [...this.strokes, this.stroke] : this.strokes) drawStroke(context, stroke);
    if (this.isKeyboardUsed) drawCursor(context, this.cursor, this.stroke !== null);
  }

  #locate(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height].map(round);
  }

  #startStroke(event) {
    if (event.button > 0 || (this.stroke && !this.isKeyboardUsed)) return;
    this.#finishStroke();
    this.isKeyboardUsed = false;
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = [this.#locate(event)];
    this.draw();
  }

  #extendStroke(event) {
    if (!this.stroke || this.isKeyboardUsed) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const step of events.length ? events : [event]) addPoint(this.stroke, this.#locate(step));
    this.draw();
  }

  #finishStroke() {
    if (!this.stroke) return;
    this.strokes.push(this.stroke);
    this.stroke = null;
    this.draw();
    this.changed();
  }

  #leave() {
    this.isKeyboardUsed = false;
    this.#finishStroke();
    this.draw();
  }

  #handleKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = ARROWS[event.key];
    if (direction) this.#moveCursor(direction, event.shiftKey ? FINE_KEY_STEP : KEY_STEP);
    else if (event.key === " ") this.#togglePen();
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  #moveCursor(direction, step) {
    this.isKeyboardUsed = true;
    this.cursor = this.cursor.map((value, axis) => round(Math.min(1, Math.max(0, value + direction[axis] * step))));
    if (this.stroke) addPoint(this.stroke, [...this.cursor]);
    this.draw();
  }

  #togglePen() {
    this.isKeyboardUsed = true;
    if (this.stroke) this.#finishStroke();
    else this.stroke = [[...this.cursor]];
    this.draw();
  }
}

const round = (value) => Math.round(value * 1e4) / 1e4;

function addPoint(stroke, point) {
  const last = stroke[stroke.length - 1];
  if (Math.hypot(point[0] - last[0], point[1] - last[1]) >= SMALLEST_STEP) stroke.push(point);
}

function drawStroke(context, points) {
  context.beginPath();
  context.moveTo(...points[0]);
  for (const point of points.length > 1 ? points.slice(1) : points) context.lineTo(...point);
  context.stroke();
}

/** Draw the keyboard's pen as a cross: green while it is down, orange while it is up. */
function drawCursor(context, [x, y], isDown) {
  context.save();
  context.lineWidth = 0.008;
  context.strokeStyle = isDown ? "#5cc487" : "#f0a54a";
  context.beginPath();
  for (const [dx, dy] of [[0.045, 0], [0, 0.045]]) {
    context.moveTo(x - dx, y - dy);
    context.lineTo(x + dx, y + dy);
  }
  context.stroke();
  context.restore();
}
