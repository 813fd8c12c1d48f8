// The labels of one photo as the page shows them: what the server has acknowledged, and what the person did since.

import { getJson, postJson } from "./api.js";
import { makeId, session } from "./ids.js";

const KINDS = ["photo", "shape", "comment"];
const nameTarget = (kind, id) => `${kind}:${id}`;

/**
 * A photo with its shapes and comments. Events: `change` (any of them), `notice` (detail: {name, values} to be said),
 * `conflict` (something could not be saved as it was made; see `conflicts`).
 */
export class PhotoDocument extends EventTarget {
  record = null;
  conflicts = [];
  #project;
  #queue;
  #entries = new Map(); // target -> {kind, id, local, server, pending, version}
  #shapes = null; // in their order, until something changes
  #version = 0; // of the photo as it was loaded
  #isLoading = false;
  #isDirty = false;
  #undoKeys = {};
  #chain = Promise.resolve();
  #listeners = [];

  constructor(photoId, project, queue) {
    super();
    this.id = photoId;
    this.#project = project;
    this.#queue = queue;
    this.#listen(queue, "outcome", (event) => this.#takeOutcome(event.detail));
    this.#listen(project, "edit", (event) => this.#takeNews(event.detail));
  }

  /** Show what was read of the photo ahead of time, until `load` brings what it is now. */
  show(answer) {
    this.#fill(answer);
    this.#showChange();
  }

