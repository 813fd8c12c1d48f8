// Boxes [left, top, right, bottom] and polygons [[[x, y], ...], ...] in pixels of the upright photo; no page, no state.

/** The eight handles of a box: where each lies, as parts of the width and height, and the cursor over it. */
export const HANDLES = {
  nw: [0, 0], n: [0.5, 0], ne: [1, 0], e: [1, 0.5], se: [1, 1], s: [0.5, 1], sw: [0, 1], w: [0, 0.5],
};

const round = (value) => Math.round(value * 100) / 100;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Return a point of the photo within its borders, to a hundredth of a pixel. */
export const clampPoint = (/** @type {number[]} */ [x, y], { width, height }) => [round(clamp(x, 0, width)), round(clamp(y, 0, height))];

/** Return the smallest box around points. */
export function boxAround(points) {
  const across = points.map(([x]) => x);
  const down = points.map(([, y]) => y);
  return [Math.min(...across), Math.min(...down), Math.max(...across), Math.max(...down)];
}

/** Return the point at the place of a handle of a box. */
export function findHandlePoint([left, top, right, bottom], name) {
  const [across, down] = HANDLES[name];
  return [left + across * (right - left), top + down * (bottom - top)];
}

/** Return a box whose handle was moved to `point`; it turns over where the point is beyond the other side. */
export function resizeBox([left, top, right, bottom], name, /** @type {number[]} */ [x, y]) {
  const across = HANDLES[name][0];
  const down = HANDLES[name][1];
  const [one, other] = across === 0 ? [x, right] : across === 1 ? [left, x] : [left, right];
  const [high, low] = down === 0 ? [y, bottom] : down === 1 ? [top, y] : [top, bottom];
  return boxAround([[one, high], [other, low]]);
}

/**
 * Whether a box has no area.
 * @param {number[]} box
 */
export const isEmptyBox = ([left, top, right, bottom]) => !(right > left && bottom > top);

/** Return a shape moved by pixels, but not over the borders of the photo. */
export function moveShape(shape, dx, dy, { width, height }) {
  const [left, top, right, bottom] = shape.box;
  const across = clamp(dx, -left, width - right);
  const down = clamp(dy, -top, height - bottom);
  const rings = shape.rings.map((ring) => ring.map(([x, y]) => [clamp(round(x + across), 0, width), clamp(round(y + down), 0, height)]));
  if (rings.length) return withRings(shape, rings);
  const box = [left + across, top + down, right + across, bottom + down].map(round);
  return { ...shape, box: [Math.max(0, box[0]), Math.max(0, box[1]), Math.min(width, box[2]), Math.min(height, box[3])] };
}

/** Return a polygon with other rings, and the box around them. */
export const withRings = (shape, rings) => ({ ...shape, rings, box: boxAround(rings.flat()) });

/** Whether a point lies in a shape: a box, or by the even-odd rule in the rings of a polygon. */
export function containsPoint(shape, [x, y]) {
  const [left, top, right, bottom] = shape.box;
  if (x < left || x > right || y < top || y > bottom) return false;
  return shape.kind !== "polygon" || shape.rings.some((ring) => isInRing(ring, [x, y]));
}

function isInRing(ring, [x, y]) {
  let isInside = false;
  ring.forEach(([x1, y1], place) => {
    const [x2, y2] = ring[(place + 1) % ring.length];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) isInside = !isInside;
  });
  return isInside;
}

/** Return the area of the box of a shape, which says which of two is in front. */
export const areaOf = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);

/**
 * Return the distance between two points.
 * @param {number[]} one
 * @param {number[]} other
 */
export const distanceOf = ([x1, y1], [x2, y2]) => Math.hypot(x2 - x1, y2 - y1);

/** Return where on the outline of a polygon is nearest to a point: {ring, after, point, distance}. */
export function findNearestEdge(rings, point) {
  let nearest = { ring: 0, after: 0, point, distance: Infinity };
  rings.forEach((ring, ringPlace) => ring.forEach((from, place) => {
    const found = projectOn(from, ring[(place + 1) % ring.length], point);
    const distance = distanceOf(found, point);
    if (distance < nearest.distance) nearest = { ring: ringPlace, after: place, point: found.map(round), distance };
  }));
  return nearest;
}

function projectOn([x1, y1], [x2, y2], [x, y]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = dx * dx + dy * dy;
  const part = length ? clamp(((x - x1) * dx + (y - y1) * dy) / length, 0, 1) : 0;
  return [x1 + part * dx, y1 + part * dy];
}

/** Return the vertex of any shape that is nearest to a point, at most `reach` away: a corner of a box counts too. */
export function findSnap(shapes, point, reach) {
  let found = null;
  let least = reach;
  for (const shape of shapes) {
    for (const vertex of listVertices(shape)) {
      const distance = distanceOf(vertex, point);
      if (distance <= least) [found, least] = [vertex, distance];
    }
  }
  return found;
}

function listVertices({ kind, box: [left, top, right, bottom], rings }) {
  return kind === "polygon" ? rings.flat() : [[left, top], [right, top], [right, bottom], [left, bottom]];
}
