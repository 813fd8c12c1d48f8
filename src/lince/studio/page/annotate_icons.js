// Small pictures for the buttons of the tools; each button says its name as well.

import { html } from "./vendor/preact.js";

const PATHS = {
  select: "M5 3l14 8-6 1.5L10 19z",
  box: "M4 6h16v12H4z",
  points: "M12 3v4M12 17v4M3 12h4M17 12h4M8 8h8v8H8z",
  polygon: "M12 3l8 6-3 10H7L4 9z",
  scissors: "M6 4a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM6 14a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8.5 9L20 18M8.5 15L20 6",
  brush: "M4 20c4 0 5-2 5-4l2-2 8-9-1-1-9 8-2 2c-2 0-3 2-3 6z",
  eraser: "M8 19l-5-5 9-10 8 7-7 8zM7 9l8 7M8 19h12",
  undo: "M9 7L4 12l5 5M4 12h9a6 6 0 0 1 6 6",
  redo: "M15 7l5 5-5 5M20 12h-9a6 6 0 0 0-6 6",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  larger: "M12 5v14M5 12h14",
  smaller: "M5 12h14",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  hide: "M3 12c4-7 14-7 18 0-4 7-14 7-18 0zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  flag: "M6 21V4h12l-3 4 3 4H6",
  comment: "M4 5h16v11H11l-5 4v-4H4z",
  keys: "M3 7h18v10H3zM6 10h1M10 10h1M14 10h1M18 10h0M8 14h8",
  lock: "M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3",
  copy: "M8 8h11v11H8zM5 15V5h10",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  light: "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1 1M18 18l1 1M5 19l1-1M18 6l1-1",
};

/** Return an icon as an SVG that is decoration. */
export const icon = (name) => html`<svg class="annotate-icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
