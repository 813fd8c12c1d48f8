// What the page knows of the photos around the one that is shown, and their pictures, decoded before they are needed.

import { getJson } from "./api.js";
import { withUnsaved } from "./unsaved.js";

const BEFORE = 8;
const AFTER = 8;
const DECODED_AFTER = 2;
const PATIENCE_MS = 500;
const MAX_RECORDS = 200;

/** Names, sizes and states of photos by id. Event: `change`. */
export class PhotoRecords extends EventTarget {
  #records = new Map();
  #listener;
  #wideListener;
  #project;
  #queue;

  constructor(project, queue) {
    super();
    this.#project = project;
    this.#queue = queue;
    this.#wideListener = () => this.#readAgain();
    this.#listener = ({ detail: event }) => this.#takeNews(event);
    project.addEventListener("edit", this.#listener);
    project.addEventListener("wide", this.#wideListener);
  }

  close() {
    this.#project.removeEventListener("edit", this.#listener);
    this.#project.removeEventListener("wide", this.#wideListener);
  }

  /** Return what is known of a photo, with what is not saved yet. */
  find(id) {
    const record = this.#records.get(id);
    return record && withUnsaved(record, this.#queue.waitingOf(id));
  }

  /** Read all records again, after an act on very many photos; until then the old ones are shown. */
  async #readAgain() {
    const known = [...this.#records.keys()].slice(-MAX_RECORDS);
    const { photos } = await getJson(`api/photos?ids=${known.join(",")}`).catch(() => ({ photos: [] }));
    for (const photo of photos) this.#records.set(photo.id, photo);
    this.dispatchEvent(new Event("change"));
  }

  /** Note what is known of a photo. */
  put(record) {
    this.#records.set(record.id, record);
    this.dispatchEvent(new Event("change"));
  }

  /** Read what is not known yet of `ids`. */
  async read(ids) {
    const missing = ids.filter((id) => !this.#records.has(id));
    if (!missing.length) return;
    const { photos } = await getJson(`api/photos?ids=${missing.join(",")}`);
    for (const photo of photos) this.#records.set(photo.id, photo);
    this.dispatchEvent(new Event("change"));
  }

  #takeNews({ target, target_id: id, photo, before, after }) {
    const record = this.#records.get(photo);
    if (!record) return;
    if (target === "photo" && Number(id) === photo) Object.assign(record, after);
    else if (target === "shape") record.shapes = Math.max(0, record.shapes + Number(Boolean(after)) - Number(Boolean(before)));
    else return;
    this.dispatchEvent(new Event("change"));
  }
}

/** What the server says of the photos that come next, read ahead; what has changed since is read again. */
export class PhotoAnswers {
  #answers = new Map(); // id -> promise
  #project;
  #drop;

  constructor(project) {
    this.#project = project;
    this.#drop = ({ detail: event }) => (event.photo === null ? this.#answers.clear() : this.#answers.delete(event.photo));
    project.addEventListener("edit", this.#drop);
  }

  close() {
    this.#project.removeEventListener("edit", this.#drop);
  }

  /** Read a photo, and forget all others. */
  prepare(id) {
    for (const other of this.#answers.keys()) if (other !== id) this.#answers.delete(other);
    if (id !== undefined && !this.#answers.has(id)) this.#answers.set(id, getJson(`api/photos/${id}`).catch(() => null));
  }

  /** Return what was read of a photo ahead, `null` where that was nothing. */
  async take(id) {
    const answer = this.#answers.get(id) ?? null;
    this.#answers.delete(id);
    return answer;
  }
}

/** Return the state to show of a photo: one that nobody has finished is begun once it has a label. */
export const nameState = (state, labelCount) => (state === "new" && labelCount > 0 ? "draft" : state);

/** Return the ids around the one at `place`. */
export const listNeighbours = (ids, place) => ids.slice(Math.max(0, place - BEFORE), place + AFTER + 1);

/** Pictures as <img>, decoded; those of the next photos are there before one asks for them. */
export class Pictures {
  #pictures = new Map(); // id -> promise of an <img>

  /** Return the decoded picture of a photo; rejects where the server or the browser cannot show it. */
  get(record) {
    if (!this.#pictures.has(record.id)) {
      const loading = load(`image/${record.id}?v=${record.digest}`);
      loading.catch(() => this.#pictures.delete(record.id));
      this.#pictures.set(record.id, loading);
    }
    return this.#pictures.get(record.id);
  }

  /** Decode the photos after `place`, keep the one before it, and drop all others. */
  prepare(ids, place, records) {
    const near = ids.slice(Math.max(0, place - 1), place + DECODED_AFTER + 1);
    for (const id of this.#pictures.keys()) if (!near.includes(id)) this.#pictures.delete(id);
    for (const id of near) {
      const record = records.find(id);
      if (record) this.get(record).catch(() => {});
    }
  }
}

/** A tab in the background may put off decoding for ever; then it is enough that the bytes are there. */
const waitForLoad = (picture) => new Promise((resolve) => picture.addEventListener("load", () => setTimeout(resolve, PATIENCE_MS)));

async function load(address) {
  const picture = new Image();
  picture.decoding = "sync"; // it is shown together with its shapes, and never without itself
  picture.src = address;
  await Promise.race([picture.decode(), waitForLoad(picture)]);
  return picture;
}
