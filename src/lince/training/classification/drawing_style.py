"""Measures how a set of small grey drawings was prepared, so that a new drawing can be prepared in the same way.

Sets of handwritten characters are normalised in few ways: the longer side or both sides are fitted to a box, the centre
of mass or of the box lies in the middle, the lean is taken out or not, strokes are equally wide or each character has
the same amount of ink. What was done shows in the images: it is what varies least.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.datasets import Dataset
from lince.model_card import DrawingSpec
from lince.preprocess import PreprocessSpec, resize_to_input
from lince.sampling import sample_evenly

MAX_SIDE = 64  # pixels of a network's input: for larger ones nobody draws (page/classification.js)
_SAMPLE_SIZE = 1000
_MIN_CONTRAST = 100  # levels of 255 between paper and ink
_MIN_DRAWN_SHARE = 0.9  # of the images that are drawings: ink on paper
_FAINT = 0.1  # of full ink: less is paper
_MIN_PAPER_SHARE, _MIN_EDGE_SHARE = 0.25, 0.5  # of the pixels, and of those along the edges, of a drawing
_MAX_FITTED_SPREAD = 0.15  # standard deviation by mean of a side that was fitted to a box
_ENLARGEMENT = 8  # before the width of strokes is measured

_Array = NDArray[np.float64]


def measure_drawings(dataset: Dataset, rows: NDArray[np.int64], spec: PreprocessSpec) -> DrawingSpec | None:
    """Return how the training images ``rows`` were drawn, ``None`` where they are no small grey drawings.

    They are measured at their own size where all have the same and it is no larger than the input of ``spec``, else at
    that of the input.
    """
    if spec.channels != "grey" or max(spec.height, spec.width) > MAX_SIDE or not len(rows):
        return None
    images = [dataset.images.read_image(int(rows[i])) for i in sample_evenly(len(rows), _SAMPLE_SIZE)]
    height, width = images[0].shape[:2]
    if any(image.shape != images[0].shape for image in images) or height > spec.height or width > spec.width:
        images = [resize_to_input(image, spec) for image in images]
    return measure_drawing_style(np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]))


def measure_drawing_style(images: NDArray[np.uint8]) -> DrawingSpec | None:
    """Return how the grey ``images`` (N, H, W) were drawn, ``None`` where they are not ink on paper."""
    found = _separate_ink(images)
    if found is None:
        return None
    paper, ink_level, ink = found
    boxes = _measure_boxes(ink)  # left, top, right, bottom
    sides = boxes[:, 2:] - boxes[:, :2]
    is_stretched = bool((sides.std(axis=0) <= _MAX_FITTED_SPREAD * sides.mean(axis=0)).all())
    box = sides.mean(axis=0) if is_stretched else np.repeat(sides.max(axis=1).mean(), 2)
    centres, lean = _measure_moments(ink)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    is_massed = not is_stretched and centres.std(axis=0).sum() < middles.std(axis=0).sum()
    areas, pens = ink.sum(axis=(1, 2)), np.array([_measure_pen(image) for image in ink])
    has_equal_ink = areas.std() / areas.mean() < pens.std() / pens.mean()
    return DrawingSpec(
        width=ink.shape[2],
        height=ink.shape[1],
        paper=paper,
        ink=ink_level,
        box=_round(box),
        stretch=is_stretched,
        centre="mass" if is_massed else "box",
        position=_round((centres if is_massed else middles).mean(axis=0)),
        pen=round(float(pens.mean()), 3),
        ink_area=round(float(areas.mean()), 3) if has_equal_ink else None,
        slant=_round(np.array([lean.mean(), lean.std()])),
    )


def _separate_ink(images: NDArray[np.uint8]) -> tuple[int, int, _Array] | None:
    """Return the levels of paper and ink and the ink (N, H, W) from 0 to 1 of those ``images`` that are drawings."""
    edges = np.concatenate([images[:, [0, -1], :].reshape(-1), images[:, :, [0, -1]].reshape(-1)])
    paper = int(np.median(edges))
    values = images.astype(np.float64)
    strongest = values.max(axis=(1, 2)) if paper < 128 else values.min(axis=(1, 2))
    level = int(np.median(strongest))
    if abs(level - paper) < _MIN_CONTRAST:
        return None
    ink = np.clip((values - paper) / (level - paper), 0.0, 1.0)
    is_paper = ink < _FAINT
    around = np.concatenate([is_paper[:, [0, -1], :].mean(axis=2), is_paper[:, :, [0, -1]].mean(axis=1)], axis=1)
    is_drawing = (is_paper.mean(axis=(1, 2)) >= _MIN_PAPER_SHARE) & (around.mean(axis=1) >= _MIN_EDGE_SHARE)
    is_drawing &= ink.max(axis=(1, 2)) > 0.5
    return (paper, level, ink[is_drawing]) if is_drawing.mean() >= _MIN_DRAWN_SHARE else None


def _measure_boxes(ink: _Array) -> _Array:
    """Return left, top, right and bottom (N, 4) of the ink of each image, in pixels from its left and top edges."""
    sides = []
    for axis in (1, 2):  # over rows: columns with ink; over columns: rows with ink
        used = ink.max(axis=axis) >= _FAINT
        sides.append((used.argmax(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1)))
    (left, right), (top, bottom) = sides
    return np.stack([left, top, right, bottom], axis=1).astype(np.float64)


def _measure_moments(ink: _Array) -> tuple[_Array, _Array]:
    """Return the centres of mass (N, 2), in pixels from left and top, and the lean (N) of the ink of each image.

    The lean is the shift to the right per pixel upwards, 0 for an image of one row.
    """
    y, x = (axis + 0.5 for axis in np.indices(ink.shape[1:], dtype=np.float64))
    mass = ink.sum(axis=(1, 2))
    centres = np.stack([(ink * x).sum(axis=(1, 2)) / mass, (ink * y).sum(axis=(1, 2)) / mass], axis=1)
    across, down = x - centres[:, 0, None, None], y - centres[:, 1, None, None]
    upward = np.maximum((ink * down**2).sum(axis=(1, 2)), 1e-9)
    return centres, -(ink * across * down).sum(axis=(1, 2)) / upward


def _measure_pen(ink: _Array) -> float:
    """Return the width of the strokes of one image (H, W) in pixels.

    In a long stripe the mean distance to the edge is a quarter of its width. The distances found are those to the
    centres of the pixels outside, half a pixel more.
    """
    size = ink.shape[1] * _ENLARGEMENT, ink.shape[0] * _ENLARGEMENT
    large = cv2.resize(ink, size, interpolation=cv2.INTER_CUBIC)
    stripes = np.pad((large >= 0.5).astype(np.uint8), 1)
    distances = cv2.distanceTransform(stripes, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 4 * (float(distances[stripes > 0].mean()) - 0.5) / _ENLARGEMENT if stripes.any() else 0.5


def _round(pair: _Array) -> tuple[float, float]:
    """Return two numbers for the model card, to thousandths."""
    return round(float(pair[0]), 3), round(float(pair[1]), 3)
