"""One shape of a LabelMe file as a box, an outline or a mask."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.errors import DataError
from lince.formats.builders.object_table import Box, compute_bounding_box
from lince.formats.masks import png
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, JsonValueError, as_float, format_value, is_number

FLAGS_BY_NAME = {"difficult": DIFFICULT, "truncated": TRUNCATED, "crowd": CROWD, "occluded": OCCLUDED, "group": GROUP}
_CIRCLE_POINTS = 64  # of the ring that stands for a circle
_OUTLINE_TYPES = ("polygon", "oriented_rectangle", "rotation")
_MAX_COORDINATE = 2**31


@dataclass(frozen=True)
class ParsedShape:
    """What a shape marks: its ``box``, and its ``rings`` (K, 2) or its ``mask``'s run lengths."""

    box: Box
    rings: tuple[NDArray[np.float64], ...] = ()
    mask: str = ""


def parse_shape(node: JsonNode, size: tuple[int, int]) -> ParsedShape:
    """Return what the shape at ``node`` marks on an image of ``size`` (height, width).

    A circle (its middle, a point on it) becomes a ring of 64 corners; its box is exact. A mask is a PNG whose first and
    last pixel lie at the two points. Raise ``WrongValueError`` for points and lines, and for what is not as it should.
    """
    kind = node.get_child("shape_type").value or "polygon"
    if kind == "rectangle":
        return _parse_rectangle(node)
    if kind == "circle":
        return _parse_circle(node)
    if kind == "mask":
        return _parse_mask(node, size)
    if kind not in _OUTLINE_TYPES:
        raise JsonValueError(node.path, _("a shape of the kind {kind}: it has no area").format(kind=format_value(kind)))
    return _parse_outline(node)


def parse_flags(node: JsonNode) -> int:
    """Return the flags of the shape at ``node``: those of its own ``flags`` that lince knows."""
    said = node.value.get("flags")
    own = said if isinstance(said, dict) else {}
    return sum(flag for word, flag in FLAGS_BY_NAME.items() if own.get(word) is True or node.value.get(word) is True)


def _parse_outline(node: JsonNode) -> ParsedShape:
    ring = _parse_points(node)
    if len(ring) < 3:
        raise JsonValueError(node.path, _("an outline of {count} points").format(count=len(ring)), "empty")
    return ParsedShape(compute_bounding_box([ring]), (ring,))


def _parse_rectangle(node: JsonNode) -> ParsedShape:
    """Return the box between two corners in any order; four corners that are no upright box are an outline."""
    corners = _parse_points(node)
    if len(corners) == 4 and any(len(set(corners[:, axis].tolist())) > 2 for axis in (0, 1)):
        return _parse_outline(node)
    if len(corners) not in (2, 4):
        raise JsonValueError(node.path, _("a rectangle of {count} points").format(count=len(corners)))
    return ParsedShape(compute_bounding_box([corners]))


def _parse_circle(node: JsonNode) -> ParsedShape:
    points = _parse_points(node)
    if len(points) != 2:
        raise JsonValueError(node.path, _("a circle of {count} points").format(count=len(points)))
    middle, edge = points
    radius = float(np.hypot(*(edge - middle)))
    turn = np.arange(_CIRCLE_POINTS) * (2 * np.pi / _CIRCLE_POINTS)
    ring = middle + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    x, y = middle.tolist()
    return ParsedShape((x - radius, y - radius, x + radius, y + radius), (ring,))


def _parse_mask(node: JsonNode, size: tuple[int, int]) -> ParsedShape:
    corners = _parse_points(node)
    if len(corners) != 2 or not any(size):
        raise JsonValueError(node.path, _("a mask without its two corners, or without the size of its image"))
    left, top = (int(value) for value in corners[0].tolist())
    right, bottom = (int(value) + 1 for value in corners[1].tolist())
    inside = _decode_mask(node)
    fits = left >= 0 and top >= 0 and right <= size[1] and bottom <= size[0]
    if not fits or inside.shape != (bottom - top, right - left):
        reason = _("a mask of {width} x {height} that does not fit between its corners, or in the image")
        raise JsonValueError(node.path, reason.format(width=inside.shape[1], height=inside.shape[0]), "outside")
    whole = np.zeros(size, np.bool_)
    whole[top:bottom, left:right] = inside
    counts = rle.mask_to_counts(whole)
    if not rle.compute_area(counts):
        raise JsonValueError(node.path, _("a mask without area"), "empty")
    return ParsedShape(rle.compute_bounding_box(counts, size[0]), (), rle.counts_to_string(counts))


def _decode_mask(node: JsonNode) -> NDArray[np.bool_]:
    try:
        stored = png.decode_mask_png(base64.b64decode(node.get_text("mask"), validate=True))
    except (binascii.Error, ValueError) as error:
        raise JsonValueError(f"{node.path}/mask", _("text that is no base64")) from error
    except JsonValueError:
        raise
    except DataError as error:
        raise JsonValueError(f"{node.path}/mask", error.problem.rstrip(".")) from error
    values = stored.values if stored.values.ndim == 2 else stored.values.any(axis=2)
    return np.asarray(values != 0)


def _parse_points(node: JsonNode) -> NDArray[np.float64]:
    """Return the points (K, 2) of the shape at ``node``; raise ``WrongValueError`` when one is no pair of numbers."""
    whole = node.get_child("points")
    found = [_parse_point(value) for value in whole.as_list()]
    if None in found:
        raise whole.make_error(_("pairs of numbers"))
    points = np.array(found, np.float64).reshape(-1, 2)
    if not (np.abs(points) < _MAX_COORDINATE).all():
        raise JsonValueError(whole.path, _("a coordinate that is no number"), "number")
    return points


def _parse_point(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2 or not all(map(is_number, value)):
        return None
    return as_float(value[0]), as_float(value[1])
