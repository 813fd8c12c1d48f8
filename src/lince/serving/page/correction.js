// The form with which a person corrects a prediction; the task's renderer fills and reads its fields.

import { sendCorrection } from "./api.js";
import { byId } from "./dom.js";
import { showError } from "./result.js";
import { getRenderer } from "./tasks.js";
import { pageData, text } from "./texts.js";

let shownRecord = null; // the one that the form corrects
let shownRenderer = null;

/** Add listeners to the form; `getEntry` returns the entry on display, `redraw` draws its picture again. */
export function connectCorrection(getEntry, redraw) {
  byId("correction").addEventListener("toggle", () => {
    toggleCorrection(getEntry());
    redraw();
  });
  byId("correction-form").addEventListener("submit", (event) => {
    event.preventDefault();
    saveCorrection(getEntry());
  });
}

/** Offer the form for the record of `entry` where the server takes corrections; close it for a new record. */
export function showCorrection(entry) {
  const details = byId("correction");
  const renderer = entry?.record ? getRenderer(entry.model) : null;
  details.hidden = !(pageData.corrections && renderer?.canCorrect);
  if (!renderer || entry.record === shownRecord) return;
  shownRenderer?.stopCorrection();
  shownRecord = entry.record;
  shownRenderer = renderer;
  details.open = false;
  byId("correction-status").textContent = "";
  renderer.prepareCorrection(entry.record, entry.model);
}

function toggleCorrection(entry) {
  if (!entry?.record) return;
  const { record, model, view } = entry;
  if (byId("correction").open) getRenderer(model).startCorrection(record, model, view);
  else getRenderer(model).stopCorrection();
}

async function saveCorrection({ blob, model }) {
  byId("save-correction").disabled = true;
  try {
    const { saved } = await sendCorrection(blob, model, await getRenderer(model).correction());
    byId("correction-status").textContent = text(saved ? "correction-saved" : "correction-known");
    byId("error").hidden = true;
  } catch (error) {
    showError(error);
  } finally {
    byId("save-correction").disabled = false;
  }
}
