"""Renders pen strokes as an image like those that a model was trained on, so that it recognises what is drawn.

How the training images were made is in the model card (``lince.model_card.DrawingSpec``). MNIST's digits, the default,
were made from black and white scans: each was fitted into 20 x 20 pixels, keeping its aspect ratio, which left grey
edges, and then moved by whole pixels so that its centre of mass is in the middle of 28 x 28 (LeCun, Bottou, Bengio and
Haffner 1998, section III.A). Other sets stretch both sides, straighten the digit, or give each the same amount of ink.
Strokes are lines before they are pixels, so here the pen gets its width after the fitting: a digit drawn small looks
like one drawn large.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lince.i18n import _
from lince.model_card import DrawingSpec
from lince.web.http_errors import ApiError, client_error

PEN_WIDTH = 2.6  # pixels of 28: measured on the strokes of MNIST's training digits
MNIST = DrawingSpec(
    width=28,
    height=28,
    paper=0,
    ink=255,
    box=(20.0, 20.0),
    stretch=False,
    centre="mass",
    position=(14.5, 14.5),
    pen=PEN_WIDTH,
)
MAX_STROKES, MAX_POINTS = 200, 6000
MAX_COORDINATE = 1e6
_MIN_EXTENT = 0.04  # of the canvas: a smaller drawing is a dot and is not enlarged to fill the box
_MOST_STRETCH = 2.0  # of one side against the other, where both are fitted: a thin one is not made a block
_FLAT = 0.1  # variance of the ink upwards by that across: a flatter drawing is a line across, which cannot lean
_PEN_RANGE = 0.5, 2.0  # of the usual width, where the pen follows the amount of ink
_FINE_SIDE = 28  # smaller images are rendered in parts of a pixel, at least so many on each side
_CHUNK_SIZE = 512  # line segments whose distances are computed at a time, to bound memory

Stroke = NDArray[np.float64]


def parse_strokes(value: object) -> list[Stroke]:
    """Return the strokes (K, 2) in decoded JSON: x to the right, y downwards, as fractions of the canvas.

    Raises ``ApiError`` (422) unless they are 1 to 200 non-empty lists of pairs of finite numbers, 6000 points at most.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_STROKES:
        raise _bad_strokes_error()
    if not all(isinstance(stroke, list) and stroke for stroke in value) or sum(map(len, value)) > MAX_POINTS:
        raise _bad_strokes_error()
    return [_parse_points(stroke) for stroke in value]


