// What each action of the keys and buttons does on the annotator's page.

import { makeId } from "./ids.js";

const CURSOR_STEP = 8; // CSS pixels that an arrow key moves the crosshair
const FAR = 6; // times as far with Shift
const PAN_STEP = 60;
const OFFSET = 10; // CSS pixels between a shape and its duplicate
const DIRECTIONS = { "move.left": [-1, 0], "move.right": [1, 0], "move.up": [0, -1], "move.down": [0, 1] };
let clipboard = []; // shapes, for all photos of this tab

/**
 * Return a function that does the action `name` of a key or button and returns whether it did something.
 * `page` is what the page lends: stage, isWhole (classes of whole photos), goTo(step), finish(state), open(dialog), say.
 */
export function makeActions(page) {
  const { stage } = page;
  const tool = (name) => () => stage.setTool(name);
  const table = {
    "photo.next": () => page.go(1),
    "photo.previous": () => page.go(-1),
    "photo.done": (event) => (event && !event.ctrlKey && stage.enter() ? true : page.finish("done")),
    "photo.skip": () => page.finish("skipped"),
    "photo.flag": () => toggleFlag(stage),
    "photo.comment": () => page.open("comment"),
    "class.search": () => page.open("class"),
    "tool.box": tool("box"),
    "tool.points": tool("points"),
    "tool.polygon": tool("polygon"),
    "tool.scissors": tool("scissors"),
    "tool.brush": tool("brush"),
    "tool.eraser": () => switchToEraser(stage),
    "tool.select": tool("select"),
    "tool.again": () => stage.setTool(stage.tool.name === "select" ? "box" : stage.tool.name),
    "brush.smaller": () => resizeBrush(stage, 1 / 1.25),
    "brush.larger": () => resizeBrush(stage, 1.25),
    "shape.next": () => stage.cycle(1),
    "shape.previous": () => stage.cycle(-1),
    "shape.delete": () => stage.tool.removeLast?.() || remove(stage, page),
    "shape.duplicate": () => duplicate(stage),
    "shape.copy": () => copy(stage, page),
    "shape.paste": () => paste(stage, page, clipboard, "annotate.notice.pasted"),
    "shape.copy-previous": () => copyPrevious(stage, page),
    "shape.lock": () => toggleLock(stage),
    "shapes.hide": () => set(stage, { isHidden: !stage.isHidden }),
    "edit.undo": () => stage.tool.removeLast?.() || (stage.finishNudge(), stage.document.step("undo")),
    "edit.redo": () => stage.document.step("redo"),
    "view.fit": () => zoom(stage, () => stage.view.fit()),
    "view.actual": () => zoom(stage, () => stage.view.showActualSize()),
    "view.shape": () => stage.selected && zoom(stage, () => stage.view.showBox(stage.selected.box)),
    "view.larger": () => zoom(stage, () => stage.view.zoomAt(1.25, stage.view.middle)),
    "view.smaller": () => zoom(stage, () => stage.view.zoomAt(0.8, stage.view.middle)),
    "view.brighter": () => set(stage, { brightness: Math.min(3, stage.brightness + 0.2) }),
    "view.darker": () => set(stage, { brightness: Math.max(0.2, stage.brightness - 0.2) }),
    "view.invert": () => set(stage, { isInverted: !stage.isInverted }),
    "view.cross": () => set(stage, { hasCross: !stage.hasCross }),
    cancel: () => stage.escape(),
    help: () => page.open("keys"),
  };
  for (const [name, direction] of Object.entries(DIRECTIONS)) table[name] = (event) => move(page, direction, event);
  return (name, event = null) => {
    const act = table[name];
    return Boolean(act) && act(event) !== false;
  };
}

function set(stage, values) {
  Object.assign(stage, values);
  stage.showChange();
}

function zoom(stage, change) {
  change();
  stage.showChange();
}

function resizeBrush(stage, factor) {
  set(stage, { brushRadius: Math.min(120, Math.max(2, stage.brushRadius * factor)) });
}

/** The eraser keeps the selection: it takes away from the selected mask. */
function switchToEraser(stage) {
  const id = stage.selectedId;
  stage.setTool("eraser");
  if (id) stage.select(id);
}

