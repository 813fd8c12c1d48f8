// The class of each pixel of an image: decoded from a PNG, coloured for the screen, and written as a PNG again.

import { getClassColour } from "./class_colours.js";

const LARGEST_SIDE = 2000; // pixels of the coloured picture; no screen shows more

/** The values (0: background, 1: the first class of `model`, ...) of an image of `width` x `height`, and their picture. */
export class ClassMap {
  /** Return the class map of a grey PNG in base64. */
  static async decode(text, model, { width, height }) {
    const blob = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type: "image/png" });
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    const context = createContext(width, height);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    const { data } = context.getImageData(0, 0, width, height);
    const values = new Uint8Array(width * height);
    for (let pixel = 0; pixel < values.length; pixel++) values[pixel] = data[4 * pixel];
    return new ClassMap(values, width, height, model);
  }

  constructor(values, width, height, model) {
    Object.assign(this, { values, width, height, model });
    this.colours = [[0, 0, 0, 0], ...model.classes.map((name) => parseColour(getClassColour(name, model)))];
    this.step = Math.max(1, Math.ceil(Math.max(width, height) / LARGEST_SIDE)); // pixels for one of the picture
    this.picture = createContext(Math.ceil(width / this.step), Math.ceil(height / this.step)).canvas;
    this.colour(0, 0, width, height);
  }

  /** Return a copy that can be changed. */
  copy() {
    return new ClassMap(this.values.slice(), this.width, this.height, this.model);
  }

  /** Colour the part of the picture that shows these pixels of the image anew. */
  colour(left, top, right, bottom) {
    const [x, y] = [left, top].map((place) => Math.max(0, Math.floor(place / this.step)));
    const [endX, endY] = [Math.min(this.picture.width, Math.ceil(right / this.step)), Math.min(this.picture.height, Math.ceil(bottom / this.step))];
    if (endX <= x || endY <= y) return;
    const part = new ImageData(endX - x, endY - y);
    for (let row = y; row < endY; row++) {
      for (let column = x; column < endX; column++) {
        const value = this.values[row * this.step * this.width + column * this.step];
        part.data.set(this.colours[value] ?? this.colours[0], 4 * ((row - y) * part.width + column - x));
      }
    }
    this.picture.getContext("2d").putImageData(part, x, y);
  }

  /** Give the pixels of the value `from` the value `to`; both are places in the list of classes, from 1 on. */
  replace(from, to) {
    for (let pixel = 0; pixel < this.values.length; pixel++) if (this.values[pixel] === from) this.values[pixel] = to;
    this.colour(0, 0, this.width, this.height);
  }

  /** Give the pixels of a disc around x, y the value. */
  paint(x, y, radius, value) {
    const [top, bottom] = [Math.max(0, Math.ceil(y - radius)), Math.min(this.height - 1, Math.floor(y + radius))];
    for (let row = top; row <= bottom; row++) {
      const reach = Math.sqrt(Math.max(0, radius ** 2 - (row - y) ** 2));
      const [left, right] = [Math.max(0, Math.ceil(x - reach)), Math.min(this.width - 1, Math.floor(x + reach))];
      if (right >= left) this.values.fill(value, row * this.width + left, row * this.width + right + 1);
    }
    this.colour(x - radius, y - radius, x + radius + 1, y + radius + 1);
  }

  /** Return the values as a PNG in base64, with equal red, green and blue. */
  async encode() {
    const context = createContext(this.width, this.height);
    const image = new ImageData(this.width, this.height);
    for (let pixel = 0; pixel < this.values.length; pixel++) {
      const value = this.values[pixel];
      image.data.set([value, value, value, 255], 4 * pixel);
    }
    context.putImageData(image, 0, 0);
    const blob = await new Promise((resolve) => { context.canvas.toBlob(resolve, "image/png"); });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let letters = "";
    for (let start = 0; start < bytes.length; start += 8192) {
      letters += String.fromCharCode(...bytes.subarray(start, start + 8192));
    }
    return btoa(letters);
  }
}

function createContext(width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  return canvas.getContext("2d", { willReadFrequently: true });
}

const parseColour = (colour) => [...[1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16)), 255];