def render_digit(strokes: Sequence[Stroke], spec: DrawingSpec = MNIST) -> NDArray[np.uint8]:
    """Return an image (spec.height, spec.width, 3) uint8 of ``strokes``, prepared by ``spec``.

    The position and size of the drawing do not matter. At least one stroke of one point is needed.
    """
    upright = _limit_slant(strokes, spec)
    pen = spec.pen
    distances = _pen_distances(_fit_strokes(upright, spec, pen), spec)
    if spec.ink_area is not None:
        pen = _choose_pen(distances, spec.ink_area, spec)
        distances = _pen_distances(_fit_strokes(upright, spec, pen), spec)
        pen = _choose_pen(distances, spec.ink_area, spec)
    ink = np.rint(255 * _pen_coverage(distances, pen, spec)).astype(np.uint8)
    if spec.centre == "mass":
        ink = _centre_mass(ink, spec)
    grey = np.rint(spec.paper + (spec.ink - spec.paper) * (ink / 255)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def are_numbers(values: list[object]) -> bool:
    """Return whether all decoded JSON ``values`` are numbers; strings and booleans, which NumPy accepts, are not."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _parse_points(stroke: list[object]) -> Stroke:
    """Return one stroke as (K, 2); raise ``ApiError`` for other shapes, NaN and coordinates beyond the limit."""
    if not all(isinstance(point, list) and are_numbers(point) for point in stroke):
        raise _bad_strokes_error()
    try:
        points = np.asarray(stroke, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _bad_strokes_error() from None
    if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) < MAX_COORDINATE).all():
        raise _bad_strokes_error()
    return points


def _bad_strokes_error() -> ApiError:
    message = _("Expected strokes: 1 to {strokes} lists of pairs of numbers, at most {points} in all.")
    return client_error("bad-strokes", message.format(strokes=MAX_STROKES, points=MAX_POINTS), 422)


def _limit_slant(strokes: Sequence[Stroke], spec: DrawingSpec) -> Sequence[Stroke]:
    """Return ``strokes`` sheared so that they lean no more than the training images; dots and lines across stay."""
    starts, ends = _list_segments(strokes)
    weights = np.sqrt(((ends - starts) ** 2).sum(axis=1))
    if spec.slant is None or not weights.any():
        return strokes
    middles = (starts + ends) / 2
    centre = np.average(middles, axis=0, weights=weights)
    x, y = (middles - centre).T
    across, upward = (float(np.average(axis**2, weights=weights)) for axis in (x, y))
    if upward <= _FLAT * across:
        return strokes
    lean = -float(np.average(x * y, weights=weights)) / upward
    mean, spread = spec.slant
    excess = lean - float(np.clip(lean, mean - spread, mean + spread))
    return [stroke + np.outer(stroke[:, 1] - centre[1], (excess, 0.0)) for stroke in strokes]


def _fit_strokes(strokes: Sequence[Stroke], spec: DrawingSpec, pen: float) -> list[Stroke]:
    """Return ``strokes`` in pixels, fitted to the box of ``spec`` with a pen of that width and placed in the image.

    The box is taken to be no larger than the image, whatever the card says, so that nothing is drawn beside it.
    """
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    longest = float((high - low).max())
    least = longest * _MIN_EXTENT if longest > _MIN_EXTENT else _MIN_EXTENT  # of a side, for its scale
    scales = np.maximum(np.minimum(spec.box, (spec.width, spec.height)) - pen, 1.0) / np.maximum(high - low, least)
    scale = np.minimum(scales, scales.min() * (_MOST_STRETCH if spec.stretch else 1.0))
    extent = scale * (high - low)
    if spec.centre == "mass":  # whole pixels, so that the edges are where those of the training images are
        offset = np.floor((np.array([spec.width, spec.height]) - extent) / 2 - pen / 2) + pen / 2
    else:
        offset = np.array(spec.position) - extent / 2
    return [(stroke - low) * scale + offset for stroke in strokes]


def _choose_pen(distances: NDArray[np.float64], ink_area: float, spec: DrawingSpec) -> float:
    """Return the width of the pen with which the ink covers ``ink_area`` pixels, by bisection within ``_PEN_RANGE``."""
    low, high = (factor * spec.pen for factor in _PEN_RANGE)
    for _step in range(12):
        pen = (low + high) / 2
        low, high = (pen, high) if _pen_coverage(distances, pen, spec).sum() < ink_area else (low, pen)
    return (low + high) / 2


def _list_segments(strokes: Sequence[Stroke]) -> tuple[Stroke, Stroke]:
    """Return the starts and ends (S, 2) of all line segments; a stroke of one point is a segment of no length."""
    starts = np.concatenate([stroke[:-1] if len(stroke) > 1 else stroke for stroke in strokes])
    ends = np.concatenate([stroke[1:] if len(stroke) > 1 else stroke for stroke in strokes])
    return starts, ends


def _count_parts(spec: DrawingSpec) -> int:
    """Return into how many parts the side of a pixel is divided while rendering."""
    return -(-_FINE_SIDE // min(spec.width, spec.height))


def _pen_distances(strokes: Sequence[Stroke], spec: DrawingSpec) -> NDArray[np.float64]:
    """Return the distances, in pixels, from the centre of each part of a pixel to the nearest stroke: (H, W) parts."""
    starts, ends = _list_segments(strokes)
    parts = _count_parts(spec)
    across, down = ((np.arange(side * parts) + 0.5) / parts for side in (spec.width, spec.height))
    centres = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 1, 2)
    distances = np.full(len(centres), np.inf)
    for first in range(0, len(starts), _CHUNK_SIZE):
        chunk = slice(first, first + _CHUNK_SIZE)
        distances = np.minimum(distances, _segment_distances(centres, starts[chunk], ends[chunk]).min(axis=1))
    return distances.reshape(len(down), len(across))


def _pen_coverage(distances: NDArray[np.float64], pen: float, spec: DrawingSpec) -> NDArray[np.float64]:
    """Return the fraction (spec.height, spec.width) of each pixel that a round pen along the strokes covers, 0 to 1.

    Approximated from the distance between the centre of each of its parts and the nearest line segment.
    """
    parts = _count_parts(spec)
    covered = np.clip((pen / 2 - distances) * parts + 0.5, 0.0, 1.0)
    mean: NDArray[np.float64] = covered.reshape(spec.height, parts, spec.width, parts).mean(axis=(1, 3))
    return mean


def _segment_distances(centres: NDArray[np.float64], starts: Stroke, ends: Stroke) -> NDArray[np.float64]:
    """Return the distances (P, S) between ``centres`` (P, 1, 2) and the segments from ``starts`` to ``ends`` (S, 2)."""
    along = ends - starts
    squared_length = np.maximum((along**2).sum(axis=1), 1e-12)
    position = np.clip(((centres - starts) * along).sum(axis=2) / squared_length, 0.0, 1.0)
    distances: NDArray[np.float64] = np.sqrt(((centres - starts - position[:, :, None] * along) ** 2).sum(axis=2))
    return distances


def _centre_mass(image: NDArray[np.uint8], spec: DrawingSpec) -> NDArray[np.uint8]:
    """Return ``image`` shifted by whole pixels so that its centre of mass is at ``spec.position``, without clipping."""
    for axis, place in ((0, spec.position[1]), (1, spec.position[0])):
        profile = image.sum(axis=1 - axis)
        used = np.flatnonzero(profile)
        if not len(used):  # strokes thinner than one level of ink
            break
        wanted = round(place - 0.5 - float(np.average(np.arange(len(profile)), weights=profile)))
        shift = int(np.clip(wanted, -used[0], len(profile) - 1 - used[-1]))
        image = np.roll(image, shift, axis=axis)
    return image
