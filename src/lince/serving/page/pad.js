// A sheet to draw a digit on: by mouse, finger or pen, and by keyboard.

const THICK = 0.075; // of the sheet's side
const STEP = 0.04;
const FINE = 0.01;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The strokes on `canvas`, in shares of its side; `changed` hears of every stroke that is done or undone. */
export class Pad {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = [];
    this.stroke = null;
    this.cursor = [0.5, 0.5];
    this.keyed = false;
    for (const [name, act] of Object.entries({
      pointerdown: (event) => this.#down(event),
      pointermove: (event) => this.#move(event),
      pointerup: () => this.#up(),
      pointercancel: () => this.#up(),
      keydown: (event) => this.#key(event),
      blur: () => { this.keyed = false; this.#up(); this.draw(); },
    })) canvas.addEventListener(name, act);
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
    const dots = window.devicePixelRatio || 1;
    this.canvas.width = this.canvas.height = Math.round(side * dots);
    const pen = this.canvas.getContext("2d");
    pen.scale(this.canvas.width, this.canvas.height);
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = THICK;
    pen.strokeStyle = "#fff";
    for (const stroke of this.stroke ? [...this.strokes, this.stroke] : this.strokes) line(pen, stroke);
    if (this.keyed) cross(pen, this.cursor, this.stroke !== null);
  }

  #place(event) {
    const sheet = this.canvas.getBoundingClientRect();
    return [(event.clientX - sheet.left) / sheet.width, (event.clientY - sheet.top) / sheet.height].map(rounded);
  }

  #down(event) {
    if (event.button > 0 || (this.stroke && !this.keyed)) return;
    this.#up();
    this.keyed = false;
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = [this.#place(event)];
    this.draw();
  }

  #move(event) {
    if (!this.stroke || this.keyed) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) add(this.stroke, this.#place(one));
    this.draw();
  }

  #up() {
    if (!this.stroke) return;
    this.strokes.push(this.stroke);
    this.stroke = null;
    this.draw();
    this.changed();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = ARROWS[event.key];
    if (way) this.#walk(way, event.shiftKey ? FINE : STEP);
    else if (event.key === " ") this.#lift();
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
  }

  #walk(way, step) {
    this.keyed = true;
    this.cursor = this.cursor.map((value, axis) => rounded(Math.min(1, Math.max(0, value + way[axis] * step))));
    if (this.stroke) add(this.stroke, [...this.cursor]);
    this.draw();
  }

  #lift() {
    this.keyed = true;
    if (this.stroke) this.#up();
    else this.stroke = [[...this.cursor]];
    this.draw();
  }
}

const rounded = (value) => Math.round(value * 1e4) / 1e4;

function add(stroke, point) {
  const last = stroke[stroke.length - 1];
  if (Math.hypot(point[0] - last[0], point[1] - last[1]) >= 0.004) stroke.push(point);
}

function line(pen, points) {
  pen.beginPath();
  pen.moveTo(...points[0]);
  for (const point of points.length > 1 ? points.slice(1) : points) pen.lineTo(...point);
  pen.stroke();
}

function cross(pen, [x, y], down) {
  pen.save();
  pen.lineWidth = 0.008;
  pen.strokeStyle = down ? "#5cc487" : "#f0a54a";
  pen.beginPath();
  for (const [dx, dy] of [[0.045, 0], [0, 0.045]]) {
    pen.moveTo(x - dx, y - dy);
    pen.lineTo(x + dx, y + dy);
  }
  pen.stroke();
  pen.restore();
}
