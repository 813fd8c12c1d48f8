// The keys: one table of actions, three sets of habits, and changes of the person's own, kept in this browser.

const STORED = "lince-keys";

/** The actions by group; each has its keys in lince's own set. The words are "keys.action.NAME" and "keys.group.NAME". */
export const ACTIONS = {
  photos: {
    "photo.next": ["D", "F", "PageDown"],
    "photo.previous": ["A", "PageUp"],
    "photo.done": ["Enter", "Ctrl+Enter"],
    "photo.skip": ["S"],
    "photo.flag": ["Shift+F"],
    "photo.comment": ["K"],
  },
  classes: { "class.choose": ["1", "2", "3", "4", "5", "6", "7", "8", "9"], "class.toggle": ["Shift+1", "Shift+2", "Shift+3", "Shift+4", "Shift+5", "Shift+6", "Shift+7", "Shift+8", "Shift+9"], "class.search": ["/"] },
  tools: {
    "tool.box": ["B", "R"],
    "tool.points": ["T"],
    "tool.polygon": ["P"],
    "tool.scissors": ["W"],
    "tool.brush": ["M"],
    "tool.eraser": ["E"],
    "tool.select": ["V"],
    "tool.again": ["N"],
    "brush.smaller": ["["],
    "brush.larger": ["]"],
  },
  shapes: {
    "shape.next": ["Tab"],
    "shape.previous": ["Shift+Tab"],
    "shape.delete": ["Delete", "Backspace"],
    "shape.duplicate": ["Ctrl+D"],
    "shape.copy": ["Ctrl+C"],
    "shape.paste": ["Ctrl+V"],
    "shape.copy-previous": ["Shift+V"],
    "shape.lock": ["L"],
    "shapes.hide": ["H"],
    "move.left": ["ArrowLeft"],
    "move.right": ["ArrowRight"],
    "move.up": ["ArrowUp"],
    "move.down": ["ArrowDown"],
    "cancel": ["Escape"],
  },
  edits: { "edit.undo": ["Ctrl+Z"], "edit.redo": ["Ctrl+Shift+Z", "Ctrl+Y"] },
  view: {
    "view.pan": ["Space"],
    "view.fit": ["0"],
    "view.actual": ["Shift+0"],
    "view.shape": ["Z"],
    "view.larger": ["+", "="],
    "view.smaller": ["-"],
    "view.brighter": ["I"],
    "view.darker": ["O"],
    "view.invert": ["Shift+I"],
    "view.cross": ["X"],
    "help": ["?"],
  },
};

/** What the other sets change; an action that is not named keeps lince's keys. */
export const PRESETS = {
  lince: {},
  cvat: {
    "photo.next": ["F", "PageDown"],
    "photo.previous": ["D", "PageUp"],
    "tool.box": ["B", "R"],
    "tool.select": ["Shift+S"],
    "shape.paste": ["Ctrl+V"],
    "shape.copy-previous": ["Ctrl+B"],
    "class.choose": [1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((digit) => [`${digit}`, `Ctrl+${digit}`]),
    "tool.again": ["N"],
    "view.fit": ["0"],
  },
  labelstudio: {
    "tool.box": ["R"],
    "tool.polygon": ["P"],
    "tool.brush": ["B"],
    "tool.eraser": ["E"],
    "photo.done": ["Ctrl+Enter", "Enter"],
    "photo.skip": ["Ctrl+Space", "S"],
    "shapes.hide": ["Alt+H", "H"],
    "shape.delete": ["Backspace", "Delete"],
  },
};

const DEFAULTS = Object.assign({}, ...Object.values(ACTIONS));
const listeners = new Set();
let chosen = readStored();
let actions = indexKeys();

/** The set in use, and all keys by action, with the person's own changes. */
export const keyTable = {
  get preset() {
    return chosen.preset;
  },
  /** Return the keys of an action. */
  find: (action) => chosen.changes[action] ?? PRESETS[chosen.preset][action] ?? DEFAULTS[action] ?? [],
  /** Use another set; the person's own changes are dropped. */
  choose: (preset) => store({ preset, changes: {} }),
  /** Give an action other keys; another action that had one of them loses it. Return the names of those. */
  change(action, keys) {
    const losers = Object.keys(DEFAULTS).filter((other) => other !== action && keyTable.find(other).some((key) => keys.includes(key)));
    const changes = { ...chosen.changes, [action]: keys };
    for (const loser of losers) changes[loser] = keyTable.find(loser).filter((key) => !keys.includes(key));
    store({ preset: chosen.preset, changes });
    return losers;
  },
  /** Call `listener` after each change; return a function that ends it. */
  listen(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** Return the name of the action whose key was pressed, "" for none, or while the person types a text. */
export function matchKey(event) {
  if (event.isComposing || isTyping(event.target)) return "";
  for (const key of nameKeys(event)) {
    const action = actions.get(key);
    if (action) return action;
  }
  return nudgeOf(event);
}

/** Return the digit of a key, also on keyboards where digits need Shift; "" for another key. */
export const digitOf = (event) => (/^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1] ?? (/^[0-9]$/.test(event.key) ? event.key : ""));

/** Return the names of a pressed key, such as "Ctrl+Shift+Z", the most exact one first. */
export function nameKeys(event) {
  const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  const alt = event.altKey ? "Alt+" : "";
  const shift = event.shiftKey ? "Shift+" : "";
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const names = [`${ctrl}${alt}${shift}${key}`];
  const digit = digitOf(event);
  if (digit) names.push(`${ctrl}${alt}${shift}${digit}`);
  // A sign such as ? has its own name on every keyboard, whatever it takes to type it.
  if (event.key.length === 1 && !/[a-z0-9 ]/i.test(event.key)) names.push(`${ctrl}${alt}${key}`);
  return names;
}

// Arrow keys take Shift, Ctrl and Alt as well: how far, and which side.
function nudgeOf(event) {
  return event.key.startsWith("Arrow") ? (actions.get(event.key) ?? "") : "";
}

function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox]):not([type=range]):not([type=radio])");
}

function readStored() {
  try {
    const { preset, changes } = JSON.parse(localStorage.getItem(STORED)) ?? {};
    if (preset in PRESETS && typeof changes === "object" && changes) return { preset, changes };
  } catch {
    // What another version left, or a browser that keeps nothing: begin anew.
  }
  return { preset: "lince", changes: {} };
}

function store(value) {
  chosen = value;
  actions = indexKeys();
  try {
    localStorage.setItem(STORED, JSON.stringify(value));
  } catch {
    // Kept until the page is closed.
  }
  for (const listener of listeners) listener();
}

function indexKeys() {
  const found = new Map();
  for (const action of Object.keys(DEFAULTS)) {
    for (const key of chosen.changes[action] ?? PRESETS[chosen.preset][action] ?? DEFAULTS[action]) if (!found.has(key)) found.set(key, action);
  }
  return found;
}

export { KeyHelp } from "./keys_help.js";
