"""Converts one region of a Label Studio annotation to its label and its shape in pixels.

Coordinates are percentages of the image's width and height. ``rotation`` is clockwise in degrees:
that of a rectangle around its top left corner, that of an ellipse around its centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.formats.builders.object_table import Box, RawObject, compute_bounding_box
from lince.formats.row_rle import decode_labelstudio_rle
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, JsonValueError, as_float, is_encodable_text, is_number

_ELLIPSE_POINTS = 64  # corners of the polygon that replaces an ellipse
_MAX_SIDE = 10**7  # pixels
Ring = NDArray[np.float64]
Size = tuple[int, int]


@dataclass(frozen=True)
class AnnotationRegion:
    """A result of an annotation: a shape with a label, or a choice for the image as a whole.

    ``value`` holds shape and label; ``metadata`` holds id, type, and size of the image. Both are
    the same dict in JSON_MIN. ``path`` is the JSON path for messages.
    """

    path: str
    value: dict[str, Any]
    metadata: dict[str, Any]

    @classmethod
    def from_result(cls, result: JsonNode) -> AnnotationRegion:
        """Return the region of a result in JSON; raise ``JsonValueError`` when it is not an object."""
        if not isinstance(result.value, dict):
            raise result.make_error(_("a result"))
        value = result.value.get("value")
        return cls(result.path, value if isinstance(value, dict) else {}, result.value)

    @classmethod
    def from_minimal(cls, result: JsonNode) -> AnnotationRegion:
        """Return the region of JSON_MIN, where all keys are together; raise ``JsonValueError`` as above."""
        if not isinstance(result.value, dict):
            raise result.make_error(_("a region"))
        return cls(result.path, result.value, result.value)

    @property
    def id(self) -> str:
        """The id that connects several results about one region; '' when there is none."""
        region_id = self.metadata.get("id")
        return region_id if isinstance(region_id, str) else ""

    @property
    def size(self) -> Size:
        """The (height, width) of the image in pixels, (0, 0) when it is missing."""
        height, width = (self.metadata.get(key) for key in ("original_height", "original_width"))
        return _parse_side(height), _parse_side(width)

    def get_number(self, key: str, default: float | None = None) -> float:
        """Return the finite number under ``key`` of ``value``.

        Raise ``JsonValueError`` when there is none and no ``default``.
        """
        value: Any = self.value.get(key, default)
        if not is_number(value) or not isfinite(as_float(value)):
            raise JsonValueError(self.path, _("'{key}' is not a number").format(key=key), "number")
        return as_float(value)


def get_region_labels(region: AnnotationRegion) -> list[str]:
    """Return the labels of ``region``, stripped; empty when it has none.

    They are the list under ``rectanglelabels``, ``polygonlabels``, ``labels`` or any other key that
    ends so.
    """
    for key, labels in region.value.items():
        if key.endswith("labels") and isinstance(labels, list):
            names = [name.strip() for name in labels if isinstance(name, str) and is_encodable_text(name)]
            return [name for name in names if name]
    return []


def get_image_classes(region: AnnotationRegion) -> tuple[str, ...]:
    """Return the classes that ``region`` assigns to the image as a whole; none when it is about a part of the image."""
    choices = region.value.get("choices")
    names = [choices] if isinstance(choices, str) else choices
    if not isinstance(names, list) or "x" in region.value or "points" in region.value:
        return ()
    texts = (name.strip() for name in names if isinstance(name, str) and is_encodable_text(name))
    return tuple(text for text in texts if text)


def parse_region(region: AnnotationRegion, size: Size) -> tuple[str, Callable[[int], RawObject]]:
    """Return the label of ``region``, and a function that makes its object from the class id.

    ``size`` is the (height, width) of the image. The class id is given later, so that only regions
    that can be read declare their class. Raise ``JsonValueError`` for shapes that lince does not
    read, and ``DataError`` when a mask does not fit the image.
    """
    parse_shape = next((parse_shape for key, parse_shape in _SHAPE_PARSERS.items() if key in region.value), None)
    if not region.value and str(region.metadata.get("type")).endswith("labels"):
        raise JsonValueError(region.path, _("a result without a value"))
    if parse_shape is None or "keypointlabels" in region.value:
        kind_name = str(region.metadata.get("type") or ", ".join(list(region.value)[:4]) or _("nothing"))
        raise JsonValueError(region.path, _("lince does not read {what}").format(what=ascii(kind_name[:40])))
    labels = get_region_labels(region)
    if len(labels) != 1:
        raise JsonValueError(region.path, _("{count} labels instead of one").format(count=len(labels)))
    if region.metadata.get("image_rotation"):
        raise JsonValueError(region.path, _("drawn on a rotated image"))
    if not all(size):
        raise JsonValueError(region.path, _("the size of the image is not known"))
    with np.errstate(over="ignore", invalid="ignore"):
        box, rings, mask = parse_shape(region, size)
    return labels[0], lambda class_id: RawObject(class_id, box, region.path, rings=rings, mask=mask)


def _parse_rectangle(region: AnnotationRegion, size: Size) -> tuple[Box, list[Ring], str]:
    """Return a box, or a polygon with its bounding box where the rectangle is rotated."""
    x, y, width, height = (region.get_number(key) for key in ("x", "y", "width", "height"))
    left, top = x / 100 * size[1], y / 100 * size[0]
    right, bottom = (x + width) / 100 * size[1], (y + height) / 100 * size[0]
    rotation = region.get_number("rotation", 0.0)
    if not rotation:
        return (left, top, right, bottom), [], ""
    ring = _rotate_points(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]), (left, top), rotation)
    return compute_bounding_box([ring]), [ring], ""


def _parse_polygon(region: AnnotationRegion, size: Size) -> tuple[Box, list[Ring], str]:
    """Return a polygon of at least three points with its bounding box."""
    points = region.value["points"]
    if not isinstance(points, list) or len(points) < 3:
        raise JsonValueError(region.path, _("a polygon of fewer than three points"), "empty")
    if not all(isinstance(point, list) and len(point) == 2 and all(map(is_number, point)) for point in points):
        raise JsonValueError(region.path, _("a polygon with a point that is not a pair of numbers"), "number")
    ring = np.array([[as_float(x), as_float(y)] for x, y in points]) / 100 * (size[1], size[0])
    return compute_bounding_box([ring]), [ring], ""


def _parse_ellipse(region: AnnotationRegion, size: Size) -> tuple[Box, list[Ring], str]:
    """Return a polygon of 64 points on the ellipse with its bounding box."""
    centre = region.get_number("x") / 100 * size[1], region.get_number("y") / 100 * size[0]
    radii = region.get_number("radiusX") / 100 * size[1], region.get_number("radiusY") / 100 * size[0]
    angles = np.arange(_ELLIPSE_POINTS) * (2 * np.pi / _ELLIPSE_POINTS)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + centre
    ring = _rotate_points(points, centre, region.get_number("rotation", 0.0))
    return compute_bounding_box([ring]), [ring], ""


def _parse_brush(region: AnnotationRegion, size: Size) -> tuple[Box, list[Ring], str]:
    """Return a mask with its bounding box."""
    packed_bytes = region.value["rle"]
    if not isinstance(packed_bytes, list):
        raise JsonValueError(region.path, _("a mask without its packed bytes"))
    mask = decode_labelstudio_rle(packed_bytes, size)
    return rle.compute_bounding_box(rle.string_to_counts(mask), size[0]), [], mask


_SHAPE_PARSERS: dict[str, Callable[[AnnotationRegion, Size], tuple[Box, list[Ring], str]]] = {
    "rle": _parse_brush,
    "points": _parse_polygon,
    "radiusX": _parse_ellipse,
    "width": _parse_rectangle,
}


def _rotate_points(points: Ring, centre: tuple[float, float], degrees: float) -> Ring:
    """Return ``points`` (K, 2) rotated clockwise around ``centre``."""
    cosine, sine = np.cos(radians(degrees)), np.sin(radians(degrees))
    return np.asarray((points - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre, np.float64)


def _parse_side(value: Any) -> int:
    """Return a height or width in pixels, 0 when ``value`` is none."""
    is_valid = is_number(value) and 0 < value < _MAX_SIDE
    return int(value) if is_valid else 0
