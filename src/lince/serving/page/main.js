// Puts the page together: what is asked about, who is asked, and what came back.

import { about } from "./about.js";
import { bars, brief, counting, objects, sentence, shapes } from "./answer.js";
import { Trouble, correct, digit, keepToken, models, predict } from "./asking.js";
import { camera } from "./camera.js";
import { Marking } from "./marking.js";
import { Pad } from "./pad.js";
import { decoded, pixels, show, thumbnail } from "./picture.js";
import { at, made, number, page, say } from "./words.js";

const KEPT = 12; // photos of the strip
const PAUSE = 150; // milliseconds after a stroke
const SMALLEST_PHOTO = 64; // pixels; grey models up to this are drawn for

const state = {
  models: [], model: null, way: "photo", shown: { photo: null, draw: null }, strip: [], cut: null, all: false, judged: null,
};
const current = () => state.shown[state.way];
let asking = null; // what a drawing waits for

const pad = new Pad(at("pad"), () => {
  at("undo").disabled = at("clear").disabled = !pad.strokes.length;
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  setTimeout(() => signal.aborted || askDrawing(signal), PAUSE);
});
const marking = new Marking(at("picture"), () => drawPicture());

async function start() {
  try {
    state.models = await models();
  } catch (error) {
    failed(error);
    return;
  }
  at("model").replaceChildren(...state.models.map((one) => new Option(one.name, one.name)));
  at("choice").hidden = state.models.length < 2;
  choose(state.models[0]);
}

function choose(model) {
  state.model = model;
  Object.assign(state, { cut: null, all: false });
  const drawn = model.input.channels === "grey" && Math.max(model.input.height, model.input.width) <= SMALLEST_PHOTO;
  at("ways").hidden = !(drawn && !model.thresholds);
  go(at("ways").hidden ? "photo" : document.querySelector("#ways input:checked").value);
  about(model);
  if (current()) ask(current());
}

function go(way) {
  state.way = way;
  at("drawing").hidden = way !== "draw";
  at("photo").hidden = way !== "photo";
  pad.draw();
  render();
}

// Asking

async function ask(entry) {
  const { model } = state;
  Object.assign(entry, { model, record: null, trouble: null });
  render();
  try {
    const record = await predict(entry.blob, model, entry.signal);
    if (entry.model === model) entry.record = record;
  } catch (error) {
    if (error.name === "AbortError") return;
    if (entry.model === model) entry.trouble = error;
  }
  render();
}

async function askDrawing(signal) {
  if (!pad.strokes.length) {
    state.shown.draw = null;
    render();
    return;
  }
  try {
    const blob = await digit(pad.strokes, signal);
    state.shown.draw = { blob, signal, bitmap: await decoded(blob), drawn: true };
    await ask(state.shown.draw);
  } catch (error) {
    if (error.name !== "AbortError") failed(error);
  }
}

async function take(files) {
  const waiting = [...files].filter((file) => file.size);
  if (!waiting.length) return;
  if (!at("ways").hidden) document.querySelector("#ways input[value=photo]").checked = true;
  go("photo");
  for (const blob of waiting) {
    const entry = { blob, name: blob.name ?? "", bitmap: await decoded(blob) };
    state.strip = [entry, ...state.strip].slice(0, KEPT); // the newest first
    state.shown.photo = entry;
    if (!state.model) return;
    await ask(entry);
  }
}

// Showing

function render() {
  const entry = current();
  const trouble = entry?.trouble ?? null;
  document.body.classList.toggle("waiting", Boolean(entry && !entry.record && !trouble));
  at("trouble").hidden = !trouble;
  if (trouble) failed(trouble);
  tell(entry);
  at("shares").hidden = !entry?.record?.classes;
  at("objects").hidden = !entry?.record?.objects;
  if (entry?.record?.classes) bars(entry.record, state.all);
  if (entry?.record?.objects) objects(entry.record, entry.model, state.cut);
  at("seen").hidden = !(state.way === "draw" && entry?.bitmap);
  if (!at("seen").hidden) pixels(at("seen-picture"), entry.bitmap);
  renderWrong(entry);
  renderStrip();
  drawPicture();
}

function tell(entry) {
  const words = entry?.record ? sentence(entry.record, entry.model, state.cut) : say(entry ? "asking" : "nothing-yet");
  const line = entry?.trouble ? "" : words;
  if (at("said").textContent !== line) at("said").textContent = line;
  at("said").classList.toggle("quiet", !entry?.record);
  at("brief").textContent = line;
  tellBriefly();
}

/** Say the answer at the foot of a small screen too, as long as it stands below what is in sight. */
function tellBriefly() {
  const below = at("said").getBoundingClientRect().top > window.innerHeight - 40;
  at("brief").hidden = !(below && current()?.record);
}

