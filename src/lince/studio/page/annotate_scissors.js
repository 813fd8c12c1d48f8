// Intelligent scissors: the path along edges from a seed to any pixel of a small picture (E. N. Mortensen and
// W. A. Barrett, Intelligent Scissors for Image Composition, SIGGRAPH 1995). Numbers in, numbers out: no page, no state.

const WEIGHTS = { zero: 0.43, direction: 0.43, gradient: 0.14 }; // those of the paper
const LARGEST_COST = 255; // of a step; the queue of Dijkstra's algorithm has a bucket for each
const BLUR = [0.06136, 0.24477, 0.38774, 0.24477, 0.06136]; // Gaussian of sigma 1
const STEPS = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];
const UNREACHED = 8; // no step leads to the seed, and none is known yet

/**
 * Return what paths cost in a picture: `pixels` are RGBA, row by row.
 * `gradient` (0 to 255) is the strength of the edge at each pixel, `zero` is 0 where the Laplacian crosses zero and
 * 1 elsewhere, (`across`, `down`) is the unit vector along the edge.
 */
export function measureEdges(pixels, width, height) {
  const grey = blur(toGrey(pixels), width, height);
  const count = width * height;
  const edges = { width, height, gradient: new Uint8Array(count), zero: new Uint8Array(count).fill(1), across: new Float32Array(count), down: new Float32Array(count) };
  const strength = new Float32Array(count);
  const laplacian = new Float32Array(count);
  for (let y = 1; y < height - 1; y += 1) {
    for (let x = 1; x < width - 1; x += 1) {
      const at = y * width + x;
      const dx = (grey[at + 1] - grey[at - 1]) / 2;
      const dy = (grey[at + width] - grey[at - width]) / 2;
      const length = Math.hypot(dx, dy);
      strength[at] = length;
      laplacian[at] = grey[at + 1] + grey[at - 1] + grey[at + width] + grey[at - width] - 4 * grey[at];
      if (length > 0) [edges.across[at], edges.down[at]] = [dy / length, -dx / length];
    }
  }
  scaleTo255(strength, edges.gradient);
  markCrossings(laplacian, edges);
  return edges;
}

function toGrey(pixels) {
  const grey = new Float32Array(pixels.length / 4);
  for (let at = 0; at < grey.length; at += 1) grey[at] = 0.299 * pixels[4 * at] + 0.587 * pixels[4 * at + 1] + 0.114 * pixels[4 * at + 2];
  return grey;
}

/** Blur along rows, then along columns; the border repeats. */
function blur(values, width, height) {
  const pass = (from, length, lines, step, stride) => {
    const to = new Float32Array(from.length);
    for (let line = 0; line < lines; line += 1) {
      for (let place = 0; place < length; place += 1) {
        let sum = 0;
        for (let k = -2; k <= 2; k += 1) sum += BLUR[k + 2] * from[line * stride + Math.min(length - 1, Math.max(0, place + k)) * step];
        to[line * stride + place * step] = sum;
      }
    }
    return to;
  };
  return pass(pass(values, width, height, 1, width), height, width, width, 1);
}

function scaleTo255(values, into) {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  for (let at = 0; at < values.length; at += 1) into[at] = most ? Math.round((255 * values[at]) / most) : 0;
}

/** The Laplacian crosses zero between two pixels; the one that is nearer to zero is marked. */
function markCrossings(laplacian, { width, height, zero }) {
  for (let y = 1; y < height - 2; y += 1) {
    for (let x = 1; x < width - 2; x += 1) {
      const at = y * width + x;
      for (const next of [at + 1, at + width]) {
        if (laplacian[at] * laplacian[next] < 0) zero[Math.abs(laplacian[at]) <= Math.abs(laplacian[next]) ? at : next] = 0;
      }
    }
  }
}

/**
 * Return for each pixel the number of the step that leads towards the seed (x, y) on the cheapest path, as an array of
 * bytes: Dijkstra's algorithm with a bucket for each cost.
 */
