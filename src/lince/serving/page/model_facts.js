// The table with the facts of a model.

import { byId, createElement } from "./dom.js";
import { formatNumber, formatPercent, text } from "./texts.js";

const MOST_CLASSES = 24; // class names that are listed

/** Show the facts of `model`, with those of its metrics that are in `metricNames`. */
export function showModelFacts(model, metricNames) {
  const { height, width, channels } = model.input;
  const facts = [
    ["fact-name", model.name],
    ["fact-network", model.network],
    ["fact-classes", `${formatNumber(model.classes.length)}: ${listNames(model.classes)}`],
    ["fact-input", `${width} × ${height}, ${channels}`],
    ...metricNames.filter((name) => model.metrics[name]?.value !== undefined).map((name) => [
      `fact-${name}`,
      formatPercent(model.metrics[name].value),
    ]),
    ["fact-made", `${model.target}, ${model.precision}`],
    ["fact-licence", describeLicence(model.licence)],
    ["fact-source", model.source],
    ...(model.trouble ? [["fact-trouble", model.trouble]] : []),
  ];
  byId("facts").replaceChildren(...facts.map(([name, value]) => createRow(text(name), value)));
}

function listNames(names) {
  return names.length > MOST_CLASSES ? `${names.slice(0, MOST_CLASSES).join(", ")} …` : names.join(", ");
}

function describeLicence(licence) {
  return licence === "none" || licence === "unknown" ? text(`licence-${licence}`) : licence;
}

function createRow(label, value) {
  const row = createElement("tr");
  const header = createElement("th", "", label);
  header.scope = "row";
  row.append(header, createElement("td", "", value));
  return row;
}
