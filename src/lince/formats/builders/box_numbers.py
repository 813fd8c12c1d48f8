"""Tells what four numbers of a box are, where a label file does not say: corners, or left, top, width and height."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lince.formats.builders.object_table import EDGE_TOLERANCE, Box


def tell_corners(boxes: Sequence[Box], sizes: Sequence[tuple[int, int]], normalised: bool) -> bool | None:
    """Return whether ``boxes`` are left, top, right, bottom (``True``) or left, top, width, height (``False``).

    ``sizes`` are (height, width) in pixels of the image of each box, zeros when unknown; with ``normalised`` the
    numbers are fractions of the image's sides. ``None`` when the boxes can be both, or some only the one and some only
    the other.
    """
    numbers = np.array(boxes, np.float64).reshape(-1, 4)
    heights, widths = np.array(sizes, np.float64).reshape(-1, 2).T
    known = (heights > 0) & (widths > 0)
    limits = np.where(known[:, None], np.stack([widths, heights], axis=1), np.inf)
    limits = np.ones_like(limits) * (1 + 1e-6) if normalised else limits + EDGE_TOLERANCE
    with np.errstate(over="ignore", invalid="ignore"):
        sums = numbers[:, :2] + numbers[:, 2:]
    fit_as_corners = ((numbers[:, 2:] > numbers[:, :2]) & (numbers[:, 2:] <= limits)).all(axis=1)
    fit_as_sides = ((numbers[:, 2:] > 0) & (sums <= limits)).all(axis=1)
    corners_only, sides_only = (
        bool((fit_as_corners & ~fit_as_sides).any()),
        bool((fit_as_sides & ~fit_as_corners).any()),
    )
    return None if corners_only == sides_only else corners_only


def are_fractions(boxes: Sequence[Box]) -> bool:
    """Return whether boxes are fractions of the image's sides: all numbers are within 0 and 1, and not all whole."""
    values = [value for box in boxes for value in box]
    return all(0 <= value <= 1 for value in values) and any(0 < value < 1 for value in values)


def join_sides(box: Box) -> Box:
    """Return (left, top, right, bottom) of (left, top, width, height)."""
    left, top, width, height = box
    return left, top, left + width, top + height