export function traceFrom(edges, /** @type {number[]} */ [seedX, seedY]) {
  const { width, height } = edges;
  const back = new Uint8Array(width * height).fill(UNREACHED);
  const costs = new Uint32Array(width * height).fill(0xffffffff);
  const isDone = new Uint8Array(width * height);
  const buckets = Array.from({ length: LARGEST_COST + 1 }, () => []);
  const seed = seedY * width + seedX;
  costs[seed] = 0;
  buckets[0].push(seed);
  for (let cost = 0, waiting = 1; waiting > 0; cost += 1) {
    const bucket = buckets[cost % buckets.length];
    while (bucket.length) {
      const at = bucket.pop();
      waiting -= 1;
      if (isDone[at]) continue;
      isDone[at] = 1;
      waiting += relax({ edges, back, costs, isDone, buckets, at });
    }
  }
  return back;
}

/** Look at the neighbours of a pixel whose path is known; return how many were put into the queue. */
function relax({ edges, back, costs, isDone, buckets, at }) {
  const { width, height } = edges;
  const x = at % width;
  const y = (at - x) / width;
  let added = 0;
  for (let step = 0; step < STEPS.length; step += 1) {
    const [dx, dy] = STEPS[step];
    const nextX = x + dx;
    const nextY = y + dy;
    if (nextX < 0 || nextY < 0 || nextX >= width || nextY >= height) continue;
    const next = nextY * width + nextX;
    if (isDone[next]) continue;
    const cost = costs[at] + costOf(edges, at, next, dx, dy);
    if (cost >= costs[next]) continue;
    costs[next] = cost;
    back[next] = (step + 4) % 8; // the opposite step
    buckets[cost % buckets.length].push(next);
    added += 1;
  }
  return added;
}

/** The cost of a step, 1 to 255: low on an edge and along it; a step along a row or column is shorter. */
function costOf({ gradient, zero, across, down }, from, to, dx, dy) {
  const length = dx && dy ? Math.SQRT2 : 1;
  let atFrom = (across[from] * dx + down[from] * dy) / length;
  let atTo = (across[to] * dx + down[to] * dy) / length;
  if (atFrom < 0) [atFrom, atTo] = [-atFrom, -atTo];
  const direction = (2 / (3 * Math.PI)) * (Math.acos(Math.min(1, atFrom)) + Math.acos(Math.max(-1, Math.min(1, atTo))));
  const cost = WEIGHTS.zero * zero[to] + WEIGHTS.direction * direction + WEIGHTS.gradient * (1 - gradient[to] / 255);
  return Math.max(1, Math.round((cost * length * LARGEST_COST) / Math.SQRT2));
}

/** Return the pixels from the seed to (x, y), both included, of what `traceFrom` returned. */
export function readPath(back, width, /** @type {number[]} */ [x, y]) {
  const path = [[x, y]];
  for (let step = back[y * width + x]; step < UNREACHED; step = back[y * width + x]) {
    x += STEPS[step][0];
    y += STEPS[step][1];
    path.push([x, y]);
  }
  return path.reverse();
}

/** Return the pixel with the strongest edge at most `reach` away. */
export function findStrongest(gradient, width, height, /** @type {number[]} */ [x, y], reach) {
  let [best, most] = [[x, y], -1];
  for (let dy = -reach; dy <= reach; dy += 1) {
    for (let dx = -reach; dx <= reach; dx += 1) {
      const [px, py] = [x + dx, y + dy];
      if (px < 0 || py < 0 || px >= width || py >= height || dx * dx + dy * dy > reach * reach) continue;
      const value = gradient[py * width + px] - Math.hypot(dx, dy) / 1000; // of equals, the nearest
      if (value > most) [best, most] = [[px, py], value];
    }
  }
  return best;
}

/** Return a line without the points that are less than `tolerance` beside it (Douglas and Peucker). */
export function simplifyLine(points, tolerance) {
  if (points.length < 3) return points;
  const [first, last] = [points[0], points.at(-1)];
  const length = Math.hypot(last[0] - first[0], last[1] - first[1]);
  let [farthest, most] = [0, -1];
  for (let place = 1; place < points.length - 1; place += 1) {
    const [dx, dy] = [points[place][0] - first[0], points[place][1] - first[1]];
    const distance = length ? Math.abs(dx * (last[1] - first[1]) - dy * (last[0] - first[0])) / length : Math.hypot(dx, dy);
    if (distance > most) [farthest, most] = [place, distance];
  }
  if (most <= tolerance) return [first, last];
  return [...simplifyLine(points.slice(0, farthest + 1), tolerance).slice(0, -1), ...simplifyLine(points.slice(farthest), tolerance)];
}
