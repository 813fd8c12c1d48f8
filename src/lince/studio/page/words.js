// The words of the page in one of three languages, switched without a reload; plurals and numbers of that language.

const STORED = "lince-language";
let words = {};
let plurals = new Intl.PluralRules("en");
let numbers = new Intl.NumberFormat("en");
const listeners = new Set();

/** Return the text called `name` with `values` in place of its {placeholders}. */
export function say(name, values = {}) {
  const text = words[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (_, key) => {
    const value = values[key];
    return typeof value === "number" ? numbers.format(value) : (value ?? "");
  });
}

/** Return the text `name` for `count` things: `name.one`, `name.many` or `name.other`, as the language has it. */
export function sayCount(name, count, values = {}) {
  const form = `${name}.${plurals.select(count)}`;
  return say(form in words ? form : `${name}.other`, { count, ...values });
}

/** Return a number with the separators of the language. */
export const formatNumber = (value) => numbers.format(value);

/** Load the words of `language`, show them everywhere, and remember the choice in this browser. */
export async function setLanguage(language) {
  const response = await fetch(`page/words.${language}.json`);
  words = await response.json();
  plurals = new Intl.PluralRules(language);
  numbers = new Intl.NumberFormat(language);
  document.documentElement.lang = language;
  localStorage.setItem(STORED, language);
  for (const listener of listeners) listener();
}

/** Return the language that was chosen in this browser, else that of the page. */
export const getLanguage = () => localStorage.getItem(STORED) ?? document.documentElement.lang;

/** Call `listener` after each change of the language; return a function that ends it. */
export function onLanguage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
