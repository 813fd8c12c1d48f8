// Shows a record of any task as JSON; serves tasks that have no renderer of their own (see tasks.js).

import { byId } from "./dom.js";
import { text } from "./texts.js";

export const name = "generic";
export const metricNames = [];
export const canCorrect = false;

export const acceptsDrawing = () => false;
export const requestOptions = () => ({});
export const createView = () => ({});
export const connect = () => {};

export const summarise = () => text("json-record");
export const briefly = () => "JSON";
export const shapes = () => [];
export const overlay = () => null;
export const imageSize = () => null;

export function show(record) {
  byId("record-json").textContent = JSON.stringify(record, null, 2);
}

export const prepareCorrection = () => {};
export const startCorrection = () => {};
export const stopCorrection = () => {};
export const correction = () => ({});
