// Acts on the project - a class for many photos, a class merged, their undo - wait here until the server has them.
// Each has a permanent key, so that one that is sent again is made once.

import { RequestError, postJson } from "./api.js";
import { waitUntilSaved } from "./edit_queue.js";
import { makeId, session } from "./ids.js";

const RETRY_MS = [500, 1000, 2000, 5000];
const KEEPALIVE_BYTES = 60000; // browsers let no more outlive the page

/**
 * Sends acts in their order, each after the edits that were made before it. Event: `status`, with `status` as that of
 * `EditQueue`.
 */
export class ActQueue extends EventTarget {
  #edits;
  #stored;
  #refused;
  #waiting;
  #resolvers = new Map();
  #isSending = false;
  #attempt = 0;

  status = { name: "saved", count: 0, message: "", code: "" };

  constructor(projectId, edits) {
    super();
    this.#edits = edits;
    this.#stored = `lince-acts-${projectId}`;
    this.#waiting = readStored(this.#stored);
    this.#refused = readStored(this.#refusedName);
    addEventListener("online", () => this.#send());
    this.#show();
    this.#send();
  }

  /** Send `body` to `path` once all earlier acts are made; the promise gives the answer, or fails with the refusal. */
  run(path, body) {
    const act = { path, body: { key: makeId(), session, ...body } };
    const answer = new Promise((resolve, reject) => this.#resolvers.set(act.body.key, { resolve, reject }));
    this.#waiting.push(act);
    changeStored(this.#stored, (list) => [...list, act]);
    this.#show();
    this.#send();
    return answer;
  }

  /** Make edits of classes or photos as one act. */
  edit(edits) {
    const key = makeId();
    const keyed = edits.map((edit, place) => ({ ...edit, key: place ? `${key}:${place}` : key }));
    return this.run("api/act", { key, wide: true, edits: keyed });
  }

  /** Take back the person's last act on the project; the answer has how many `events` it changed, 0 for none. */
  undo() {
    return this.run("api/undo", { photo: null, brief: true });
  }

  /** Make the act again that was undone last. */
  redo() {
    return this.run("api/redo", { photo: null, brief: true });
  }

  /** Whether all acts were made, once they were sent again; after at most a few seconds. */
  whenSaved() {
    return waitUntilSaved(this, () => this.#send());
  }

  /** Acts that were refused after the page that made them was closed, as {key, message}. */
  get refused() {
    return [...this.#refused];
  }

  /** The person has seen that an act was refused. */
  forget(key) {
    this.#changeRefused((list) => list.filter((one) => one.key !== key));
    this.#show();
  }

  get #refusedName() {
    return `${this.#stored}-refused`;
  }

  #changeRefused(change) {
    this.#refused = change(this.#refused);
    changeStored(this.#refusedName, change);
  }

  async #send() {
    if (this.#isSending || !this.#waiting.length) return;
    this.#isSending = true;
    const [act] = this.#waiting;
    const isSmall = JSON.stringify(act.body).length < KEEPALIVE_BYTES;
    let answer = null;
    let refusal = null;
    try {
      if (!(await this.#edits.whenSaved())) throw new RequestError(0, this.#edits.status.code, this.#edits.status.message);
      answer = await postJson(act.path, act.body, isSmall);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      refusal = error;
    } finally {
      this.#isSending = false;
    }
    if (refusal && isTransient(refusal)) this.#retry(refusal);
    else this.#settle(act, answer, refusal);
  }

  #settle(act, answer, refusal) {
    this.#attempt = 0;
    const { key } = act.body;
    this.#waiting.shift();
    changeStored(this.#stored, (list) => list.filter((one) => one.body.key !== key));
    const waiting = this.#resolvers.get(key);
    if (refusal && !waiting) this.#changeRefused((list) => [...list, { key, message: refusal.message }]);
    this.#show();
    this.#resolvers.delete(key);
    if (refusal) waiting?.reject(refusal);
    else waiting?.resolve(answer);
    this.#send();
  }

  #retry(error) {
    this.#show(error);
    setTimeout(() => this.#send(), RETRY_MS[Math.min(this.#attempt, RETRY_MS.length - 1)]);
    this.#attempt += 1;
  }

  #show(error = null) {
    const count = this.#waiting.length;
    const name = error ? "failed" : count ? "saving" : "saved";
    this.status = { name, count, message: error?.message ?? "", code: error?.code ?? "" };
    this.dispatchEvent(new Event("status"));
  }
}

const readStored = (name) => JSON.parse(localStorage.getItem(name) ?? "[]");

/** Change the list `name` as it is now: other tabs of this browser keep theirs in it, too. */
function changeStored(name, change) {
  const list = change(readStored(name));
  try {
    if (list.length) localStorage.setItem(name, JSON.stringify(list));
    else localStorage.removeItem(name);
  } catch {
    // Too many for the browser to keep: they are sent all the same as long as the page is open.
  }
}

/** Whether the same request may succeed later: no connection, no access for now, no room on the disk. */
const isTransient = (error) => error.status === 0 || error.status === 401 || error.status >= 500;
