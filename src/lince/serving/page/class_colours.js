// The colours of a model's classes.

import { createElement } from "./dom.js";

const OTHER_COLOUR = "#1f5fae"; // of a box that has no class yet

/** Return the colour (#rrggbb) of the class called `className`. */
export const getClassColour = (className, model) => model.colours[model.classes.indexOf(className)] ?? OTHER_COLOUR;

/** Return a small square in the colour of the class called `className`. */
export function createSwatch(className, model) {
  const swatch = createElement("span", "swatch");
  swatch.style.background = getClassColour(className, model);
  return swatch;
}
