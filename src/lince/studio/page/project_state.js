// What the page knows of the project: task, classes, counts, who is here; kept up to date by the stream of news.

import { getJson } from "./api.js";
import { session } from "./ids.js";

/** The project on the server. Events: `change` (classes, counts, task), `edit` (a journal event), `presence`. */
export class ProjectState extends EventTarget {
  about = null;
  present = [];
  #source = null;
  #last = 0;
  #reload = null;

  /** Load the project and listen to its news. */
  static async load() {
    const state = new ProjectState();
    await state.refresh();
    state.#last = state.about.seq;
    state.#listen();
    // Browsers allow six connections to a server; a hidden tab gives its own back.
    document.addEventListener("visibilitychange", () => (document.hidden ? state.#close() : state.#listen()));
    return state;
  }

  /** Read task, classes and counts again. */
  async refresh() {
    this.about = await getJson("api/project");
    this.dispatchEvent(new Event("change"));
  }

  /** Return the class with an id, `undefined` where it is no longer alive. */
  findClass(id) {
    return this.about.classes.find((one) => one.id === id);
  }

  /** The people who look at a photo now, but for this tab. */
  othersAt(photoId) {
    return this.present.filter((one) => one.photo === photoId && one.session !== session);
  }

  #listen() {
    if (this.#source) return;
    this.#source = new EventSource(`events?after=${this.#last}`);
    this.#source.addEventListener("edit", (message) => {
      const event = JSON.parse(message.data);
      this.#last = Math.max(this.#last, event.seq);
      this.dispatchEvent(new CustomEvent("edit", { detail: event }));
      // Many edits come at once; the counts are read once for all of them.
      clearTimeout(this.#reload);
      this.#reload = setTimeout(() => this.refresh().catch(() => {}), 300);
    });
    this.#source.addEventListener("presence", (message) => {
      this.present = JSON.parse(message.data);
      this.dispatchEvent(new Event("presence"));
    });
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }
}
