// The result panel: the summary, the elements of the task's renderer below it, and errors.

import { RequestError } from "./api.js";
import { byId } from "./dom.js";
import { getRenderer } from "./tasks.js";
import { text } from "./texts.js";

const SUMMARY_MARGIN = 40; // CSS pixels of the summary that must be in sight

/** Show what became of `entry`: nothing (null), still waiting, failed, or its record. */
export function showResult(entry) {
  const error = entry?.error ?? null;
  document.body.classList.toggle("waiting", Boolean(entry && !entry.record && !error));
  byId("error").hidden = !error;
  if (error) showError(error);
  showSummary(entry);
  const renderer = entry?.record ? getRenderer(entry.model) : null;
  showParts(renderer);
  renderer?.show(entry.record, entry.model, entry.view);
}

/** Show an error, and the form for a token where the server wants one; throw it again when it is a fault of ours. */
export function showError(error) {
  const isExpected = error instanceof RequestError;
  byId("error").hidden = false;
  byId("error").querySelector("p").textContent = isExpected ? error.message : text("page-error");
  byId("summary").textContent = "";
  if (error.needsToken) byId("token-form").hidden = false;
  if (!isExpected) throw error;
}

/** Repeat the summary at the foot of a small screen as long as it is below what is in sight. */
export function updateSummaryLink() {
  const isBelow = byId("summary").getBoundingClientRect().top > window.innerHeight - SUMMARY_MARGIN;
  const hasRecord = !byId("summary").classList.contains("quiet");
  byId("summary-link").hidden = !(isBelow && hasRecord);
}

function showSummary(entry) {
  const line = entry?.error ? "" : describeEntry(entry);
  if (byId("summary").textContent !== line) byId("summary").textContent = line; // screen readers read every change
  byId("summary").classList.toggle("quiet", !entry?.record);
  byId("summary-link").textContent = line;
  updateSummaryLink();
}

function describeEntry(entry) {
  if (!entry?.record) return text(entry ? "waiting" : "nothing-yet");
  return getRenderer(entry.model).summarise(entry.record, entry.model, entry.view);
}

/** Show the elements that belong to `renderer`, null for none; the fields of the others do not count in forms. */
function showParts(renderer) {
  for (const part of document.querySelectorAll("[data-renderer]")) {
    part.hidden = !part.dataset.renderer.split(" ").includes(renderer?.name);
    for (const field of part.querySelectorAll("input, select")) field.disabled = part.hidden;
  }
}
