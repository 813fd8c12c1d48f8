// The tools of the annotator: select and move, boxes by drag, boxes by four extreme points, polygons; and the handles.

import { BrushTool } from "./annotate_brush.js";
import {
  boxAround, clampPoint, distanceOf, findHandlePoint, findNearestEdge, findSnap, isEmptyBox, moveShape, resizeBox, withRings,
} from "./annotate_geometry.js";
import { cursorOf, listHandles } from "./annotate_overlay.js";
import { ScissorsTool } from "./annotate_scissors_tool.js";

const CLICK = 4; // CSS pixels; a shorter drag is a click
const SNAP = 8; // CSS pixels
const EDGE_REACH = 7;

/** Return the tool called `name`: select, box, points, polygon, scissors, brush or eraser. */
export function makeTool(name, stage) {
  const kinds = { select: SelectTool, box: BoxTool, points: PointsTool, polygon: PolygonTool, scissors: ScissorsTool, brush: BrushTool, eraser: BrushTool };
  return new kinds[name](stage, name);
}

/** Drag of a handle or vertex of the selected shape at a place of the frame, `null` where there is none. */
export function findGrab(stage, place, reach, event) {
  const shape = stage.selected;
  if (!shape || stage.isHidden || stage.locked.has(stage.selectedId) || stage.isPanning) return null;
  if (shape.kind === "box") return findHandle(stage, shape, place, reach);
  return shape.kind === "polygon" ? findVertex(stage, shape, place, reach, event) : null;
}

function findHandle(stage, shape, place, reach) {
  let [name, least] = ["", reach];
  for (const handle of listHandles(shape.box, stage.view)) {
    const distance = distanceOf(stage.view.toScreen(findHandlePoint(shape.box, handle)), place);
    if (distance < least) [name, least] = [handle, distance];
  }
  if (!name) return null;
  const resize = (point) => ({ ...shape, box: resizeBox(shape.box, name, point) });
  return { ...makeMovement(stage, shape, resize), cursor: cursorOf(name) };
}

function findVertex(stage, shape, place, reach, event) {
  for (const [ringPlace, ring] of shape.rings.entries()) {
    const at = ring.findIndex((point) => distanceOf(stage.view.toScreen(point), place) < reach);
    if (at < 0) continue;
    if (event?.altKey || event?.shiftKey) return removeVertex(stage, shape, ringPlace, at);
    return { ...makeMovement(stage, shape, (point) => moveVertex(stage, shape, ringPlace, at, point)), cursor: "move" };
  }
  const edge = findNearestEdge(shape.rings, stage.view.toPhoto(place));
  if (edge.distance * stage.view.scale > EDGE_REACH) return null;
  const rings = shape.rings.map((ring, number) => (number === edge.ring ? ring.toSpliced(edge.after + 1, 0, edge.point) : ring));
  const longer = withRings(shape, rings);
  const insert = (point) => moveVertex(stage, longer, edge.ring, edge.after + 1, point);
  return { ...makeMovement(stage, shape, insert), cursor: "copy" };
}

function moveVertex(stage, shape, ringPlace, at, point) {
  const others = stage.shapes.filter(([id]) => id !== stage.selectedId).map(([, other]) => other);
  stage.snap = findSnap(others, point, SNAP / stage.view.scale);
  const target = stage.snap ?? point;
  return withRings(shape, shape.rings.map((ring, number) => (number === ringPlace ? ring.with(at, target) : ring)));
}

/** A click on a vertex with Alt or Shift takes it out; a triangle keeps its three. */
function removeVertex(stage, shape, ringPlace, at) {
  const finish = () => {
    if (shape.rings[ringPlace].length <= 3) return;
    stage.changeSelected(withRings(shape, shape.rings.map((ring, number) => (number === ringPlace ? ring.toSpliced(at, 1) : ring))));
  };
  return { move: () => {}, finish, cursor: "not-allowed" };
}

/** A drag that changes the selected shape: `change` gives it for a point. It is an edit only when the pointer goes up. */
function makeMovement(stage, before, change) {
  const id = stage.selectedId;
  return {
    move: (point) => {
      const shape = change(point);
      if (!isEmptyBox(shape.box)) stage.preview = { id, shape, before };
    },
    finish: () => {
      const { preview } = stage;
      stage.preview = stage.snap = null;
      if (preview) stage.document.changeShape(id, preview.shape, before);
    },
    cancel: () => {
      stage.preview = stage.snap = null;
    },
  };
}

class Tool {
  hasCross = true;
  cursor = "crosshair";

  constructor(stage, name) {
    this.stage = stage;
    this.name = name;
  }

  /** The pointer moves over the photo, nothing is pressed. */
  hover(_point) {}

