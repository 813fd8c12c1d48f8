// Masks: run lengths as in COCO's compressed form (`lince.rle`), pixels, and their picture on the canvas.

/** Return the run lengths of a mask's text, column by column, background first. */
export function parseRuns(text) {
  const runs = [];
  let place = 0;
  while (place < text.length) {
    let value = 0;
    let weight = 1;
    let group;
    do {
      group = text.charCodeAt(place) - 48;
      place += 1;
      value += (group & 31) * weight; // products, not shifts: a count can have more than 31 bits
      weight *= 32;
    } while (group & 32);
    if (group & 16) value -= weight;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** Return the text of run lengths. */
export function formatRuns(runs) {
  let text = "";
  runs.forEach((run, place) => {
    let value = place > 2 ? run - runs[place - 2] : run;
    let isLast;
    do {
      const group = ((value % 32) + 32) % 32;
      value = Math.floor(value / 32);
      isLast = value === (group & 16 ? -1 : 0);
      text += String.fromCharCode(group + (isLast ? 0 : 32) + 48);
    } while (!isLast);
  });
  return text;
}

/** Return the pixels of a mask, row by row, 1 for foreground. */
export function decodeMask(text, width, height) {
  const pixels = new Uint8Array(width * height);
  forEachColumn(parseRuns(text), height, (x, top, length) => {
    for (let at = top * width + x, end = at + length * width; at < end; at += width) pixels[at] = 1;
  });
  return pixels;
}

/** Return the text of a mask of pixels, and the box around its foreground: `null` where there is none. */
export function encodeMask(pixels, width, height) {
  const runs = [];
  const box = [width, height, 0, 0];
  let now = 0;
  let length = 0;
  for (let x = 0; x < width; x += 1) {
    for (let y = 0; y < height; y += 1) {
      const value = pixels[y * width + x];
      if (value) growBox(box, x, y);
      if (value !== now) {
        runs.push(length);
        [now, length] = [value, 0];
      }
      length += 1;
    }
  }
  runs.push(length);
  return { mask: formatRuns(runs), box: box[2] ? box : null };
}

function growBox(box, x, y) {
  if (x < box[0]) box[0] = x;
  if (y < box[1]) box[1] = y;
  if (x >= box[2]) box[2] = x + 1;
  if (y >= box[3]) box[3] = y + 1;
}

const pictures = new WeakMap(); // state of a shape -> {colour, canvas}

/** Draw the mask of a shape over the photo, which is `height` pixels high. */
export function drawMask(context, view, shape, { colour, isStrong, height }) {
  const [left, top, right, bottom] = shape.box;
  const [x, y] = view.toScreen([left, top]);
  context.globalAlpha = isStrong ? 0.6 : 0.4;
  context.imageSmoothingEnabled = false;
  context.drawImage(findPicture(shape, colour, height), x, y, view.scale * (right - left), view.scale * (bottom - top));
  context.globalAlpha = 1;
}

function findPicture(shape, colour, height) {
  const known = pictures.get(shape);
  if (known?.colour === colour) return known.canvas;
  const canvas = paintMask(shape, colour, height);
  pictures.set(shape, { colour, canvas });
  return canvas;
}

function paintMask({ mask, box: [left, top, right, bottom] }, colour, height) {
  const canvas = new OffscreenCanvas(Math.max(1, right - left), Math.max(1, bottom - top));
  const context = canvas.getContext("2d");
  context.fillStyle = colour;
  forEachColumn(parseRuns(mask), height, (x, y, length) => context.fillRect(x - left, y - top, 1, length));
  return canvas;
}

/** Call `act` with x, y and length of the foreground in each column that a run covers. */
function forEachColumn(runs, height, act) {
  let start = 0;
  runs.forEach((run, place) => {
    const end = start + run;
    for (let at = start; place % 2 && at < end;) {
      const x = Math.floor(at / height);
      const length = Math.min(end, (x + 1) * height) - at;
      act(x, at - x * height, length);
      at += length;
    }
    start = end;
  });
}
