// Edits wait in IndexedDB until the server has acknowledged them; they are sent in their order, one batch a request.
// A page that is closed, or a server that is gone for a while, loses none. What the server did not take (somebody was
// faster, or it is no label) is kept as well, until the person has decided about it.

import { RequestError, postJson } from "./api.js";
import { session } from "./ids.js";

const STORE = "edits";
const CONFLICTS = "conflicts";
const RETRY_MS = [500, 1000, 2000, 5000];
const MAX_BATCH = 100;
const MAX_BATCH_LENGTH = 8_000_000; // characters of JSON; masks can be long
const SAVING_MS = 5000; // that `whenSaved` waits

/** What the page shows of the queue: `saved`, `saving` with a count, or `failed` with the reason and a count. */
export class EditQueue extends EventTarget {
  #database;
  #waiting = [];
  #isSending = false;
  #attempt = 0;
  #resolvers = new Map();
  #conflicts = [];

  status = { name: "saved", count: 0, message: "" };

  /** Open the queue of a project; edits that an earlier page left are sent first. */
  static async open(projectId) {
    const queue = new EditQueue();
    queue.#database = await openDatabase(`lince-${projectId}`);
    queue.#waiting = await readAll(queue.#database, STORE);
    queue.#conflicts = await readAll(queue.#database, CONFLICTS);
    // Also where the clock of this machine was set back since.
    lastOrder = Math.max(lastOrder, ...[...queue.#waiting, ...queue.#conflicts].map(({ order }) => order ?? 0));
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

  /** What the server did not take, oldest first, as {key, edit, outcome}; the page asks the person, then calls `forget`. */
  get conflicts() {
    return [...this.#conflicts];
  }

  /**
   * Keep an edit, then send it; the promise gives its outcome: `saved`, `stale` or `refused`.
   * An edit is {key, target: {kind, id}, before, after}, as the server's `api/edits` takes it; edits with the same
   * `act` are undone as one.
   */
  async add(edit) {
    const outcome = new Promise((resolve) => this.#resolvers.set(edit.key, resolve));
    this.#waiting.push(edit);
    this.#show();
    try {
      await write(this.#database, STORE, (store) => store.put({ ...edit, order: nextOrder() }));
    } finally {
      this.#send(); // also where the browser has no room: the server can have it all the same
    }
    return outcome;
  }

  /** The edits of a photo that wait, oldest first. */
  waitingOf(photoId) {
    return this.#waiting.filter((edit) => photoOf(edit) === photoId);
  }

  /** The person has decided about what the server did not take. */
  forget(keys) {
    this.#conflicts = this.#conflicts.filter(({ key }) => !keys.includes(key));
    write(this.#database, CONFLICTS, (store) => keys.forEach((key) => store.delete(key))).catch(() => {});
    this.#show();
  }

  /**
   * Take over what other tabs of this browser have not saved yet, and what closed ones have left: an edit that two tabs
   * send is made once.
   */
  async takeStored() {
    const stored = await readAll(this.#database, STORE);
    const known = new Set(this.#waiting.map(({ key }) => key));
    const others = stored.filter(({ key }) => !known.has(key));
    if (!others.length) return;
    this.#waiting.push(...others);
    this.#show();
    this.#send();
  }

  /** Whether all edits were acknowledged, once they were sent again; after at most a few seconds. */
  whenSaved() {
    return waitUntilSaved(this, () => this.#send());
  }

  async #send() {
    if (this.#isSending || !this.#waiting.length) return;
    this.#isSending = true;
    const batch = takeBatch(this.#waiting);
    try {
      const { outcomes } = await sendBatch(batch);
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
    const refused = batch.map((edit, place) => ({ key: edit.key, edit: strip(edit), outcome: outcomes[place] }))
      .filter(({ outcome }) => outcome.status !== "saved");
    if (refused.length) {
      await write(this.#database, CONFLICTS, (store) => refused.forEach((one) => store.put({ ...one, order: nextOrder() })));
      this.#conflicts.push(...refused);
    }
    await write(this.#database, STORE, (store) => batch.forEach((edit) => store.delete(edit.key)));
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
    const edits = takeBatch(this.#waiting).map(strip);
    postJson("api/edits", { session, edits }, true).catch(() => {});
  }

  #show(error = null) {
    const count = this.#waiting.length;
    const name = error ? "failed" : count ? "saving" : "saved";
    this.status = { name, count, message: error?.message ?? "", code: error?.code ?? "" };
    this.dispatchEvent(new Event("status"));
  }
}

/** Whether all that waits in a queue was acknowledged, once `send` has sent it; after at most a few seconds. */
export function waitUntilSaved(queue, send) {
  if (!queue.status.count) return Promise.resolve(true);
  return new Promise((resolve) => {
    const finish = (isSaved) => {
      clearTimeout(limit);
      queue.removeEventListener("status", look);
      resolve(isSaved);
    };
    const look = () => {
      if (!queue.status.count) finish(true);
      else if (queue.status.name === "failed") finish(false);
    };
    const limit = setTimeout(() => finish(false), SAVING_MS);
    queue.addEventListener("status", look);
    send();
  });
}

/** Return the id of the photo that an edit is about, `null` for none. */
export const photoOf = ({ target, before, after }) => (target.kind === "photo" ? Number(target.id) : ((after ?? before)?.photo ?? null));

/** Send edits and return their outcomes; all of them are refused to somebody who may not edit any more. */
async function sendBatch(batch) {
  try {
    return await postJson("api/edits", { session, edits: batch.map(strip) });
  } catch (error) {
    if (!(error instanceof RequestError) || !["no-role", "read-only"].includes(error.code)) throw error;
    if (batch.length > 1) {
      const answers = [];
      for (const edit of batch) answers.push(await sendBatch([edit])); // some of them may be allowed
      return { outcomes: answers.flatMap(({ outcomes }) => outcomes) };
    }
    return { outcomes: batch.map(({ key }) => ({ key, status: "refused", code: error.code, message: error.message })) };
  }
}

let lastOrder = 0;
const nextOrder = () => (lastOrder = Math.max(lastOrder + 1, Date.now() * 1000));
const strip = ({ key, act = key, target, before, after }) => ({ key, act, target, before, after });

function takeBatch(edits) {
  const batch = [];
  let length = 0;
  for (const edit of edits.slice(0, MAX_BATCH)) {
    length += JSON.stringify(edit).length;
    if (batch.length && length > MAX_BATCH_LENGTH) break;
    batch.push(edit);
  }
  return batch;
}

function openDatabase(name) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      for (const store of [STORE, CONFLICTS]) opening.result.createObjectStore(store, { keyPath: "key" });
    };
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

function write(database, name, act) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(name, "readwrite", { durability: "strict" });
    act(transaction.objectStore(name));
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

function readAll(database, name) {
  return new Promise((resolve, reject) => {
    const reading = database.transaction(name).objectStore(name).getAll();
    reading.onsuccess = () => resolve(reading.result.sort((one, other) => one.order - other.order));
    reading.onerror = () => reject(reading.error);
  });
}
