"""Renders pen strokes as an image like those of MNIST, so that a digit classifier recognises what is drawn.

MNIST's digits were made from black and white scans: each was fitted into 20 x 20 pixels, keeping its aspect ratio,
which left grey edges, and then moved by whole pixels so that its centre of mass is in the middle of 28 x 28 (LeCun,
Bottou, Bengio and Haffner 1998, section III.A). Strokes are lines before they are pixels, so here the pen gets the
width of MNIST's strokes after the fitting: a digit drawn small looks like one drawn large.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lince.i18n import _
from lince.serving.http_errors import ApiError, client_error

IMAGE_SIDE, BOX_SIDE, CENTRE = 28, 20, 14  # pixels, as MNIST
PEN_WIDTH = 2.6  # pixels of 28: measured on the strokes of MNIST's training digits
MAX_STROKES, MAX_POINTS = 200, 6000
MAX_COORDINATE = 1e6
_MIN_EXTENT = 0.04  # of the canvas: a smaller drawing is a dot and is not enlarged to fill the box
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


def render_digit(strokes: Sequence[Stroke]) -> NDArray[np.uint8]:
    """Return an image (28, 28, 3) uint8 of ``strokes``, white on black, normalised as MNIST's digits.

    The position and size of the drawing do not matter. At least one stroke of one point is needed.
    """
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (BOX_SIDE - PEN_WIDTH) / max(float((high - low).max()), _MIN_EXTENT)
    margin = (IMAGE_SIDE - scale * (high - low)) / 2
    offset = np.floor(margin - PEN_WIDTH / 2) + PEN_WIDTH / 2
    ink = _pen_coverage([(stroke - low) * scale + offset for stroke in strokes])
    grey = _centre_mass(np.rint(255 * ink).astype(np.uint8))
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


def _pen_coverage(strokes: Sequence[Stroke]) -> NDArray[np.float64]:
    """Return the fraction (28, 28) of each pixel that a round pen along ``strokes`` covers, 0 to 1.

    Approximated from the distance between the pixel's centre and the nearest line segment. A stroke of one point is a
    dot.
    """
    starts = np.concatenate([stroke[:-1] if len(stroke) > 1 else stroke for stroke in strokes])
    ends = np.concatenate([stroke[1:] if len(stroke) > 1 else stroke for stroke in strokes])
    centres = np.stack(np.meshgrid(np.arange(IMAGE_SIDE) + 0.5, np.arange(IMAGE_SIDE) + 0.5), axis=-1).reshape(-1, 1, 2)
    distances = np.full(IMAGE_SIDE * IMAGE_SIDE, np.inf)
    for first in range(0, len(starts), _CHUNK_SIZE):
        chunk = slice(first, first + _CHUNK_SIZE)
        distances = np.minimum(distances, _segment_distances(centres, starts[chunk], ends[chunk]).min(axis=1))
    return np.clip(PEN_WIDTH / 2 + 0.5 - distances, 0.0, 1.0).reshape(IMAGE_SIDE, IMAGE_SIDE)


def _segment_distances(centres: NDArray[np.float64], starts: Stroke, ends: Stroke) -> NDArray[np.float64]:
    """Return the distances (P, S) between ``centres`` (P, 1, 2) and the segments from ``starts`` to ``ends`` (S, 2)."""
    along = ends - starts
    squared_length = np.maximum((along**2).sum(axis=1), 1e-12)
    position = np.clip(((centres - starts) * along).sum(axis=2) / squared_length, 0.0, 1.0)
    distances: NDArray[np.float64] = np.sqrt(((centres - starts - position[:, :, None] * along) ** 2).sum(axis=2))
    return distances


def _centre_mass(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``image`` (28, 28) shifted by whole pixels so that its centre of mass is at (14, 14), without clipping."""
    for axis in (0, 1):
        profile = image.sum(axis=1 - axis)
        used = np.flatnonzero(profile)
        wanted = round(CENTRE - float(np.average(np.arange(IMAGE_SIDE), weights=profile)))
        shift = int(np.clip(wanted, -used[0], IMAGE_SIDE - 1 - used[-1]))
        image = np.roll(image, shift, axis=axis)
    return image
