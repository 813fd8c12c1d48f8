// Measures edges and traces paths beside the page, which goes on drawing meanwhile.

import { findStrongest, measureEdges, traceFrom } from "./annotate_scissors.js";

/** A picture with a seed (x, y) in it; the answer holds the seed where the edge is strongest, and the steps back to it. */
addEventListener("message", ({ data: { id, pixels, width, height, seed, reach } }) => {
  const edges = measureEdges(pixels, width, height);
  const strongest = findStrongest(edges.gradient, width, height, seed, reach);
  const back = traceFrom(edges, strongest);
  postMessage({ id, seed: strongest, back, gradient: edges.gradient }, { transfer: [back.buffer, edges.gradient.buffer] });
});