function drawPicture() {
  const entry = state.shown.photo;
  at("drop").hidden = Boolean(entry?.bitmap);
  at("framed").hidden = !entry?.bitmap;
  at("hint").textContent = entry && !entry.bitmap ? say("no-preview", { name: entry.name }) : page.words.hint;
  if (!entry?.bitmap || state.way !== "photo") return;
  const canvas = at("picture");
  const { record, model } = entry;
  const found = record?.objects && (at("wrong").open ? marking.drawn : counting(record, model, state.cut));
  marking.scale = show(canvas, entry.bitmap, found ? shapes(found, model) : [], found ? record : entry.bitmap);
  canvas.setAttribute("aria-label", entry.name || say("photo"));
}

function renderStrip() {
  if (state.strip.length < 2) return;
  at("strip").replaceChildren(...state.strip.map(little));
}

function little(entry, index) {
  const [line, button, picture] = [made("li"), made("button"), made("canvas")];
  const told = entry.record ? brief(entry.record, entry.model) : entry.trouble ? say("trouble") : "…";
  button.type = "button";
  button.setAttribute("aria-label", say("show", { number: number(index + 1), answer: told }));
  if (entry === state.shown.photo) button.setAttribute("aria-current", "true");
  if (entry.bitmap) thumbnail(picture, entry.bitmap);
  button.append(picture, made("span", "", told));
  button.addEventListener("click", () => look(entry));
  line.append(button);
  return line;
}

function look(entry) {
  const index = state.strip.indexOf(entry);
  state.shown.photo = entry;
  if (entry.model !== state.model || entry.trouble) ask(entry);
  else render();
  at("strip").children[index]?.querySelector("button").focus();
}

function failed(error) {
  const known = error instanceof Trouble;
  at("trouble").hidden = false;
  at("trouble").querySelector("p").textContent = known ? error.message : say("broken");
  at("said").textContent = "";
  if (error.token) at("key").hidden = false;
  if (!known) throw error;
}

// Setting right

function renderWrong(entry) {
  const wrong = at("wrong");
  const possible = page.corrections && Boolean(entry?.record);
  wrong.hidden = !possible;
  if (!possible || state.judged === entry.record) return;
  state.judged = entry.record;
  wrong.open = false;
  at("kept").textContent = "";
  at("right").hidden = Boolean(entry.record.objects);
  at("boxes").hidden = !entry.record.objects;
  at("label").required = !entry.record.objects;
  if (entry.record.objects) return;
  const names = entry.model.classes.map((name) => new Option(name, name));
  at("label").replaceChildren(new Option(say("choose"), ""), ...names);
}

async function keep(event) {
  event.preventDefault();
  const entry = current();
  const right = entry.record.objects ? { objects: marking.objects } : { label: at("label").value };
  at("keep").disabled = true;
  try {
    const done = await correct(entry.blob, entry.model, right);
    at("kept").textContent = say(done.saved ? "kept" : "kept-already");
    at("trouble").hidden = true;
  } catch (error) {
    failed(error);
  } finally {
    at("keep").disabled = false;
  }
}

// Hearing

at("file").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
at("drop").addEventListener("click", () => at("file").click());
at("model").addEventListener("change", (event) => choose(state.models.find((one) => one.name === event.target.value)));
at("ways").addEventListener("change", (event) => go(event.target.value));
at("undo").addEventListener("click", () => pad.undo());
at("clear").addEventListener("click", () => pad.clear());
at("again").addEventListener("click", () => {
  at("trouble").hidden = true;
  if (!state.model) start();
  else if (state.way === "draw") pad.changed();
  else if (current()) ask(current());
});
at("key").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(at("token").value.trim());
  at("key").hidden = at("trouble").hidden = true;
  at("token").value = "";
  at("again").click();
});
at("more").addEventListener("click", () => {
  state.all = !state.all;
  bars(current().record, state.all);
});
at("threshold").addEventListener("input", (event) => {
  state.cut = Number(event.target.value);
  render();
});
at("own").addEventListener("click", () => {
  state.cut = null;
  render();
  at("threshold").focus();
});
at("wrong").addEventListener("toggle", () => {
  const { record, model } = current() ?? {};
  if (at("wrong").open && record?.objects) marking.begin(counting(record, model, state.cut), model, record);
  drawPicture();
});
at("correct").addEventListener("submit", keep);
camera((photo) => take([photo]), (words) => failed(new Trouble(words)));

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) take(files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const files = [...(event.dataTransfer?.files ?? [])];
  if (files.length) take(files);
});
window.addEventListener("scroll", tellBriefly, { passive: true });
new ResizeObserver(() => drawPicture()).observe(at("photo"));

start();
