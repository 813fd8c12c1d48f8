"""Converts one shape of a LabelMe file to a box, a polygon or a mask."""

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
_CIRCLE_POINTS = 64  # corners of the polygon that replaces a circle
_OUTLINE_TYPES = ("polygon", "oriented_rectangle", "rotation")
_MAX_COORDINATE = 2**31


@dataclass(frozen=True)
class ParsedShape:
    """The geometry of a shape in pixels.

    ``box`` is (left, top, right, bottom); ``rings`` are polygons float64 (K, 2); ``mask`` is the
    run-length string of a mask over the whole image. A rectangle has neither rings nor mask.
    """

    box: Box
    rings: tuple[NDArray[np.float64], ...] = ()
    mask: str = ""


def parse_shape(node: JsonNode, size: tuple[int, int]) -> ParsedShape:
    """Return the geometry of the shape at ``node`` on an image of ``size`` (height, width) in pixels.

    - A circle, given by its centre and a point on it, becomes a polygon of 64 corners; its box is
      exact.
    - A mask is a PNG of a crop of the image; its two points are the first and the last pixel of the
      crop.
    - A rectangle may have its corners in any order; one of four corners that is not upright becomes
      a polygon.

    Raise ``JsonValueError`` for points and lines, which have no area, and for values that are not
    valid.
    """
    kind = node.get_child("shape_type").value or "polygon"
    if kind == "rectangle":
        return _parse_rectangle(node)
    if kind == "circle":
        return _parse_circle(node)
    if kind == "mask":
        return _parse_mask(node, size)
    if kind not in _OUTLINE_TYPES:
        raise JsonValueError(node.path, _("a shape of type {kind}, which has no area").format(kind=format_value(kind)))
    return _parse_outline(node)


def parse_flags(node: JsonNode) -> int:
    """Return the object flags (bits of ``lince.annotations``) that are true at ``node``.

    LabelMe writes them in ``flags``; keys of the shape itself, which other tools write, count too.
    """
    own_flags = node.value.get("flags")
    flags = own_flags if isinstance(own_flags, dict) else {}
    return sum(flag for name, flag in FLAGS_BY_NAME.items() if flags.get(name) is True or node.value.get(name) is True)


def _parse_outline(node: JsonNode) -> ParsedShape:
    """Return a polygon of at least three points."""
    ring = _parse_points(node)
    if len(ring) < 3:
        raise JsonValueError(node.path, _("a polygon of {count} points").format(count=len(ring)), "empty")
    return ParsedShape(compute_bounding_box([ring]), (ring,))


def _parse_rectangle(node: JsonNode) -> ParsedShape:
    """Return the box between two opposite corners, or a polygon where four corners are not upright."""
    corners = _parse_points(node)
    if len(corners) == 4 and any(len(set(corners[:, axis].tolist())) > 2 for axis in (0, 1)):
        return _parse_outline(node)
    if len(corners) not in (2, 4):
        raise JsonValueError(node.path, _("a rectangle of {count} points").format(count=len(corners)))
    return ParsedShape(compute_bounding_box([corners]))


def _parse_circle(node: JsonNode) -> ParsedShape:
    """Return a circle given by its centre and a point on it."""
    points = _parse_points(node)
    if len(points) != 2:
        raise JsonValueError(node.path, _("a circle of {count} points").format(count=len(points)))
    centre, edge_point = points
    radius = float(np.hypot(*(edge_point - centre)))
    angles = np.arange(_CIRCLE_POINTS) * (2 * np.pi / _CIRCLE_POINTS)
    ring = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    x, y = centre.tolist()
    return ParsedShape((x - radius, y - radius, x + radius, y + radius), (ring,))


def _parse_mask(node: JsonNode, size: tuple[int, int]) -> ParsedShape:
    """Return a mask placed in the image; raise ``JsonValueError`` when it is empty or does not fit."""
    corners = _parse_points(node)
    if len(corners) != 2 or not any(size):
        raise JsonValueError(node.path, _("a mask without its two corners, or without the size of its image"))
    left, top = (int(value) for value in corners[0].tolist())
    right, bottom = (int(value) + 1 for value in corners[1].tolist())
    crop = _decode_mask(node)
    fits = left >= 0 and top >= 0 and right <= size[1] and bottom <= size[0]
    if not fits or crop.shape != (bottom - top, right - left):
        reason = _("a mask of {width} x {height} that does not fit between its corners, or in the image")
        raise JsonValueError(node.path, reason.format(width=crop.shape[1], height=crop.shape[0]), "outside")
    mask = np.zeros(size, np.bool_)
    mask[top:bottom, left:right] = crop
    counts = rle.mask_to_counts(mask)
    if not rle.compute_area(counts):
        raise JsonValueError(node.path, _("a mask without area"), "empty")
    return ParsedShape(rle.compute_bounding_box(counts, size[0]), (), rle.counts_to_string(counts))


def _decode_mask(node: JsonNode) -> NDArray[np.bool_]:
    """Return the crop of a mask, bool (H, W): true where the PNG is not 0."""
    try:
        stored = png.decode_mask_png(base64.b64decode(node.get_text("mask"), validate=True))
    except (binascii.Error, ValueError) as error:
        raise JsonValueError(f"{node.path}/mask", _("text that is not base64")) from error
    except JsonValueError:
        raise
    except DataError as error:
        raise JsonValueError(f"{node.path}/mask", error.problem.rstrip(".")) from error
    values = stored.values if stored.values.ndim == 2 else stored.values.any(axis=2)
    return np.asarray(values != 0)


def _parse_points(node: JsonNode) -> NDArray[np.float64]:
    """Return the points of the shape at ``node``, float64 (K, 2) as (x, y) in pixels.

    Raise ``JsonValueError`` when one is not a pair of finite numbers.
    """
    points_node = node.get_child("points")
    pairs = [_parse_point(value) for value in points_node.as_list()]
    if None in pairs:
        raise points_node.make_error(_("pairs of numbers"))
    points = np.array(pairs, np.float64).reshape(-1, 2)
    if not (np.abs(points) < _MAX_COORDINATE).all():
        raise JsonValueError(points_node.path, _("a coordinate is not a number"), "number")
    return points


def _parse_point(value: object) -> tuple[float, float] | None:
    """Return a pair of numbers, ``None`` when ``value`` is something else."""
    if not isinstance(value, list) or len(value) != 2 or not all(map(is_number, value)):
        return None
    return as_float(value[0]), as_float(value[1])
