// Shows a photo upright on a canvas, sharp on any screen, with what was found on it.

const NAME = 13; // CSS pixels of the letters
const TALLEST = 0.72; // of the window's height

const LARGEST = 2000; // pixels of a side that is kept in memory: no screen shows more of a photo

/** The picture in a file, turned as the camera was held; null where this browser cannot read it. */
export async function decoded(blob) {
  try {
    const whole = await createImageBitmap(blob, { imageOrientation: "from-image" });
    const scale = LARGEST / Math.max(whole.width, whole.height);
    if (scale >= 1) return whole;
    const [resizeWidth, resizeHeight] = [whole.width, whole.height].map((side) => Math.max(1, Math.round(side * scale)));
    const small = await createImageBitmap(whole, { resizeWidth, resizeHeight, resizeQuality: "high" });
    whole.close();
    return small;
  } catch {
    return null;
  }
}

/** Draw `bitmap` as large as `canvas` has room, and `objects` [{box, colour, text}] of a photo of `size` over it. */
export function show(canvas, bitmap, objects = [], size = bitmap) {
  const room = canvas.parentElement.clientWidth;
  const most = Math.max(240, window.innerHeight * TALLEST);
  const scale = Math.min(room / bitmap.width, most / bitmap.height, bitmap.width <= 64 ? 8 : 3);
  const [width, height] = [Math.max(1, bitmap.width * scale), Math.max(1, bitmap.height * scale)];
  const pen = fitted(canvas, width, height);
  pen.imageSmoothingEnabled = bitmap.width > 64;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, width, height);
  const [across, down] = [width / size.width, height / size.height];
  const shown = objects.map(({ box, colour, text }) => ({
    colour,
    text,
    left: box[0] * across,
    top: box[1] * down,
    right: box[2] * across,
    bottom: box[3] * down,
  }));
  for (const one of shown.toReversed()) frame(pen, one);
  tags(pen, shown, width, height);
  return { across, down };
}

/** Draw a small square picture of `bitmap`, cut to its middle. */
export function thumbnail(canvas, bitmap, side = 76) {
  const pen = fitted(canvas, side, side, false);
  const part = Math.min(bitmap.width, bitmap.height);
  pen.imageSmoothingEnabled = part > 64;
  pen.drawImage(bitmap, (bitmap.width - part) / 2, (bitmap.height - part) / 2, part, part, 0, 0, side, side);
}

/** Draw `bitmap` pixel by pixel. */
export function pixels(canvas, bitmap) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

/** Black or white, whichever is read better on `colour` (#rrggbb). */
export function ink(colour) {
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const [red, green, blue] = [1, 3, 5].map((start) => linear(parseInt(colour.slice(start, start + 2), 16) / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179 ? "#fff" : "#000"; // equal contrast (WCAG 2)
}

function fitted(canvas, width, height, styled = true) {
  const dots = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * dots);
  canvas.height = Math.round(height * dots);
  if (styled) {
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.scale(canvas.width / width, canvas.height / height);
  return pen;
}

function frame(pen, { left, top, right, bottom, colour }) {
  pen.lineJoin = "round";
  for (const [thick, tone] of [[4.5, "rgb(20 20 20 / .75)"], [2.5, colour]]) {
    pen.lineWidth = thick;
    pen.strokeStyle = tone;
    pen.strokeRect(left, top, right - left, bottom - top);
  }
}

function tags(pen, shown, width, height) {
  pen.font = `600 ${NAME}px system-ui, "DejaVu Sans", sans-serif`;
  pen.textBaseline = "middle";
  const tall = NAME + 8;
  const taken = [];
  for (const { left, top, bottom, colour, text } of shown.filter((one) => one.text)) {
    const wide = Math.min(width, pen.measureText(text).width + 10);
    const x = Math.max(0, Math.min(left - 1, width - wide));
    const places = [top - tall, top, bottom, bottom - tall].map((y) => Math.max(0, Math.min(y, height - tall)));
    const free = (y) => taken.every((t) => y + tall <= t.y || t.y + tall <= y || x + wide <= t.x || t.x + t.wide <= x);
    const y = places.find(free) ?? places[0];
    taken.push({ x, y, wide });
    pen.fillStyle = colour;
    pen.fillRect(x, y, wide, tall);
    pen.fillStyle = ink(colour);
    pen.fillText(text, x + 5, y + tall / 2 + 1, wide - 10);
  }
}
