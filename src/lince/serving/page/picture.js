// Decodes images and draws them on canvases, sharp on any screen, with boxes and their texts over them.

const FONT_SIZE = 13; // CSS pixels
const TAG_HEIGHT = FONT_SIZE + 8;
const LARGEST_HEIGHT = 0.72; // of the window's height
const LARGEST_BITMAP = 2000; // pixels of a side that are kept in memory; no screen shows more
const FILL_OPACITY = 0.45; // of the area of an object
const PIXEL_ART = 64; // pixels of a side; up to this an image is enlarged without smoothing

/** Return the bitmap of an image file, turned as its EXIF orientation says; null where the browser cannot read it. */
export async function decodeImage(blob) {
  try {
    const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
    const scale = LARGEST_BITMAP / Math.max(bitmap.width, bitmap.height);
    if (scale >= 1) return bitmap;
    const reduce = (side) => Math.max(1, Math.round(side * scale));
    const [resizeWidth, resizeHeight] = [reduce(bitmap.width), reduce(bitmap.height)];
    const reduced = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "high" });
    bitmap.close();
    return reduced;
  } catch {
    return null;
  }
}

/**
 * Draw `bitmap` as large as `canvas` has room, and `shapes` [{box, colour, text, rings}] over it. The boxes
 * [left, top, right, bottom] and the points [x, y] of the rings, outlines that are filled where there are any, are in
 * pixels of an image of `size`, {width, height}. The picture of `overlay`, {picture,
 * opacity}, if there is one, is drawn between the two.
 */
export function drawImage(canvas, bitmap, shapes, size, overlay = null) {
  const { clientWidth } = canvas.parentElement;
  const room = Math.max(240, window.innerHeight * LARGEST_HEIGHT);
  const enlarged = bitmap.width <= PIXEL_ART ? 8 : 3;
  const scale = Math.min(clientWidth / bitmap.width, room / bitmap.height, enlarged);
  const [width, height] = [Math.max(1, bitmap.width * scale), Math.max(1, bitmap.height * scale)];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = prepareContext(canvas, width, height);
  context.imageSmoothingEnabled = bitmap.width > PIXEL_ART;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  if (overlay) drawOverlay(context, overlay, width, height);
  const [across, down] = [width / size.width, height / size.height];
  for (const { rings = [], colour } of shapes.toReversed()) fillRings(context, rings, colour, across, down);
  const boxes = shapes.map(({ box: [left, top, right, bottom], colour, text }) => ({
    colour,
    text,
    left: left * across,
    top: top * down,
    right: right * across,
    bottom: bottom * down,
  }));
  for (const box of boxes.toReversed()) drawFrame(context, box);
  drawTags(context, boxes, width, height);
}

/** Draw the square in the middle of `bitmap`, `side` CSS pixels wide. */
export function drawThumbnail(canvas, bitmap, side = 76) {
  const context = prepareContext(canvas, side, side);
  const part = Math.min(bitmap.width, bitmap.height);
  context.imageSmoothingEnabled = part > PIXEL_ART;
  context.drawImage(bitmap, (bitmap.width - part) / 2, (bitmap.height - part) / 2, part, part, 0, 0, side, side);
}

/** Draw `bitmap`, one canvas pixel for each of its pixels. */
export function drawPixels(canvas, bitmap) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

/** Return black or white, whichever has more contrast (WCAG 2) on `colour`, #rrggbb. */
function chooseTextColour(colour) {
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const [red, green, blue] = [1, 3, 5].map((start) => linear(parseInt(colour.slice(start, start + 2), 16) / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179 ? "#fff" : "#000";
}

/** Return a context in which one unit is a CSS pixel of a canvas of `width` x `height`. */
function prepareContext(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(canvas.width / width, canvas.height / height);
  return context;
}

function drawOverlay(context, { picture, opacity }, width, height) {
  context.save();
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = picture.width > width; // enlarged, its pixels stay what they are
  context.drawImage(picture, 0, 0, width, height);
  context.restore();
}

function fillRings(context, rings, colour, across, down) {
  if (!rings.length) return;
  context.beginPath();
  for (const ring of rings) {
    for (const [x, y] of ring) context.lineTo(x * across, y * down);
    context.closePath();
  }
  context.save();
  context.fillStyle = colour;
  context.globalAlpha = FILL_OPACITY;
  context.fill("evenodd");
  context.restore();
}

function drawFrame(context, { left, top, right, bottom, colour }) {
  context.lineJoin = "round";
  for (const [lineWidth, stroke] of [[4.5, "rgb(20 20 20 / .75)"], [2.5, colour]]) {
    context.lineWidth = lineWidth;
    context.strokeStyle = stroke;
    context.strokeRect(left, top, right - left, bottom - top);
  }
}

/** Draw the texts of the boxes, each above, in or below its box, where it covers no other where possible. */
function drawTags(context, boxes, width, height) {
  context.font = `600 ${FONT_SIZE}px system-ui, "DejaVu Sans", sans-serif`;
  context.textBaseline = "middle";
  const tags = [];
  for (const { left, top, bottom, colour, text } of boxes.filter((box) => box.text)) {
    const wide = Math.min(width, context.measureText(text).width + 10);
    const x = Math.max(0, Math.min(left - 1, width - wide));
    const places = [top - TAG_HEIGHT, top, bottom, bottom - TAG_HEIGHT].map((y) =>
      Math.max(0, Math.min(y, height - TAG_HEIGHT)));
    const y = places.find((place) => tags.every((tag) => isApart({ x, y: place, wide }, tag))) ?? places[0];
    tags.push({ x, y, wide });
    context.fillStyle = colour;
    context.fillRect(x, y, wide, TAG_HEIGHT);
    context.fillStyle = chooseTextColour(colour);
    context.fillText(text, x + 5, y + TAG_HEIGHT / 2 + 1, wide - 10);
  }
}

function isApart(a, b) {
  return a.y + TAG_HEIGHT <= b.y || b.y + TAG_HEIGHT <= a.y || a.x + a.wide <= b.x || b.x + b.wide <= a.x;
}
