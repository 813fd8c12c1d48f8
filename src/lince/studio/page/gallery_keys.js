// The keys of the gallery.

const MOVES = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", PageUp: "pageUp", PageDown: "pageDown", Home: "first", End: "last" };
const PLAIN = { Enter: "open", " ": "toggle", Escape: "none", Delete: "remove", s: "skip" };
const WITH_CONTROL = { a: "all", z: "undo", y: "redo" };

/**
 * The rows of the help: keys, and the name of the text that says what they do.
 * @type {[string[], string][]}
 */
export const GALLERY_KEYS = [
  [["←", "→", "↑", "↓"], "gallery.keys.move"],
  [["Shift", "←→"], "gallery.keys.range"],
  [["Space"], "gallery.keys.toggle"],
  [["Ctrl", "A"], "gallery.keys.all"],
  [["Escape"], "gallery.keys.none"],
  [["1", "…", "9"], "gallery.keys.class"],
  [["0"], "gallery.keys.no_class"],
  [["S"], "gallery.keys.skip"],
  [["Shift", "F"], "gallery.keys.flag"],
  [["Delete"], "gallery.keys.remove"],
  [["Enter"], "gallery.keys.open"],
  [["Ctrl", "Z"], "gallery.keys.undo"],
  [["Ctrl", "Shift", "Z"], "gallery.keys.redo"],
  [["?"], "gallery.keys.help"],
];

/** Return what a key asks for as { name, isRange, key }, null for nothing. */
export function matchGalleryKey(event) {
  if (event.altKey) return null;
  const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (letter === "z" && event.shiftKey) return { name: "redo" };
    return WITH_CONTROL[letter] ? { name: WITH_CONTROL[letter] } : MOVES[event.key] ? { name: MOVES[event.key], isRange: event.shiftKey } : null;
  }
  if (MOVES[event.key]) return { name: MOVES[event.key], isRange: event.shiftKey };
  if (/^[0-9]$/.test(event.key)) return { name: "class", key: event.key };
  if (letter === "f" && event.shiftKey) return { name: "flag" };
  return PLAIN[letter] ? { name: PLAIN[letter] } : null;
}
