// Sends requests to the server; an error becomes a sentence for a person.

import { pageData, text } from "./texts.js";

const TOKEN_KEY = "lince-token";

/** A failure with a message for a person; `needsToken` says that the server wants a token. */
export class RequestError extends Error {
  constructor(message, needsToken = false) {
    super(message);
    this.needsToken = needsToken;
  }
}

/** Keep the token until this tab is closed. */
export const saveToken = (token) => sessionStorage.setItem(TOKEN_KEY, token);

/** Return the served models, as described by GET /v1/models. */
export const listModels = async () => (await (await request("v1/models")).json()).models;

/** Return the record that `model` predicts for the image file `blob`; `options` are those of the prediction request. */
export async function predict(blob, model, options, signal) {
  const query = new URLSearchParams({ model: model.name, ...options });
  const headers = { "Content-Type": blob.type.startsWith("image/") ? blob.type : "application/octet-stream" };
  const response = await request(`v1/predict?${query}`, { method: "POST", headers, body: blob, signal });
  return (await response.json()).predictions[0];
}

/** Return the PNG of a drawn digit as `model` knows them; `strokes` [[[x, y], ...], ...] in fractions of the pad's side. */
export async function renderDrawing(strokes, model, signal) {
  const query = new URLSearchParams({ model: model.name });
  const headers = { "Content-Type": "application/json" };
  const response = await request(`v1/drawing?${query}`, { method: "POST", headers, body: JSON.stringify({ strokes }), signal });
  return response.blob();
}

/** Save a correction, the image file `blob` with the form fields of its task; return {saved}: whether it was new. */
export async function sendCorrection(blob, model, fields) {
  const form = new FormData();
  form.set("image", blob, "photo");
  form.set("model", model.name);
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return (await request("v1/corrections", { method: "POST", body: form })).json();
}

/** Return the response to a request; throw `RequestError` where it failed, and `AbortError` where it was cancelled. */
async function request(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = { ...options.headers, "Accept-Language": pageData.language };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers, credentials: "same-origin" }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new RequestError(text(navigator.onLine ? "unreachable" : "offline"));
  });
  if (response.ok) return response;
  throw new RequestError(await describeFailure(response), response.status === 401);
}

async function describeFailure(response) {
  if (response.status === 429) return text("busy", { seconds: response.headers.get("Retry-After") ?? "1" });
  const body = await response.json().catch(() => null);
  return body?.error?.message || text("refused", { status: response.status });
}
