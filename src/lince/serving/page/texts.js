// The data that the server wrote into the page (language, texts, settings), and numbers in that language.

import { byId } from "./dom.js";

export const pageData = JSON.parse(byId("page-data").textContent);
const percentFormat = new Intl.NumberFormat(pageData.language, { style: "percent", maximumFractionDigits: 1 });
const numberFormat = new Intl.NumberFormat(pageData.language);

/** Return the text called `name` with `values` in place of its {placeholders}. */
export function text(name, values = {}) {
  return pageData.texts[name].replace(/\{(\w+)\}/g, (_, key) => (key in values ? values[key] : ""));
}

/** Return a fraction from 0 to 1 as a percentage with at most one decimal. */
export const formatPercent = (fraction) => percentFormat.format(fraction);

/** Return a number with the separators of the language. */
export const formatNumber = (value) => numberFormat.format(value);
