"""Pictures and tables of a detector for notebooks: the part ``notebook`` of its task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from lince.datasets import Dataset
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.evaluation.report.texts import TextTable
from lince.i18n import _
from lince.inference import drawing, mask_drawing
from lince.inference.drawing import ShapeAnnotation
from lince.notebook.picture import PICTURE_SIDE, Picture, make_picture
from lince.number_format import format_count, format_percent

_ERRORS, _CORRECT = 8, 4
_SIDE = PICTURE_SIDE * 3 // 2  # pixels: boxes need more than photos alone
Example = tuple[int, Callable[[Dataset, int], Picture]]


def build_class_table(test: Mapping[str, Any]) -> TextTable:
    """Return one row per class with its boxes, average precision, precision and recall, the lowest AP50 first."""
    header = (_("class"), _("boxes"), "AP50", "AP50-95", _("precision"), _("recall"))
    scores = sorted(test["classes"], key=lambda score: _get_value(score["ap50"]) or 0.0 if score["support"] else 2.0)
    rows = [
        (
            score["name"],
            format_count(score["support"]),
            *(format_percent(_get_value(score[key])) for key in ("ap50", "ap50_95", "precision", "recall")),
        )
        for score in scores
    ]
    return TextTable(header, tuple(rows))


def list_examples(predictions: DetectionPredictions, test: Mapping[str, Any]) -> list[tuple[str, list[Example]]]:
    """Return the images with most errors and some without: titles, and for each image how it is drawn."""
    thresholds = np.array([score["threshold"] for score in test["classes"]], np.float32)
    reasons = {int(item["image"]): str(item["why"]) for item in test["worst"]}
    correct = [
        index
        for index, found in enumerate(predictions.detections)
        if index not in reasons and (found.scores >= thresholds[found.class_ids]).any()
    ]
    groups = (
        (_("Images with most errors"), list(reasons)[:_ERRORS]),
        (_("Images without an error"), correct[:_CORRECT] if len(reasons) < len(predictions) else []),
    )
    return [
        (title, [(index, partial(_draw_example, predictions, index, thresholds, reasons)) for index in indices])
        for title, indices in groups
    ]


def _draw_example(
    predictions: DetectionPredictions,
    index: int,
    thresholds: np.ndarray[Any, np.dtype[np.float32]],
    reasons: Mapping[int, str],
    dataset: Dataset,
    row: int,
) -> Picture:
    """Return the image with its detections, and its labelled boxes as thin lines."""
    found = predictions.detections[index]
    keep = found.scores >= thresholds[found.class_ids]
    kept = found.select(keep)
    span = predictions.truth.slice_of_image(index)
    labels = [
        ShapeAnnotation((box[0], box[1], box[2], box[3]), "", int(class_id), is_faint=True)
        for box, class_id in zip(
            predictions.truth.boxes[span].tolist(), predictions.truth.class_ids[span].tolist(), strict=True
        )
    ]
    image = dataset.images.read_image(row, (_SIDE, _SIDE))
    image = mask_drawing.draw_object_masks(image, kept, dataset.images.read_size(row))
    shapes = [*labels, *drawing.make_detection_shapes(kept, predictions.classes)]
    shown = drawing.draw_shapes(image, shapes, dataset.images.read_size(row), _SIDE)
    mark = "wrong" if index in reasons else "right"
    return make_picture(shown, reasons.get(index, _("no errors")), predictions.names[index], mark, _SIDE)


def _get_value(figure: Any) -> float | None:
    """Return the value of a figure, which may have an interval; ``None`` where it is not defined."""
    value = figure["value"] if isinstance(figure, Mapping) else figure
    return None if value is None else float(value)
