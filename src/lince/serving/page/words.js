// What the server wrote into the page: its language, its texts, and whether corrections are kept.

export const page = JSON.parse(document.getElementById("page").textContent);
const percent = new Intl.NumberFormat(page.language, { style: "percent", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(page.language);

/** The text called `name`, with its {places} filled. */
export function say(name, values = {}) {
  return page.words[name].replace(/\{(\w+)\}/g, (_, key) => (key in values ? values[key] : ""));
}

/** A share from 0 to 1 as people write it. */
export const share = (value) => percent.format(value);

/** A number as people write it. */
export const number = (value) => whole.format(value);

/** The element of the page with this id. */
export const at = (id) => document.getElementById(id);

/** A new element with a class and a text. */
export function made(tag, kind = "", text = "") {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.textContent = text;
  return element;
}