  /** Enter without a crosshair of the keys; whether there was something to finish. */
  finish() {
    return false;
  }

  /** Enter at the crosshair of the keys. */
  put(_point) {}

  /** Give up what is drawn. */
  cancel() {}
}

/** Click selects the smallest shape, drag moves it; a drag beside all shapes moves the photo. */
class SelectTool extends Tool {
  hasCross = false;
  cursor = "default";

  press(point) {
    const { stage } = this;
    const under = stage.findShapesAt(point);
    const id = under.includes(stage.selectedId) ? stage.selectedId : (under[0] ?? null);
    stage.select(id);
    if (!id || stage.locked.has(id)) return null;
    const shape = stage.selected;
    return makeMovement(stage, shape, ([x, y]) => moveShape(shape, x - point[0], y - point[1], stage.size));
  }
}

/** A drag draws a box, also inside another one; a click selects. By keys: Enter at two corners. */
class BoxTool extends Tool {
  #anchor = null;

  press(point, place) {
    const { stage } = this;
    let end = place;
    let box = null;
    return {
      move: (now, at) => {
        end = at;
        box = boxAround([point, now]);
        stage.draft = { box };
      },
      finish: () => {
        stage.draft = null;
        const isClick = Math.abs(end[0] - place[0]) < CLICK || Math.abs(end[1] - place[1]) < CLICK;
        if (isClick) stage.select(stage.findShapesAt(point)[0] ?? null);
        else if (!isEmptyBox(box)) stage.addShape({ kind: "box", box });
      },
      cancel: () => {
        stage.draft = null;
      },
    };
  }

  hover(point) {
    if (this.#anchor) this.stage.draft = { box: boxAround([this.#anchor, point]) };
  }

  put(point) {
    const anchor = this.#anchor;
    if (!anchor) {
      this.#anchor = point;
      return;
    }
    const box = boxAround([anchor, point]);
    if (isEmptyBox(box)) return;
    this.cancel();
    this.stage.addShape({ kind: "box", box });
  }

  cancel() {
    this.#anchor = this.stage.draft = null;
  }
}

/** Four clicks on the outermost points of a thing, in any order, make its box. */
class PointsTool extends Tool {
  #points = [];

  press(point) {
    return { move: () => {}, finish: () => this.put(point) };
  }

  put(point) {
    this.#points.push(point);
    const box = boxAround(this.#points);
    if (this.#points.length < 4 || isEmptyBox(box)) {
      this.stage.draft = { points: this.#points };
      return;
    }
    this.cancel();
    this.stage.addShape({ kind: "box", box });
  }

  cancel() {
    this.#points = [];
    this.stage.draft = null;
  }
}

/** Each click adds a vertex; Enter, a double click or a click on the first one closes the polygon. */
class PolygonTool extends Tool {
  #points = [];

  press(point, place, event) {
    const [first] = this.#points;
    const isClosing = this.#points.length > 2 && distanceOf(this.stage.view.toScreen(first), place) < SNAP + 2;
    return { move: (now) => this.hover(now), finish: () => (isClosing ? this.finish() : this.#add(this.#snap(point, event))) };
  }

  hover(point) {
    const { stage } = this;
    this.#snap(point);
    if (this.#points.length) stage.draft = { points: [...this.#points, stage.snap ?? point] };
  }

  put(point) {
    const last = this.#points.at(-1);
    if (last && distanceOf(last, point) === 0) this.finish();
    else this.#add(point);
  }

  finish() {
    // A double click has put its place twice.
    const points = this.#points.filter((point, place, all) => !place || distanceOf(point, all[place - 1]) > 0);
    if (!points.length) return false;
    if (points.length < 3 || isEmptyBox(boxAround(points))) return true;
    this.cancel();
    this.stage.addShape({ kind: "polygon", rings: [points], box: boxAround(points) });
    return true;
  }

  cancel() {
    this.#points = [];
    this.stage.draft = this.stage.snap = null;
  }

  /** Take back the last vertex; whether there was one. */
  removeLast() {
    if (!this.#points.length) return false;
    this.#points = this.#points.slice(0, -1);
    this.stage.draft = this.#points.length ? { points: this.#points } : null;
    return true;
  }

  #add(point) {
    this.#points = [...this.#points, clampPoint(point, this.stage.size)];
    this.stage.draft = { points: this.#points };
  }

  /** Return the vertex of another shape that is near, else the point; Ctrl keeps the point. */
  #snap(point, event = null) {
    const { stage } = this;
    const shapes = event?.ctrlKey ? [] : stage.shapes.map(([, shape]) => shape);
    stage.snap = findSnap(shapes, point, SNAP / stage.view.scale);
    return stage.snap ?? point;
  }
}
