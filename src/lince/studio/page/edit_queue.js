// Edits wait in IndexedDB until the server has acknowledged them; they are sent in their order, one batch a request.
// A page that is closed, or a server that is gone for a while, loses none.

import { RequestError, postJson } from "./api.js";
import { session } from "./ids.js";

const STORE = "edits";
const RETRY_MS = [500, 1000, 2000, 5000];
const MAX_BATCH = 100;

/** What the page shows of the queue: `saved`, `saving` with a count, or `failed` with the reason and a count. */
export class EditQueue extends EventTarget {
  #database;
  #waiting = [];
  #isSending = false;
  #attempt = 0;
  #resolvers = new Map();

  status = { name: "saved", count: 0, message: "" };

  /** Open the queue of a project; edits that an earlier page left are sent first. */
  static async open(projectId) {
    const queue = new EditQueue();
    queue.#database = await openDatabase(`lince-${projectId}`);
    queue.#waiting = await readAll(queue.#database);
    addEventListener("pagehide", () => queue.#flush());
    document.addEventListener("visibilitychange", () => document.hidden && queue.#flush());
    addEventListener("online", () => queue.#send());
    queue.#show();
    queue.#send();
    return queue;
  }

  /** How many edits the server has not acknowledged yet. */
  get count() {
    return this.#waiting.length;
  }

  /** The edits that wait, oldest first. */
  get waiting() {
    return [...this.#waiting];
  }

  /**
   * Keep an edit, then send it; the promise gives its outcome: `saved`, `stale` or `refused`.
   * An edit is {key, target: {kind, id}, before, after}, as the server's `api/edits` takes it.
   */
  async add(edit) {
    const outcome = new Promise((resolve) => this.#resolvers.set(edit.key, resolve));
    this.#waiting.push(edit);
    this.#show();
    await write(this.#database, (store) => store.put({ ...edit, order: nextOrder() }));
    this.#send();
    return outcome;
  }

  async #send() {
    if (this.#isSending || !this.#waiting.length) return;
    this.#isSending = true;
    const batch = this.#waiting.slice(0, MAX_BATCH);
    try {
      const { outcomes } = await postJson("api/edits", { session, edits: batch.map(strip) });
      this.#attempt = 0;
      await this.#settle(batch, outcomes);
    } catch (error) {
      this.#fail(error);
      return;
    } finally {
      this.#isSending = false;
    }
    this.#send();
  }

  async #settle(batch, outcomes) {
    await write(this.#database, (store) => batch.forEach((edit) => store.delete(edit.key)));
    const done = new Set(batch.map((edit) => edit.key));
    this.#waiting = this.#waiting.filter((edit) => !done.has(edit.key));
    this.#show();
    batch.forEach((edit, place) => {
      const outcome = outcomes[place];
      this.#resolvers.get(edit.key)?.(outcome);
      this.#resolvers.delete(edit.key);
      this.dispatchEvent(new CustomEvent("outcome", { detail: { edit, outcome } }));
    });
  }

  #fail(error) {
    if (!(error instanceof RequestError)) throw error;
    this.#show(error);
    const wait = RETRY_MS[Math.min(this.#attempt, RETRY_MS.length - 1)];
    this.#attempt += 1;
    setTimeout(() => this.#send(), wait);
  }

  /** Send all that waits as the page is hidden; the answer may never be seen, and the edits are then sent again. */
  #flush() {
    if (!this.#waiting.length) return;
    const edits = this.#waiting.slice(0, MAX_BATCH).map(strip);
    postJson("api/edits", { session, edits }, true).catch(() => {});
  }

  #show(error = null) {
    const count = this.#waiting.length;
    const name = error ? "failed" : count ? "saving" : "saved";
    this.status = { name, count, message: error?.message ?? "", code: error?.code ?? "" };
    this.dispatchEvent(new Event("status"));
  }
}

let order = 0;
const nextOrder = () => Date.now() * 1000 + (order++ % 1000);
const strip = ({ key, target, before, after }) => ({ key, target, before, after });

function openDatabase(name) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "key" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

function write(database, act) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, "readwrite", { durability: "strict" });
    act(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

function readAll(database) {
  return new Promise((resolve, reject) => {
    const reading = database.transaction(STORE).objectStore(STORE).getAll();
    reading.onsuccess = () => resolve(reading.result.sort((one, other) => one.order - other.order));
    reading.onerror = () => reject(reading.error);
  });
}
