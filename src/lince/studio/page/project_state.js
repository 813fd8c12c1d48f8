// What the page knows of the project: task, classes, counts, who is here; kept up to date by the stream of news.

import { RequestError, getJson, postJson, setPerson } from "./api.js";
import { session } from "./ids.js";

const RETRY_MS = 2000;
const PRESENCE_MS = 20000;
const REFRESH_MS = 400;
const LATER_MS = 2000;

/**
 * The project on the server. Events: `change` (classes, counts, task), `edit` (a journal event), `wide` (an act on very
 * many photos: `photos` are their ids, null for too many to name), `presence`, and
 * `connection` (`connection` is "open", "lost" or "refused").
 */
export class ProjectState extends EventTarget {
  about = null;
  present = [];
  connection = "open";
  /** Whether the server is another version than the one that this page came from. */
  isOutdated = false;
  /** The number of the newest event that this page has heard of. */
  last = 0;
  #source = null;
  #reload = null;
  #photo = null;

  /** Load the project and listen to its news. */
  static async load() {
    const state = new ProjectState();
    await state.refresh();
    state.#listen();
    // Browsers allow six connections to a server; a hidden tab gives its own back.
    document.addEventListener("visibilitychange", () => (document.hidden ? state.#close() : state.#wake()));
    setInterval(() => !document.hidden && state.#sayPresence(), PRESENCE_MS);
    return state;
  }

  /** Read task, classes and counts again. */
  async refresh() {
    const about = await getJson("api/project");
    if (this.about !== null && about.person !== this.about.person) throw new RequestError(401, "other-person", "");
    setPerson(about.person);
    this.isOutdated ||= this.about !== null && about.version !== this.about.version;
    if (this.about === null) this.last = about.seq;
    this.about = about;
    this.dispatchEvent(new Event("change"));
    if (about.counted < about.seq) this.#refreshSoon(LATER_MS);
  }

  /** Under which this browser keeps what is not saved yet; of each person apart. */
  get storageName() {
    const { id, person, has_passwords: hasPasswords } = this.about;
    return hasPasswords ? `${id}-${person}` : id;
  }

  /** Go on after the person has signed in again. */
  async reconnect() {
    this.#close();
    await this.refresh().catch(() => {});
    this.#listen();
    this.#sayPresence();
  }

  /** Return the class with an id, `undefined` where it is no longer alive. */
  findClass(id) {
    return this.about.classes.find((one) => one.id === id);
  }

  /** The people who look at a photo now, but for this tab. */
  othersAt(photoId) {
    return this.present.filter((one) => one.photo === photoId && one.session !== session);
  }

  /** Say which photo this page shows, null for none. */
  showPhoto(photoId) {
    this.#photo = photoId;
    this.#sayPresence();
  }

  #wake() {
    this.#listen();
    this.#sayPresence();
  }

  #sayPresence() {
    postJson("api/presence", { session, photo: this.#photo }).catch(() => {});
  }

  #listen() {
    if (this.#source) return;
    const source = (this.#source = new EventSource(`events?after=${this.last}`));
    source.addEventListener("open", () => this.#onOpen());
    source.addEventListener("error", () => this.#onError(source));
    source.addEventListener("edit", (message) => {
      const event = JSON.parse(message.data);
      this.last = Math.max(this.last, event.seq);
      this.dispatchEvent(new CustomEvent("edit", { detail: event }));
      this.#refreshSoon();
    });
    source.addEventListener("wide", (message) => this.#takeWideAct(JSON.parse(message.data)));
    source.addEventListener("presence", (message) => {
      this.present = JSON.parse(message.data);
      this.dispatchEvent(new Event("presence"));
    });
  }

  /** An act on very many photos comes as one message; what it did to the photo that is shown is read as edits. */
  async #takeWideAct(act) {
    const before = this.last;
    this.last = Math.max(this.last, act.seq);
    this.dispatchEvent(new CustomEvent("wide", { detail: act }));
    this.#refreshSoon();
    const photo = this.#photo;
    if (photo === null || (act.photos && !act.photos.includes(photo))) return;
    try {
      const { events } = await getJson(`api/photos/${photo}/history`);
      const news = events.filter((event) => event.seq > before && event.seq <= act.seq).reverse();
      for (const event of news) this.dispatchEvent(new CustomEvent("edit", { detail: event }));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error; // the connection is gone, which is shown
    }
  }

  // Many edits come at once; the counts are read once for all of them, and again where they are not of now yet.
  #refreshSoon(wait = REFRESH_MS) {
    this.#reload ??= setTimeout(async () => {
      this.#reload = null;
      await this.refresh().catch(() => {});
    }, wait);
  }

  #onOpen() {
    const isBack = this.connection !== "open";
    this.#setConnection("open");
    if (isBack) this.refresh().catch(() => {});
  }

  /** The browser tries again by itself, unless the server refused: then it is asked why, and tried again here. */
  #onError(source) {
    this.#setConnection(this.connection === "refused" ? "refused" : "lost");
    if (source.readyState !== EventSource.CLOSED) return;
    this.#close();
    setTimeout(async () => {
      try {
        await this.refresh();
      } catch (error) {
        if (error instanceof RequestError && error.status === 401) this.#setConnection("refused");
      }
      // Of another person the news would come, but nothing could be saved.
      if (!document.hidden && this.connection !== "refused") this.#listen();
      else if (this.connection === "refused") setTimeout(() => this.#tryAgain(), RETRY_MS);
    }, RETRY_MS);
  }

  /** Look whether this browser has access again, as after signing in in another tab. */
  async #tryAgain() {
    if (this.connection !== "refused" || this.#source) return;
    try {
      await this.refresh();
      this.#listen();
    } catch {
      setTimeout(() => this.#tryAgain(), LATER_MS);
    }
  }

  #setConnection(name) {
    if (name === this.connection) return;
    this.connection = name;
    this.dispatchEvent(new Event("connection"));
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }
}
