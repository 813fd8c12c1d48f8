// The facts of a model, in a table.

import { at, made, number, say, share } from "./words.js";

const FIGURES = ["accuracy", "map50", "map50_95"];

/** Write what is known of `model`. */
export function about(model) {
  const { height, width, channels } = model.input;
  const facts = [
    ["fact-name", model.name],
    ["fact-network", model.network],
    ["fact-classes", `${number(model.classes.length)}: ${some(model.classes)}`],
    ["fact-input", `${width} × ${height}, ${channels}`],
    ...FIGURES.filter((name) => model.metrics[name]?.value !== undefined).map((name) => [
      `fact-${name}`,
      share(model.metrics[name].value),
    ]),
    ["fact-made", `${model.target}, ${model.precision}`],
    ["fact-licence", model.licence],
    ["fact-source", model.source],
    ...(model.trouble ? [["fact-trouble", model.trouble]] : []),
  ];
  at("facts").replaceChildren(...facts.map(([name, value]) => row(say(name), value)));
}

function some(names) {
  return names.length > 24 ? `${names.slice(0, 24).join(", ")} …` : names.join(", ");
}

function row(name, value) {
  const line = made("tr");
  const head = made("th", "", name);
  head.scope = "row";
  line.append(head, made("td", "", value));
  return line;
}
