// Speaks with the server, and says in words what went wrong.

import { page, say } from "./words.js";

const KEY = "lince-token";

/** Something that a person must be told; `token` says that the server wants one. */
export class Trouble extends Error {
  constructor(message, token = false) {
    super(message);
    this.token = token;
  }
}

/** Keep the token for as long as this tab is open. */
export const keepToken = (token) => sessionStorage.setItem(KEY, token);

/** The models that answer. */
export const models = async () => (await (await ask("v1/models")).json()).models;

/** What `model` says of the file `blob`; of a detector, all that is at least a little sure. */
export async function predict(blob, model, signal) {
  const choices = new URLSearchParams({ model: model.name });
  if (model.thresholds) choices.set("threshold", String(lowest(model)));
  const headers = { "Content-Type": blob.type.startsWith("image/") ? blob.type : "application/octet-stream" };
  const answer = await ask(`v1/predict?${choices}`, { method: "POST", headers, body: blob, signal });
  return (await answer.json()).predictions[0];
}

/** The picture (PNG) that a model of digits is asked about, of strokes in shares of the sheet. */
export async function digit(strokes, signal) {
  const headers = { "Content-Type": "application/json" };
  const answer = await ask("v1/drawing", { method: "POST", headers, body: JSON.stringify({ strokes }), signal });
  return answer.blob();
}

/** Keep the file `blob` with what is right of it: {label} or {objects}. */
export async function correct(blob, model, right) {
  const form = new FormData();
  form.set("image", blob, "photo");
  form.set("model", model.name);
  form.set(right.label === undefined ? "objects" : "label", right.label ?? JSON.stringify(right.objects));
  return (await ask("v1/corrections", { method: "POST", body: form })).json();
}

/** The threshold from which a detector is asked: low enough for every position of the slider that means something. */
export const lowest = (model) => Math.min(0.05, ...model.thresholds);

async function ask(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, "Accept-Language": page.language };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers, credentials: "same-origin" }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Trouble(say(navigator.onLine ? "unreachable" : "offline"));
  });
  if (answer.ok) return answer;
  throw new Trouble(await reason(answer), answer.status === 401);
}

async function reason(answer) {
  const wait = answer.headers.get("Retry-After");
  if (answer.status === 429) return say("busy", { seconds: wait ?? "1" });
  const body = await answer.json().catch(() => null);
  return body?.error?.message || say("refused", { status: answer.status });
}
