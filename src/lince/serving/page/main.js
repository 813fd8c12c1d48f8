// Connects the page: photos and drawings go to the chosen model, and its records to the renderer of its task.

import { RequestError, listModels, predict, renderDrawing, saveToken } from "./api.js";
import { connectCamera } from "./camera.js";
import { connectCorrection, showCorrection } from "./correction.js";
import { byId } from "./dom.js";
import { showModelFacts } from "./model_facts.js";
import { DrawingPad } from "./pad.js";
import { decodeImage, drawImage, drawPixels } from "./picture.js";
import { showError, showResult, updateSummaryLink } from "./result.js";
import { focusStrip, showStrip } from "./strip.js";
import { genericRenderer, getRenderer, renderers } from "./tasks.js";
import { text } from "./texts.js";

const STRIP_LENGTH = 12;
const DRAWING_PAUSE = 150; // milliseconds after a stroke until the drawing is sent

/*
 * An entry is an image and what became of it: {blob, name, bitmap, model, view, record, error, signal}. `bitmap` is
 * null where the browser cannot read the file, `record` until it is predicted; `view` is what its renderer shows.
 */
const state = {
  models: [], model: null, view: {}, mode: "photo", entries: { photo: null, draw: null }, strip: [],
};
const getCurrent = () => state.entries[state.mode];
let drawing = null; // AbortController of the drawing that is being sent

const pad = new DrawingPad(byId("pad"), () => {
  byId("undo").disabled = byId("clear").disabled = !pad.strokes.length;
  drawing?.abort();
  drawing = new AbortController();
  const { signal } = drawing;
  setTimeout(() => signal.aborted || predictDrawing(signal), DRAWING_PAUSE);
});

async function start() {
  try {
    state.models = await listModels();
  } catch (error) {
    showError(error);
    return;
  }
  byId("model").replaceChildren(...state.models.map(({ name }) => new Option(name, name)));
  byId("model-choice").hidden = state.models.length < 2;
  chooseModel(state.models[0]);
}

function chooseModel(model) {
  const renderer = getRenderer(model);
  Object.assign(state, { model, view: renderer.createView() });
  byId("input-modes").hidden = !renderer.acceptsDrawing(model);
  setMode(byId("input-modes").hidden ? "photo" : document.querySelector("#input-modes input:checked").value);
  showModelFacts(model, renderer.metricNames);
  if (state.mode === "draw") pad.changed(); // prepared anew, as this model's training images
  else if (getCurrent()) predictEntry(getCurrent());
}

function setMode(mode) {
  state.mode = mode;
  byId("drawing").hidden = mode !== "draw";
  byId("photo").hidden = mode !== "photo";
  pad.draw();
  render();
}

// Prediction

async function predictEntry(entry) {
  const { model, view } = state;
  Object.assign(entry, { model, view, record: null, error: null });
  render();
  try {
    const record = await predict(entry.blob, model, getRenderer(model).requestOptions(model), entry.signal);
    if (entry.model === model) entry.record = record;
  } catch (error) {
    if (error.name === "AbortError") return;
    if (entry.model === model) entry.error = error;
  }
  render();
}

async function predictDrawing(signal) {
  if (!pad.strokes.length) {
    state.entries.draw = null;
    render();
    return;
  }
  try {
    const blob = await renderDrawing(pad.strokes, state.model, signal);
    state.entries.draw = { blob, signal, bitmap: await decodeImage(blob) };
    await predictEntry(state.entries.draw);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  }
}

async function addPhotos(fileList) {
  const files = [...fileList].filter((file) => file.size);
  if (!files.length) return;
  if (!byId("input-modes").hidden) document.querySelector("#input-modes input[value=photo]").checked = true;
  setMode("photo");
  for (const blob of files) {
    const entry = { blob, name: blob.name ?? "", bitmap: await decodeImage(blob) };
    state.strip = [entry, ...state.strip].slice(0, STRIP_LENGTH); // the newest first
    state.entries.photo = entry;
    if (!state.model) return;
    await predictEntry(entry);
  }
}

// Display

function render() {
  const entry = getCurrent();
  showResult(entry);
  byId("model-view").hidden = !(state.mode === "draw" && entry?.bitmap);
  if (!byId("model-view").hidden) drawPixels(byId("model-view-canvas"), entry.bitmap);
  showCorrection(entry);
  showStrip(state.strip, state.entries.photo, selectPhoto);
  drawPicture();
}

function drawPicture() {
  const entry = state.entries.photo;
  byId("drop").hidden = Boolean(entry?.bitmap);
  byId("preview").hidden = !entry?.bitmap;
  byId("hint").textContent = entry && !entry.bitmap ? text("no-preview", { name: entry.name }) : text("hint");
  if (!entry?.bitmap || state.mode !== "photo") return;
  const { bitmap, record, model, view } = entry;
  const renderer = record ? getRenderer(model) : null;
  const shapes = renderer?.shapes(record, model, view) ?? [];
  const overlay = renderer?.overlay(record, model, view) ?? null;
  drawImage(byId("picture"), bitmap, shapes, renderer?.imageSize(record) ?? bitmap, overlay);
  byId("picture").setAttribute("aria-label", entry.name || text("photo"));
}

function selectPhoto(entry) {
  const index = state.strip.indexOf(entry);
  state.entries.photo = entry;
  if (entry.model !== state.model || entry.error) {
    predictEntry(entry);
  } else {
    entry.view = state.view;
    render();
  }
  focusStrip(index);
}

// Events

byId("file").addEventListener("change", (event) => {
  addPhotos(event.target.files);
  event.target.value = "";
});
byId("drop").addEventListener("click", () => byId("file").click());
byId("model").addEventListener("change", ({ target }) =>
  chooseModel(state.models.find(({ name }) => name === target.value)));
byId("input-modes").addEventListener("change", (event) => {
  setMode(event.target.value);
  const entry = getCurrent();
  if (!entry || entry.model === state.model) return;
  if (state.mode === "draw") pad.changed(); // another model was chosen meanwhile
  else predictEntry(entry);
});
byId("undo").addEventListener("click", () => pad.undo());
byId("clear").addEventListener("click", () => pad.clear());
byId("retry").addEventListener("click", () => {
  byId("error").hidden = true;
  if (!state.model) start();
  else if (state.mode === "draw") pad.changed();
  else if (getCurrent()) predictEntry(getCurrent());
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  saveToken(byId("token").value.trim());
  byId("token-form").hidden = byId("error").hidden = true;
  byId("token").value = "";
  byId("retry").click();
});
// Two tasks may share a renderer's elements: each is connected once.
for (const connect of new Set([...Object.values(renderers), genericRenderer].map((renderer) => renderer.connect))) {
  connect({ getView: () => getCurrent().view, render, redrawPicture: drawPicture });
}
connectCorrection(getCurrent, drawPicture);
connectCamera((photo) => addPhotos([photo]), (message) => showError(new RequestError(message)));

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) addPhotos(files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("drag-over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("drag-over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("drag-over");
  const files = [...(event.dataTransfer?.files ?? [])];
  if (files.length) addPhotos(files);
});
window.addEventListener("scroll", updateSummaryLink, { passive: true });
new ResizeObserver(() => drawPicture()).observe(byId("photo"));

start();
