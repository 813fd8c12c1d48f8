"""From the strokes of a pen to a digit as MNIST's are: what a model of digits knows is not what a hand draws.

MNIST's digits were made from black and white scans: each was fitted into 20 x 20 pixels with its shape kept, which
left grey edges, and then moved by whole pixels so that its centre of mass lay in the middle of 28 x 28 (LeCun, Bottou,
Bengio and Haffner 1998, section III.A). Strokes are lines before they are pixels, so here the pen gets the thickness of
MNIST's after the fitting: a digit drawn small reads as one drawn large.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lince.i18n import _
from lince.serving.http_errors import ApiError, client_error

IMAGE_SIDE, BOX_SIDE, CENTRE = 28, 20, 14
PEN_WIDTH = 2.6  # pixels of 28: what a stroke of MNIST's training digits measures across
MAX_STROKES, MAX_POINTS = 200, 6000
MAX_COORDINATE = 1e6
_MIN_EXTENT = 0.04  # of the sheet: what is smaller than this is a dot, and is not blown up to fill the box
_CHUNK_SIZE = 512

Stroke = NDArray[np.float64]


def parse_strokes(value: object) -> list[Stroke]:
    """Return what a client sent as strokes, (K, 2) each: x to the right, y downwards, in shares of its sheet.

    Raises ``RefusedError`` when they are not lists of pairs of numbers, or too many.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_STROKES:
        raise _bad_strokes_error()
    if not all(isinstance(one, list) and one for one in value) or sum(map(len, value)) > MAX_POINTS:
        raise _bad_strokes_error()
    return [_parse_points(one) for one in value]


def render_digit(drawn: Sequence[Stroke]) -> NDArray[np.uint8]:
    """Return ``drawn`` as a picture (28, 28, 3) uint8, white on black, normalised as MNIST's digits were."""
    points = np.concatenate(drawn)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (BOX_SIDE - PEN_WIDTH) / max(float((high - low).max()), _MIN_EXTENT)
    margin = (IMAGE_SIDE - scale * (high - low)) / 2
    ink = _pen_coverage([(stroke - low) * scale + np.floor(margin - PEN_WIDTH / 2) + PEN_WIDTH / 2 for stroke in drawn])
    grey = _centre_mass(np.rint(255 * ink).astype(np.uint8))
    return np.repeat(grey[:, :, None], 3, axis=2)


def are_numbers(values: list[object]) -> bool:
    """Tell whether a client's ``values`` are numbers: texts and truths, which NumPy would read as such, are not."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _parse_points(stroke: list[object]) -> Stroke:
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


def _pen_coverage(drawn: Sequence[Stroke]) -> NDArray[np.float64]:
    """Return how much of each pixel of 28 x 28 a round pen of ``PEN`` pixels covers, 0 to 1, along the strokes."""
    starts = np.concatenate([stroke[:-1] if len(stroke) > 1 else stroke for stroke in drawn])
    ends = np.concatenate([stroke[1:] if len(stroke) > 1 else stroke for stroke in drawn])
    centres = np.stack(np.meshgrid(np.arange(IMAGE_SIDE) + 0.5, np.arange(IMAGE_SIDE) + 0.5), axis=-1).reshape(-1, 1, 2)
    nearest = np.full(IMAGE_SIDE * IMAGE_SIDE, np.inf)
    for first in range(0, len(starts), _CHUNK_SIZE):
        part = slice(first, first + _CHUNK_SIZE)
        nearest = np.minimum(nearest, _segment_distances(centres, starts[part], ends[part]).min(axis=1))
    return np.clip(PEN_WIDTH / 2 + 0.5 - nearest, 0.0, 1.0).reshape(IMAGE_SIDE, IMAGE_SIDE)


def _segment_distances(centres: NDArray[np.float64], starts: Stroke, ends: Stroke) -> NDArray[np.float64]:
    """Return the distance (P, S) of each of ``centres`` (P, 1, 2) from each line from ``starts`` to ``ends`` (S, 2)."""
    along = ends - starts
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip(((centres - starts) * along).sum(axis=2) / length, 0.0, 1.0)
    found: NDArray[np.float64] = np.sqrt(((centres - starts - share[:, :, None] * along) ** 2).sum(axis=2))
    return found


def _centre_mass(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``ink`` moved by whole pixels, its centre of mass in the middle as far as nothing leaves the picture."""
    for axis in (0, 1):
        profile = ink.sum(axis=1 - axis)
        used = np.flatnonzero(profile)
        wanted = round(CENTRE - float(np.average(np.arange(IMAGE_SIDE), weights=profile)))
        moved = int(np.clip(wanted, -used[0], IMAGE_SIDE - 1 - used[-1]))
        ink = np.roll(ink, moved, axis=axis)
    return ink
