// Addresses of the pages behind the `#`: `#/gallery`, `#/photo/12`, `#/classes` and so on.

/** Return the page and its argument in the address: `{ page: "photo", id: 12 }`; `page` is empty at the start. */
export function readRoute() {
  const [page = "", argument = ""] = location.hash.replace(/^#\/?/, "").split("/");
  const id = /^\d+$/.test(argument) ? Number(argument) : null;
  return { page, id };
}

/** Show another page. */
export function goTo(page, id = null) {
  location.hash = id === null ? `#/${page}` : `#/${page}/${id}`;
}

/** Call `listener` after each change of the page; return a function that ends it. */
export function onRoute(listener) {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}
