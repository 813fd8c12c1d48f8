// The photos that the gallery shows: the ids that fit the filters, and what is known of those that were on screen.

import { RequestError, getJson } from "./api.js";
import { whenAllSaved, withUnsaved } from "./unsaved.js";

const MAX_ASKED = 200;
export const NO_FILTER = { filter: "all", class: "", split: "", person: "", search: "" };

/** Ids in their order and photos by id. Event: `change`. */
export class PhotoList extends EventTarget {
  filter = { ...NO_FILTER };
  ids = [];
  /** Whether the ids have been read at least once. */
  isLoaded = false;
  selection = new Set();
  /** The place of the photo that has the focus in the gallery. */
  focus = 0;
  /** How often what is known has changed; for effects that read what is missing. */
  changes = 0;
  #photos = new Map();
  #asked = new Set();
  #stale = new Set();
  #request = 0;
  #queue;
  #acts;

  constructor(project, queue, acts) {
    super();
    this.#queue = queue;
    this.#acts = acts;
    project.addEventListener("edit", ({ detail }) => detail.photo !== null && this.#mark(detail.photo));
    project.addEventListener("wide", ({ detail }) => this.forget(detail.photos ?? [...this.#photos.keys()]));
  }

  /** Read the ids that fit `filter` again. */
  async load(filter = this.filter) {
    const request = (this.#request += 1);
    this.filter = filter;
    const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== ""));
    await whenAllSaved({ queue: this.#queue, acts: this.#acts }); // the filter finds what the server has
    const { ids } = await getJson(`api/photos/ids?${query}`);
    if (request !== this.#request) return;
    this.ids = ids;
    this.isLoaded = true;
    const present = new Set(ids);
    this.selection = new Set([...this.selection].filter((id) => present.has(id)));
    this.focus = Math.max(0, Math.min(this.focus, ids.length - 1));
    this.#changed();
  }

  /** Return what is known of a photo, with what is not saved yet; `undefined` before it was read. */
  get(id) {
    const photo = this.#photos.get(id);
    return photo && withUnsaved(photo, this.#queue.waitingOf(id));
  }

  /** Read what is not known of the photos `ids`. */
  async read(ids) {
    const missing = ids.filter((id) => (!this.#photos.has(id) || this.#stale.has(id)) && !this.#asked.has(id));
    if (!missing.length) return;
    const batch = missing.slice(0, MAX_ASKED);
    batch.forEach((id) => this.#asked.add(id) && this.#stale.delete(id));
    try {
      const { photos } = await getJson(`api/photos?ids=${batch.join(",")}`);
      for (const photo of photos) this.#photos.set(photo.id, photo);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      batch.forEach((id) => this.#stale.add(id));
      return;
    } finally {
      batch.forEach((id) => this.#asked.delete(id));
    }
    this.#changed();
    if (missing.length > batch.length) await this.read(missing.slice(MAX_ASKED));
  }

  /** Show fields of photos before the server has them. */
  assume(ids, fields) {
    for (const id of ids) {
      const photo = this.#photos.get(id);
      if (photo) this.#photos.set(id, { ...photo, ...fields });
    }
    this.#changed();
  }

  /** Forget what is known of photos, which are then read again. */
  forget(ids) {
    for (const id of ids) this.#mark(id);
  }

  select(ids) {
    this.selection = new Set(ids);
    this.#changed();
  }

  setFocus(place) {
    this.focus = Math.max(0, Math.min(place, this.ids.length - 1));
    this.#changed();
  }

  #mark(id) {
    if (!this.#photos.has(id)) return;
    this.#stale.add(id);
    this.#changed();
  }

  // Many edits come at once: the page is shown once for all of them.
  #isAnnounced = false;
  #changed() {
    this.changes += 1;
    if (this.#isAnnounced) return;
    this.#isAnnounced = true;
    queueMicrotask(() => {
      this.#isAnnounced = false;
      this.dispatchEvent(new Event("change"));
    });
  }
}