  /** Read the photo from the server, with what waits in the queue on top of it. */
  async load() {
    this.#isLoading = true;
    try {
      let answer;
      do {
        this.#isDirty = false;
        answer = await getJson(`api/photos/${this.id}`);
      } while (this.#isDirty); // an edit was acknowledged meanwhile
      this.#fill(answer);
    } finally {
      this.#isLoading = false;
    }
    this.#showChange();
  }

  /** Listen no longer; edits that wait in the queue stay there. */
  close() {
    for (const [source, name, listener] of this.#listeners) source.removeEventListener(name, listener);
  }

  /** The state of the photo as a whole: {classes, flag, removed, split, state}. */
  get state() {
    return this.#entries.get(nameTarget("photo", this.id))?.local ?? null;
  }

  /** The shapes as [id, state], in the order in which they are drawn. */
  get shapes() {
    this.#shapes ??= this.#list("shape").sort(([idA, a], [idB, b]) => a.z - b.z || (idA < idB ? -1 : 1));
    return this.#shapes;
  }

  /** The comments as [id, state], oldest first. */
  get comments() {
    return this.#list("comment").sort(([idA], [idB]) => (idA < idB ? -1 : 1));
  }

  /** How many edits of this photo wait. */
  get unsavedCount() {
    return this.#queue.waitingOf(this.id).length;
  }

  /** The state of a shape, `undefined` where there is none. */
  findShape(id) {
    return this.#entries.get(nameTarget("shape", id))?.local ?? undefined;
  }

  /**
   * Make changes {kind, id, after}, which are undone as one; `after` is the whole new state, `null` for none.
   * `before` says what the person saw as a longer movement began, if that may no longer be the present state.
   */
  change(changes) {
    const act = makeId();
    changes.forEach(({ kind, id, after, before }, place) => {
      const entry = this.#need(kind, id);
      const seen = before === undefined ? (entry.pending ? entry.local : entry.server) : before;
      if (isEqual(seen, after)) return;
      entry.local = after;
      this.#shapes = null;
      entry.pending += 1;
      const key = place ? makeId() : act;
      this.#queue.add({ key, act, photo: this.id, target: { kind, id: String(id) }, before: seen, after });
    });
    this.#showChange();
  }

  /** Change one shape, or remove it with `null`; a model's shape that a person has changed is the person's. */
  changeShape(id, after, before) {
    const own = after?.source === "model" ? { ...after, source: "person" } : after;
    this.change([{ kind: "shape", id, after: own, before }]);
  }

  /** Change some fields of the photo's own state. */
  changeState(fields) {
    this.change([{ kind: "photo", id: this.id, after: { ...this.state, ...fields } }]);
  }

  /** Take back the person's last act on this photo, or make it again (`which` is "undo" or "redo"). */
  step(which) {
    this.#chain = this.#chain.then(() => this.#step(which, {}));
    return this.#chain;
  }

  /** Bring the photo back to what it was after an event of its history. */
  restore(seq) {
    this.#chain = this.#chain.then(() => this.#step("restore", { seq }));
    return this.#chain;
  }

  /** Settle a conflict: "mine" saves it over what is there now, "theirs" drops it, "both" keeps it as a new shape. */
  settle(conflict, choice) {
    this.conflicts = this.conflicts.filter((other) => other !== conflict);
    this.#queue.forget(conflict.keys);
    const entry = this.#need(conflict.kind, conflict.id);
    const { mine } = conflict;
    if (choice !== "mine") entry.local = entry.server;
    if (choice === "mine") this.change([{ kind: conflict.kind, id: conflict.id, after: mine, before: entry.server }]);
    if (choice === "both") this.changeShape(makeId(), { ...mine, z: this.nextZ });
    this.#showChange();
  }

  /** The place above all shapes. */
  get nextZ() {
    return Math.max(0, ...this.shapes.map(([, shape]) => shape.z + 1));
  }

  async #step(which, body) {
    if (!(await this.#queue.whenSaved())) return this.#notify("annotate.notice.undo-waits");
    const key = (this.#undoKeys[which] ??= makeId());
    try {
      const { outcomes } = await postJson(`api/${which}`, { key, session, photo: this.id, ...body });
      delete this.#undoKeys[which];
      if (outcomes.length) await this.load();
      this.#notify(outcomes.length ? `annotate.notice.${which}` : `annotate.notice.no-${which}`);
    } catch (error) {
      if (error.status) delete this.#undoKeys[which]; // the server has answered; another try is another act
      this.#notify(error.status ? "annotate.notice.failed" : "annotate.notice.undo-waits", { message: error.message });
    }
  }

  #fill({ photo, state, shapes, comments }) {
    this.record = photo;
    this.#version = photo.version;
    const found = new Map();
    const put = (kind, id, server) => found.set(nameTarget(kind, id), makeEntry(kind, id, server, photo.version));
    put("photo", this.id, state);
    for (const shape of shapes) put("shape", shape.id, shape.state);
    for (const comment of comments) put("comment", comment.id, comment.state);
    this.#entries = found;
    for (const edit of this.#queue.waiting) {
      if (!this.#isMine(edit)) continue;
      const entry = this.#need(edit.target.kind, edit.target.id);
      entry.local = edit.after;
      entry.pending += 1;
    }
    this.conflicts = [];
    for (const { edit, outcome } of this.#queue.conflicts) if (this.#isMine(edit)) this.#addConflict(edit, outcome);
  }

  #takeOutcome({ edit, outcome }) {
    if (!this.#isMine(edit)) return;
    if (this.#isLoading) {
      this.#isDirty = true;
      return;
    }
    const entry = this.#need(edit.target.kind, edit.target.id);
    entry.pending = Math.max(0, entry.pending - 1);
    if (outcome.status === "saved") {
      entry.server = outcome.now;
      entry.version = Math.max(entry.version, outcome.version ?? 0);
      if (!entry.pending) entry.local = entry.server;
    } else {
      if (outcome.status === "stale") entry.server = outcome.now;
      this.#addConflict(edit, outcome);
    }
    this.#showChange();
  }

  /** Keep what could not be saved until the person has decided; edits of one target are one question. */
  #addConflict(edit, outcome) {
    const { kind, id } = edit.target;
    const entry = this.#need(kind, id);
    if (!entry.pending && isEqual(entry.server, edit.after)) {
      entry.local = entry.server;
      this.#queue.forget([edit.key]);
      return;
    }
    const known = this.conflicts.find((one) => one.kind === kind && one.id === id);
    const conflict = known ?? { kind, id, keys: [] };
    Object.assign(conflict, { mine: edit.after, status: outcome.status, who: outcome.who, message: outcome.message });
    conflict.theirs = entry.server;
    conflict.keys.push(edit.key);
    entry.local = edit.after;
    if (!known) this.conflicts = [...this.conflicts, conflict];
    this.dispatchEvent(new Event("conflict"));
  }

  #takeNews(event) {
    if (event.photo !== this.id || !KINDS.includes(event.target)) return;
    if (this.#isLoading) {
      this.#isDirty ||= event.session !== session;
      return;
    }
    const entry = this.#need(event.target, event.target_id);
    if (event.version <= entry.version) return;
    entry.version = event.version;
    entry.server = event.after;
    if (entry.pending || this.conflicts.some((one) => one.kind === entry.kind && one.id === entry.id)) return;
    entry.local = event.after;
    this.#showChange();
    if (event.session !== session) this.#notify("annotate.notice.other", { who: event.who });
  }

  #isMine(edit) {
    if (edit.target.kind === "photo") return Number(edit.target.id) === this.id;
    return (edit.after ?? edit.before)?.photo === this.id && KINDS.includes(edit.target.kind);
  }

  #need(kind, id) {
    const target = nameTarget(kind, id);
    if (!this.#entries.has(target)) this.#entries.set(target, makeEntry(kind, id, null, this.#version));
    return this.#entries.get(target);
  }

  #list(kind) {
    return [...this.#entries.values()].filter((entry) => entry.kind === kind && entry.local).map((one) => [one.id, one.local]);
  }

  #listen(source, name, listener) {
    source.addEventListener(name, listener);
    this.#listeners.push([source, name, listener]);
  }

  #notify(name, values = {}) {
    this.dispatchEvent(new CustomEvent("notice", { detail: { name, values } }));
  }

  #showChange() {
    this.#shapes = null;
    this.dispatchEvent(new Event("change"));
  }
}

const makeEntry = (kind, id, server, version) => ({ kind, id: String(id), local: server, server, pending: 0, version });

/** Whether two states are the same, whatever the order of their fields. */
function isEqual(one, other) {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => isEqual(one[key], other[key]));
}
