// Chooses what shows and corrects the records of a model: the renderer of its task.

import * as classification from "./classification.js";
import * as detection from "./detection.js";
import * as generic from "./generic.js";
import * as instances from "./instances.js";
import * as multilabel from "./multilabel.js";
import * as segmentation from "./segmentation.js";

/*
 * A renderer is a module. `record` is what the server predicted for one image, `model` its description by
 * GET /v1/models, and `view` what the person chose to see, changed by the renderer's own controls. It exports:
 *
 * name                               a word in `data-renderer` of the elements of the page that belong to it
 * metricNames                        the keys of `model.metrics` that are shown among the facts of the model
 * canCorrect                         whether a person can correct its records
 * acceptsDrawing(model)              whether the model can be tried with a drawn digit
 * requestOptions(model)              options of the prediction request, by name
 * createView()                       the view of a model that was just chosen
 * connect(page)                      add listeners to its controls, once; `page` offers getView(), render() and
 *                                    redrawPicture()
 * summarise(record, model, view)     the prediction in one sentence
 * briefly(record, model)             the prediction in a few words, for a thumbnail
 * show(record, model, view)          fill its elements below the sentence
 * shapes(record, model, view)        what is drawn over the image: [{box, colour, text, rings}], boxes in its pixels
 * overlay(record, model, view)       {picture, opacity}: a canvas that is drawn over the whole image, below the shapes;
 *                                    null for none
 * imageSize(record)                  {width, height} of the image to which those pixels refer; null: no matter
 * prepareCorrection(record, model)   fill its part of the correction form for a new record
 * startCorrection(record, model, view)   called when the form is opened
 * stopCorrection()                   called when the form is closed, or belongs to another record now
 * correction()                       the form fields to save, by name, or a promise of them
 */

/** The renderer of each task, by the name of the task. */
export const renderers = {
  classify: classification, detect: detection, instances, multilabel, segment: segmentation,
};

/** The renderer of every other task: it shows records as JSON. */
export const genericRenderer = generic;

/** Return the renderer for the records of `model`. */
export const getRenderer = (model) => renderers[model.task] ?? genericRenderer;
