"""One thing that a person drew in Label Studio: its label, and its shape in pixels.

Positions are shares of the image in percent. A ``rotation`` turns clockwise, by degrees: a rectangle round the corner
that it gives, an ellipse round its middle.
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

_ELLIPSE_POINTS = 64
_MAX_SIDE = 10**7
Ring = NDArray[np.float64]
Size = tuple[int, int]


@dataclass(frozen=True)
class AnnotationRegion:
    """A result: the ``value`` with shape and label, and ``about`` it: its id, its type, the size of the image."""

    path: str
    value: dict[str, Any]
    metadata: dict[str, Any]

    @classmethod
    def from_result(cls, result: JsonNode) -> AnnotationRegion:
        """Return the region of a result in an annotation; raise ``WrongValueError`` when it is none."""
        if not isinstance(result.value, dict):
            raise result.make_error(_("a result"))
        value = result.value.get("value")
        return cls(result.path, value if isinstance(value, dict) else {}, result.value)

    @classmethod
    def from_minimal(cls, result: JsonNode) -> AnnotationRegion:
        """Return the region of JSON_MIN, where all stands together; raise ``WrongValueError`` when it is none."""
        if not isinstance(result.value, dict):
            raise result.make_error(_("a region"))
        return cls(result.path, result.value, result.value)

    @property
    def id(self) -> str:
        """What ties results about one region together; empty when there is nothing."""
        found = self.metadata.get("id")
        return found if isinstance(found, str) else ""

    @property
    def size(self) -> Size:
        """The (height, width) of the image; zeros when it is not said."""
        height, width = (self.metadata.get(key) for key in ("original_height", "original_width"))
        return _parse_side(height), _parse_side(width)

    def get_number(self, key: str, default: float | None = None) -> float:
        """Return the finite number under ``key``; raise ``WrongValueError`` when there is none."""
        value: Any = self.value.get(key, default)
        if not is_number(value) or not isfinite(as_float(value)):
            raise JsonValueError(self.path, _("'{key}' is no number").format(key=key), "number")
        return as_float(value)


def get_region_labels(region: AnnotationRegion) -> list[str]:
    """Return the labels of ``region``; none when it has none."""
    for key, found in region.value.items():
        if key.endswith("labels") and isinstance(found, list):
            names = [name.strip() for name in found if isinstance(name, str) and is_encodable_text(name)]
            return [name for name in names if name]
    return []


def get_image_class(region: AnnotationRegion) -> str:
    """Return the class that ``region`` gives the image as a whole; empty when it is about something else."""
    found = region.value.get("choices")
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list) or len(names) != 1 or "x" in region.value or "points" in region.value:
        return ""
    name = names[0]
    return name.strip() if isinstance(name, str) and is_encodable_text(name) else ""


def parse_region(region: AnnotationRegion, size: Size) -> tuple[str, Callable[[int], RawObject]]:
    """Return the label of ``region`` and its mark on an image of ``size``, which waits for the id of the class.

    Raise ``WrongValueError`` when lince does not read it, ``DataError`` when its mask does not fit.
    """
    shape = next((shape for key, shape in _SHAPE_PARSERS.items() if key in region.value), None)
    if shape is None:
        what = str(region.metadata.get("type") or ", ".join(list(region.value)[:4]) or _("nothing"))
        raise JsonValueError(region.path, _("lince does not read {what}").format(what=ascii(what[:40])))
    names = get_region_labels(region)
    if len(names) != 1:
        raise JsonValueError(region.path, _("{count} labels instead of one").format(count=len(names)))
    if region.metadata.get("image_rotation"):
        raise JsonValueError(region.path, _("drawn on the image while it was turned"))
    if not all(size):
        raise JsonValueError(region.path, _("the size of the image is not known"))
    with np.errstate(over="ignore", invalid="ignore"):
        box, rings, mask = shape(region, size)
    return names[0], lambda class_id: RawObject(class_id, box, region.path, rings=rings, mask=mask)


def _parse_rectangle(region: AnnotationRegion, size: Size) -> tuple[Box, list[Ring], str]:
    x, y, width, height = (region.get_number(key) for key in ("x", "y", "width", "height"))
    left, top = x / 100 * size[1], y / 100 * size[0]
    right, bottom = (x + width) / 100 * size[1], (y + height) / 100 * size[0]
    rotation = region.get_number("rotation", 0.0)
    if not rotation:
        return (left, top, right, bottom), [], ""
    ring = _rotate_points(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]), (left, top), rotation)
    return compute_bounding_box([ring]), [ring], ""


def _parse_polygon(region: AnnotationRegion, size: Size) -> tuple[Box, list[Ring], str]:
    points = region.value["points"]
    if not isinstance(points, list) or len(points) < 3:
        raise JsonValueError(region.path, _("an outline of fewer than three points"), "empty")
    if not all(isinstance(point, list) and len(point) == 2 and all(map(is_number, point)) for point in points):
        raise JsonValueError(region.path, _("an outline with a point that is no pair of numbers"), "number")
    ring = np.array([[as_float(x), as_float(y)] for x, y in points]) / 100 * (size[1], size[0])
    return compute_bounding_box([ring]), [ring], ""


def _parse_ellipse(region: AnnotationRegion, size: Size) -> tuple[Box, list[Ring], str]:
    middle = region.get_number("x") / 100 * size[1], region.get_number("y") / 100 * size[0]
    radii = region.get_number("radiusX") / 100 * size[1], region.get_number("radiusY") / 100 * size[0]
    angles = np.arange(_ELLIPSE_POINTS) * (2 * np.pi / _ELLIPSE_POINTS)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii + middle
    ring = _rotate_points(points, middle, region.get_number("rotation", 0.0))
    return compute_bounding_box([ring]), [ring], ""


def _parse_brush(region: AnnotationRegion, size: Size) -> tuple[Box, list[Ring], str]:
    packed = region.value["rle"]
    if not isinstance(packed, list):
        raise JsonValueError(region.path, _("a mask without its packed bytes"))
    text = decode_labelstudio_rle(packed, size)
    return rle.compute_bounding_box(rle.string_to_counts(text), size[0]), [], text


_SHAPE_PARSERS: dict[str, Callable[[AnnotationRegion, Size], tuple[Box, list[Ring], str]]] = {
    "rle": _parse_brush,
    "points": _parse_polygon,
    "radiusX": _parse_ellipse,
    "width": _parse_rectangle,
}


def _rotate_points(points: Ring, middle: tuple[float, float], degrees: float) -> Ring:
    cosine, sine = np.cos(radians(degrees)), np.sin(radians(degrees))
    return np.asarray((points - middle) @ np.array([[cosine, sine], [-sine, cosine]]) + middle, np.float64)


def _parse_side(value: Any) -> int:
    whole = is_number(value) and 0 < value < _MAX_SIDE
    return int(value) if whole else 0