function toggleFlag(stage) {
  const { state } = stage.document;
  stage.document.changeState({ flag: state.flag ? "" : "?" });
}

function toggleLock(stage) {
  if (!stage.selectedId) return false;
  if (!stage.locked.delete(stage.selectedId)) stage.locked.add(stage.selectedId);
  stage.showChange();
  return true;
}

/** Arrow keys: move the selected shape, else the crosshair of a tool, else the photo; on whole photos, go on or back. */
function move(page, /** @type {number[]} */ [dx, dy], event) {
  const { stage } = page;
  const far = event?.shiftKey ? (stage.selectedId ? 10 : FAR) : 1;
  if (page.isWhole()) return dx ? page.go(dx) : false;
  if (stage.selectedId) {
    const side = event?.ctrlKey || event?.metaKey ? "grow" : event?.altKey ? "shrink" : "";
    stage.nudge(dx * far, dy * far, side);
  } else if (stage.drawsByKeys) {
    const step = event?.ctrlKey ? 1 : Math.max(1, Math.round(CURSOR_STEP / stage.view.scale)) * far;
    stage.moveCursor(dx * step, dy * step);
  } else {
    zoom(stage, () => stage.view.panBy(-dx * PAN_STEP, -dy * PAN_STEP));
  }
  return true;
}

function duplicate(stage) {
  stage.finishNudge();
  const shape = stage.selected;
  if (!shape) return false;
  const shift = Math.max(1, Math.round(OFFSET / stage.view.scale));
  addCopies(stage, [withSize(shape, stage.size)], shift);
  return true;
}

function remove(stage, page) {
  if (stage.locked.has(stage.selectedId)) page.notify("annotate.notice.locked");
  else stage.changeSelected(null);
}

async function copyPrevious(stage, page) {
  const { document: photo } = stage;
  try {
    const shapes = await page.readPrevious();
    if (photo === stage.document) paste(stage, page, shapes, "annotate.notice.copied-previous");
  } catch {
    page.notify("annotate.problem.unreachable");
  }
}

function copy(stage, page) {
  stage.finishNudge();
  const shapes = stage.selected ? [stage.selected] : stage.shapes.map(([, shape]) => shape);
  if (!shapes.length) return false;
  clipboard = shapes.map((shape) => withSize(shape, stage.size));
  page.notify("annotate.notice.copied", shapes.length);
  return true;
}

function paste(stage, page, shapes, words) {
  if (!shapes.length) {
    page.notify("annotate.notice.nothing-to-paste");
    return false;
  }
  const kept = addCopies(stage, shapes, 0);
  page.notify(words, kept);
  if (kept < shapes.length) page.notify("annotate.notice.not-pasted", shapes.length - kept);
  return true;
}

/** Add copies of shapes as one act, cut to the photo; a mask fits only a photo of its size. Return how many. */
function addCopies(stage, shapes, shift) {
  const { document: photo, size } = stage;
  const changes = shapes.map((shape) => fitShape(shape, shift, size)).filter(Boolean).map((shape, place) => ({
    kind: "shape",
    id: makeId(),
    after: { ...shape, photo: photo.id, z: photo.nextZ + place, source: shape.photo === photo.id ? shape.source : "copied" },
  }));
  photo.change(changes);
  stage.select(changes.length === 1 ? changes[0].id : null);
  return changes.length;
}

function fitShape({ size, ...shape }, shift, { width, height }) {
  if (shape.kind === "mask") return size.width === width && size.height === height ? shape : null;
  const fit = (value, most) => Math.min(most, Math.max(0, value + shift));
  const rings = shape.rings.map((ring) => ring.map(([x, y]) => [fit(x, width), fit(y, height)]));
  const points = rings.flat();
  const [left, top, right, bottom] = shape.box;
  const across = points.length ? points.map(([x]) => x) : [fit(left, width), fit(right, width)];
  const down = points.length ? points.map(([, y]) => y) : [fit(top, height), fit(bottom, height)];
  const box = [Math.min(...across), Math.min(...down), Math.max(...across), Math.max(...down)];
  return box[2] > box[0] && box[3] > box[1] ? { ...shape, rings, box } : null;
}

/** Return a shape that knows the size of the photo that it is from. */
export const withSize = (shape, { width, height }) => ({ ...shape, size: { width, height } });
