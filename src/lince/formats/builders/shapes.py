"""Makes the shapes that label files give from their corners: boxes, polygons, ellipses and masks within a rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.formats.builders.object_table import Box, Ring, compute_bounding_box

_ELLIPSE_POINTS = 64  # corners of the polygon that replaces an ellipse
_MAX_COORDINATE = 2**31


@dataclass(frozen=True)
class Shape:
    """The geometry of an object in pixels, as ``RawObject`` has it: a box, and its polygons or its mask if any."""

    box: Box
    rings: Sequence[Ring] = ()
    mask: str = ""


def make_polygon(points: Sequence[Sequence[float]], holes: Sequence[Sequence[Sequence[float]]] = ()) -> Shape:
    """Return the polygon with the corners ``points`` (K, 2) of x and y, without the inside of ``holes``.

    A hole is joined to the first corner by a seam without width, since the rings of an outline are added up.
    """
    outer = np.array(points, np.float64).reshape(-1, 2)
    parts = [outer]
    for hole in holes:
        inner = np.array(hole, np.float64).reshape(-1, 2)
        parts += [outer[:1], inner, inner[:1]]
    return Shape(compute_bounding_box([outer]), [np.concatenate(parts)])


def make_ellipse(centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0) -> Shape:
    """Return an ellipse as a polygon of 64 points, turned clockwise by ``angle`` (radians) around its centre.

    Where it is upright its box is exact, otherwise the one around the points.
    """
    angles = np.arange(_ELLIPSE_POINTS) * (2 * np.pi / _ELLIPSE_POINTS)
    with np.errstate(over="ignore", invalid="ignore"):
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii
        if not angle:
            (x, y), (x_radius, y_radius) = centre, radii
            return Shape((x - x_radius, y - y_radius, x + x_radius, y + y_radius), [points + centre])
        turned = points @ np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]]) + centre
    return Shape(compute_bounding_box([turned]), [turned])


def make_mask(crop: NDArray[np.bool_], left: int, top: int, size: tuple[int, int]) -> Shape | None:
    """Return the mask ``crop`` (H, W) with its corner at (``left``, ``top``) on an image of ``size`` (height, width).

    ``None`` where it does not fit into the image, or has no pixel.
    """
    bottom, right = top + crop.shape[0], left + crop.shape[1]
    if not (left >= 0 and top >= 0 and bottom <= size[0] and right <= size[1] and crop.any()):
        return None
    mask = np.zeros(size, np.bool_)
    mask[top:bottom, left:right] = crop
    counts = rle.mask_to_counts(mask)
    return Shape(rle.compute_bounding_box(counts, size[0]), (), rle.counts_to_string(counts))


def are_coordinates(values: Sequence[float]) -> bool:
    """Whether all ``values`` are finite and in the range of pixels."""
    return all(abs(value) < _MAX_COORDINATE for value in values)  # false for NaN
