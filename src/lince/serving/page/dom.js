// Finds and makes elements of the page.

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Return a new element with a class and a text. */
export function createElement(tag, className = "", content = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = content;
  return element;
}
