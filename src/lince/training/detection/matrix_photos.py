"""Chooses and cuts out the objects that a click on a cell of a detector's confusion matrix shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import ObjectTable
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.report import MatrixCell, MatrixPhoto
from lince.i18n import _
from lince.inference import drawing
from lince.inference.drawing import ShapeAnnotation
from lince.number_format import format_percent
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.network_outputs import select_ground_truth

MAX_ERROR_PHOTOS, MAX_RIGHT_PHOTOS = 48, 18  # of a whole matrix, so that the page stays small
MAX_CELL_ERRORS, MAX_CELL_RIGHT = 6, 4  # of a cell
CROP_SIDE, MARGIN = 260, 0.6  # pixels of a picture's longer side, and what is shown around the boxes, of their side

FloatArray = NDArray[np.float64]


def select_matrix_cells(test_loader: DetectionLoader, metrics: DetectionMetrics) -> tuple[MatrixCell, ...]:
    """Return the cells of the confusion matrix that have objects or boxes, the fullest first.

    Each shows some of them, detections of high score first: the part of the photo around the boxes, the labelled one in
    white and the detected one in the colour of its class.
    """
    pairs, truth = metrics.confusion_pairs, select_ground_truth(test_loader)
    cells = []
    for is_error, room, most in ((True, MAX_ERROR_PHOTOS, MAX_CELL_ERRORS), (False, MAX_RIGHT_PHOTOS, MAX_CELL_RIGHT)):
        left = room
        chosen = np.flatnonzero((pairs.rows != pairs.columns) == is_error)
        keys, inverse, counts = np.unique(
            np.stack([pairs.rows[chosen], pairs.columns[chosen]], axis=1),
            axis=0,
            return_inverse=True,
            return_counts=True,
        )
        for k in np.argsort(-counts, kind="stable").tolist():
            members = chosen[inverse.ravel() == k]
            shown = members[np.argsort(-pairs.scores[members], kind="stable")][: min(most, left)].tolist()
            left -= len(shown)
            photos = tuple(_draw_pair(test_loader, truth, metrics, i) for i in shown)
            cells.append(MatrixCell(int(keys[k, 0]), int(keys[k, 1]), len(members), photos))
    return tuple(cells)


def _draw_pair(loader: DetectionLoader, truth: ObjectTable, metrics: DetectionMetrics, i: int) -> MatrixPhoto:
    """Return the part of the photo around pair ``i``, with its boxes; ``truth`` are the objects that it refers to."""
    pairs, names = metrics.confusion_pairs, metrics.classes.names
    samples, row = loader.samples, int(loader.rows[pairs.images[i]])
    truth_row = int(pairs.truth_rows[i])
    boxes: list[FloatArray] = []
    shapes: list[tuple[FloatArray, str, int | None]] = []
    if truth_row >= 0:
        boxes.append(truth.boxes[truth_row])
        shapes.append((truth.boxes[truth_row], names[int(pairs.rows[i])], None))
    has_detection = not np.isnan(pairs.scores[i])
    if has_detection:
        boxes.append(pairs.boxes[i])
        label = f"{names[int(pairs.columns[i])]} {drawing.format_score(float(pairs.scores[i]))}"
        shapes.append((pairs.boxes[i], label, int(pairs.columns[i])))
    picture = _draw_part(samples.dataset.images.read_image(row), np.array(boxes), shapes)
    detail = _("score {score}").format(score=format_percent(float(pairs.scores[i]))) if has_detection else _("missed")
    return MatrixPhoto(images.encode_jpeg(picture), samples.dataset.images.get_name(row), detail)


def _draw_part(
    image: NDArray[np.uint8], boxes: FloatArray, shapes: list[tuple[FloatArray, str, int | None]]
) -> NDArray[np.uint8]:
    """Return the part of ``image`` (H, W, 3) around ``boxes`` (N, 4), with ``shapes``: box, label and class id."""
    height, width = image.shape[:2]
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    margin = max(MARGIN * max(right - left, bottom - top), 24)
    x1, y1 = (int(max(0, min(value, limit - 2))) for value, limit in ((left - margin, width), (top - margin, height)))
    x2, y2 = (
        int(np.clip(value, start + 1, limit))
        for value, start, limit in ((right + margin, x1, width), (bottom + margin, y1, height))
    )
    part = image[y1:y2, x1:x2]
    annotations = [
        ShapeAnnotation(
            (float(box[0] - x1), float(box[1] - y1), float(box[2] - x1), float(box[3] - y1)),
            label,
            class_id or 0,
            is_truth=class_id is None,
        )
        for box, label, class_id in shapes
    ]
    return drawing.draw_shapes(part, annotations, (y2 - y1, x2 - x1), CROP_SIDE)
