"""Chooses the test images that a click on a cell of a classifier's confusion matrix shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.report import MatrixCell, MatrixPhoto
from lince.i18n import _
from lince.number_format import format_percent

MAX_ERROR_PHOTOS, MAX_RIGHT_PHOTOS = 60, 24  # of a whole matrix, so that the page stays small
MAX_CELL_ERRORS, MAX_CELL_RIGHT = 6, 3  # of a cell
MAX_CELL_NAMES = 20  # further files that are named in a cell


def select_matrix_cells(
    predictions: ClassificationPredictions, read_thumbnail: Callable[[int], bytes]
) -> tuple[MatrixCell, ...]:
    """Return the cells of the confusion matrix that have images, the fullest first.

    Each shows some of its images, the most confident first; errors come before correct images. ``read_thumbnail``
    returns the picture (JPEG) of the image at an index of ``predictions``.
    """
    predicted = predictions.predicted_class_ids
    confidence = predictions.probabilities[np.arange(len(predictions)), predicted]
    cells = []
    for is_error, room, most in ((True, MAX_ERROR_PHOTOS, MAX_CELL_ERRORS), (False, MAX_RIGHT_PHOTOS, MAX_CELL_RIGHT)):
        left = room
        rows = np.flatnonzero((predicted != predictions.truth) == is_error)
        for truth, guess, members in _group(predictions.truth[rows], predicted[rows], rows):
            ordered = members[np.argsort(-confidence[members], kind="stable")].tolist()
            shown = ordered[: min(most, left)]
            left -= len(shown)
            photos = tuple(
                MatrixPhoto(
                    read_thumbnail(i),
                    predictions.names[i],
                    _("confidence {confidence}").format(confidence=format_percent(float(confidence[i]))),
                )
                for i in shown
            )
            named = ordered[len(shown) : len(shown) + MAX_CELL_NAMES]
            cells.append(MatrixCell(truth, guess, len(ordered), photos, tuple(predictions.names[i] for i in named)))
    return tuple(cells)


def _group(
    truth: NDArray[np.int32], predicted: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[tuple[int, int, NDArray[np.int64]]]:
    """Return (true class, predicted class, rows) of each pair that occurs in ``rows``, the largest first."""
    pairs, inverse, counts = np.unique(
        np.stack([truth.astype(np.int64), predicted], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    return [(int(pairs[k, 0]), int(pairs[k, 1]), rows[inverse.ravel() == k]) for k in order.tolist()]
