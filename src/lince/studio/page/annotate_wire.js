// The wire of the scissors: the part of the photo around a click, and the path along edges from there to any point.

import { findStrongest, readPath, simplifyLine } from "./annotate_scissors.js";

const SIDE = 512; // pixels of the part that is looked at
const REACH = 6; // pixels around the pointer in which the strongest edge is taken
const TOLERANCE = 0.8; // pixels of the part that a point may lie beside the line without it

let worker = null;
let number = 0;
const waiting = new Map(); // id of a request -> what takes its answer

function ask(message, transfer) {
  worker ??= startWorker();
  const id = (number += 1);
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, ...message }, transfer);
  });
}

function startWorker() {
  const started = new Worker(new URL("./annotate_scissors_worker.js", import.meta.url), { type: "module" });
  started.addEventListener("message", ({ data }) => {
    waiting.get(data.id)?.resolve(data);
    waiting.delete(data.id);
  });
  started.addEventListener("error", () => {
    for (const { reject } of waiting.values()) reject(new Error("the scissors' worker has ended"));
    waiting.clear();
    worker = null;
  });
  return started;
}

/** Paths along edges from one point of the photo, in the part of it around that point. */
export class Wire {
  #part;
  #back;
  #gradient;

  /** Look at the photo around `point`; `scale` is that of the screen, of which no finer detail is looked at. */
  static async lay(picture, size, point, scale) {
    const part = cutPart(picture, size, point, Math.min(1, scale));
    const { pixels, width, height } = part;
    const seed = toPart(part, point);
    const answer = await ask({ pixels, width, height, seed, reach: REACH }, [pixels.buffer]);
    return new Wire(part, answer);
  }

  constructor(part, { seed, back, gradient }) {
    this.#part = part;
    this.#back = back;
    this.#gradient = gradient;
    /** Where the wire begins: the strongest edge near the click. */
    this.start = toPhoto(part, seed);
  }

  /** Return the points from the start to `point`; beyond the part that was looked at, the rest is a straight line. */
  follow(point) {
    const part = this.#part;
    const inside = toPart(part, point);
    const isOutside = Math.hypot(...toPhoto(part, inside).map((value, place) => value - point[place])) * part.scale > 1;
    const end = isOutside ? inside : findStrongest(this.#gradient, part.width, part.height, inside, REACH);
    const path = simplifyLine(readPath(this.#back, part.width, end), TOLERANCE).map((pixel) => toPhoto(part, pixel));
    return isOutside ? [...path, point] : path;
  }
}

/** Return the pixels around a point: at most SIDE by SIDE, with how many there are for one of the photo. */
function cutPart(picture, { width, height }, /** @type {number[]} */ [x, y], scale) {
  const side = SIDE / scale;
  const left = Math.max(0, Math.min(width - side, x - side / 2));
  const top = Math.max(0, Math.min(height - side, y - side / 2));
  const [across, down] = [Math.min(side, width), Math.min(side, height)];
  const canvas = new OffscreenCanvas(Math.max(8, Math.round(across * scale)), Math.max(8, Math.round(down * scale)));
  const shrunk = picture.naturalWidth / width; // a large photo comes smaller than it is
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, left * shrunk, top * shrunk, across * shrunk, down * shrunk, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  return { pixels, left, top, width: canvas.width, height: canvas.height, scale: canvas.width / across };
}

const toPhoto = ({ left, top, scale }, /** @type {number[]} */ [x, y]) => [left + (x + 0.5) / scale, top + (y + 0.5) / scale];

function toPart({ left, top, scale, width, height }, /** @type {number[]} */ [x, y]) {
  const bound = (value, most) => Math.max(0, Math.min(most - 1, Math.floor(value)));
  return [bound((x - left) * scale, width), bound((y - top) * scale, height)];
}
