// Writes an answer out: bars of probabilities, a list of objects, and the sentence that is read aloud.

import { at, made, number, say, share } from "./words.js";
import { lowest } from "./asking.js";

const FIRST = 5; // classes that are shown until more are asked for

/** The objects of a detector's answer that count: from the model's own thresholds on, or from `cut` on. */
export function counting(record, model, cut) {
  return record.objects.filter((one) => one.score >= (cut ?? model.thresholds[model.classes.indexOf(one.class)]));
}

/** What is drawn of objects: their boxes, colours and names. */
export function shapes(objects, model) {
  return objects.map((one) => ({
    box: one.box,
    colour: colourOf(one.class, model),
    text: caption(one),
  }));
}

/** The class alone, for the little picture of a photo: an object's classes, or the most probable one. */
export function brief(record, model) {
  return record.objects === undefined ? record.class : sentence(record, model, null);
}

/** The colour of the class called `name`. */
export const colourOf = (name, model) => model.colours[model.classes.indexOf(name)] ?? "#1f5fae";

/** The answer in a sentence. */
export function sentence(record, model, cut) {
  if (record.objects === undefined) return say("is", { name: record.class, share: share(record.probability) });
  const counts = new Map();
  for (const one of counting(record, model, cut)) counts.set(one.class, (counts.get(one.class) ?? 0) + 1);
  const told = [...counts].map(([name, count]) => say("count", { name, count: number(count) }));
  return told.length ? told.join(" · ") : say("nothing");
}

/** Show the probabilities of the classes, all of them or the first few. */
export function bars(record, all) {
  const shown = all ? record.classes : record.classes.slice(0, FIRST);
  at("bars").replaceChildren(...shown.map(bar));
  const more = at("more");
  more.hidden = record.classes.length <= FIRST;
  more.textContent = all ? say("fewer") : say("all", { count: number(record.classes.length) });
  more.setAttribute("aria-expanded", String(all));
}

/** Show the objects that count, and where the slider stands. */
export function objects(record, model, cut) {
  const dial = at("threshold");
  dial.min = String(Math.ceil(lowest(model) * 100) / 100);
  const own = model.thresholds.reduce((sum, one) => sum + one, 0) / model.thresholds.length;
  dial.value = String(cut ?? own);
  at("from").textContent = cut === null ? say("own") : share(cut);
  dial.setAttribute("aria-valuetext", at("from").textContent);
  at("own").disabled = cut === null;
  at("found").replaceChildren(...counting(record, model, cut).map((one) => row(one, model)));
}

function caption(one) {
  if (one.number) return `${number(one.number)} ${one.class}`;
  return one.score === undefined ? one.class : `${one.class} ${share(one.score)}`;
}

function bar({ name, probability }) {
  const line = made("li");
  const track = made("span", "track");
  const fill = made("span", "fill");
  fill.style.width = `${100 * probability}%`;
  track.setAttribute("aria-hidden", "true");
  track.append(fill);
  line.append(made("span", "name", name), made("span", "value", share(probability)), track);
  return line;
}

function row(one, model) {
  const line = made("li");
  line.append(dot(one.class, model), made("span", "name", one.class), made("span", "value", share(one.score)));
  return line;
}

/** A spot of the colour of the class called `name`. */
export function dot(name, model) {
  const spot = made("span", "dot");
  spot.style.background = colourOf(name, model);
  return spot;
}
