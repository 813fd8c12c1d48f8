"""One shape of a LabelMe file as a box, an outline or a mask."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince import masks
from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.errors import DataError
from lince.labels import maskpng
from lince.labels.jsonfile import Node, WrongValueError, as_float, is_number, shown
from lince.labels.marks import Box, around
from lince.messages import _

FLAGS = {"difficult": DIFFICULT, "truncated": TRUNCATED, "crowd": CROWD, "occluded": OCCLUDED, "group": GROUP}
_CORNERS = 64  # of the ring that stands for a circle
_OUTLINES = ("polygon", "oriented_rectangle", "rotation")
_LARGEST = 2**31


@dataclass(frozen=True)
class Shape:
    """What a shape marks: its ``box``, and its ``rings`` (K, 2) or its ``mask``'s run lengths."""

    box: Box
    rings: tuple[NDArray[np.float64], ...] = ()
    mask: str = ""


def shape(node: Node, size: tuple[int, int]) -> Shape:
    """Return what the shape at ``node`` marks on an image of ``size`` (height, width).

    A circle (its middle, a point on it) becomes a ring of 64 corners; its box is exact. A mask is a PNG whose first and
    last pixel lie at the two points. Raise ``WrongValueError`` for points and lines, and for what is not as it should.
    """
    kind = node.at("shape_type").value or "polygon"
    if kind == "rectangle":
        return _rectangle(node)
    if kind == "circle":
        return _circle(node)
    if kind == "mask":
        return _mask(node, size)
    if kind not in _OUTLINES:
        raise WrongValueError(node.path, _("a shape of the kind {kind}: it has no area").format(kind=shown(kind)))
    return _outline(node)


def flags(node: Node) -> int:
    """Return the flags of the shape at ``node``: those of its own ``flags`` that lince knows."""
    said = node.value.get("flags")
    own = said if isinstance(said, dict) else {}
    return sum(flag for word, flag in FLAGS.items() if own.get(word) is True or node.value.get(word) is True)


def _outline(node: Node) -> Shape:
    ring = _points(node)
    if len(ring) < 3:
        raise WrongValueError(node.path, _("an outline of {count} points").format(count=len(ring)), "empty")
    return Shape(around([ring]), (ring,))


def _rectangle(node: Node) -> Shape:
    """Return the box between two corners in any order; four corners that are no upright box are an outline."""
    corners = _points(node)
    if len(corners) == 4 and any(len(set(corners[:, axis].tolist())) > 2 for axis in (0, 1)):
        return _outline(node)
    if len(corners) not in (2, 4):
        raise WrongValueError(node.path, _("a rectangle of {count} points").format(count=len(corners)))
    return Shape(around([corners]))


def _circle(node: Node) -> Shape:
    points = _points(node)
    if len(points) != 2:
        raise WrongValueError(node.path, _("a circle of {count} points").format(count=len(points)))
    middle, edge = points
    radius = float(np.hypot(*(edge - middle)))
    turn = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    ring = middle + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    x, y = middle.tolist()
    return Shape((x - radius, y - radius, x + radius, y + radius), (ring,))


def _mask(node: Node, size: tuple[int, int]) -> Shape:
    corners = _points(node)
    if len(corners) != 2 or not any(size):
        raise WrongValueError(node.path, _("a mask without its two corners, or without the size of its image"))
    left, top = (int(value) for value in corners[0].tolist())
    right, bottom = (int(value) + 1 for value in corners[1].tolist())
    inside = _decoded(node)
    fits = left >= 0 and top >= 0 and right <= size[1] and bottom <= size[0]
    if not fits or inside.shape != (bottom - top, right - left):
        reason = _("a mask of {width} x {height} that does not fit between its corners, or in the image")
        raise WrongValueError(node.path, reason.format(width=inside.shape[1], height=inside.shape[0]), "outside")
    whole = np.zeros(size, np.bool_)
    whole[top:bottom, left:right] = inside
    counts = masks.counts_of(whole)
    if not masks.area(counts):
        raise WrongValueError(node.path, _("a mask without area"), "empty")
    return Shape(masks.around(counts, size[0]), (), masks.write(counts))


def _decoded(node: Node) -> NDArray[np.bool_]:
    try:
        stored = maskpng.read(base64.b64decode(node.text("mask"), validate=True))
    except (binascii.Error, ValueError) as error:
        raise WrongValueError(f"{node.path}/mask", _("text that is no base64")) from error
    except WrongValueError:
        raise
    except DataError as error:
        raise WrongValueError(f"{node.path}/mask", error.found.rstrip(".")) from error
    values = stored.values if stored.values.ndim == 2 else stored.values.any(axis=2)
    return np.asarray(values != 0)


def _points(node: Node) -> NDArray[np.float64]:
    """Return the points (K, 2) of the shape at ``node``; raise ``WrongValueError`` when one is no pair of numbers."""
    whole = node.at("points")
    found = [_point(value) for value in whole.listed()]
    if None in found:
        raise whole.wrong(_("pairs of numbers"))
    points = np.array(found, np.float64).reshape(-1, 2)
    if not (np.abs(points) < _LARGEST).all():
        raise WrongValueError(whole.path, _("a coordinate that is no number"), "number")
    return points


def _point(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2 or not all(map(is_number, value)):
        return None
    return as_float(value[0]), as_float(value[1])
