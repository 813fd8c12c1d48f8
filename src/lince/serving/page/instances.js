// Shows and corrects the records of a model of objects with masks: as a detector, with the outlines (see tasks.js).

import * as detection from "./detection.js";

export * from "./detection.js";

/** Ask for the outlines, too, which the picture fills. */
export const requestOptions = (model) => ({ ...detection.requestOptions(model), outline: "1" });
