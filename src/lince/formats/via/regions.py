"""Finds the class and the shape of a region of the VGG Image Annotator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lince.errors import AmbiguousError
from lince.formats.builders.shapes import Shape, are_coordinates, make_ellipse, make_polygon
from lince.formats.via.documents import ViaRegion
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, JsonValueError, as_float, format_value, is_encodable_text, is_number

CLASS_ATTRIBUTE = "class"
# Attributes that hold the class where there are several, the likeliest first.
_CLASS_NAMES = (
    *(CLASS_ATTRIBUTE, "class_name", "classname", "label", "category", "clase", "etiqueta", "categoría", "categoria"),
    *("classe", "rótulo", "rotulo", "name", "object", "type", "species", "nombre", "objeto", "tipo", "especie"),
    *("nome", "espécie"),
)
# Those of them that speak of a file as a whole beside regions; a file may well have a name and a type of its own.
IMAGE_CLASS_NAMES = _CLASS_NAMES[:11]
_DEFAULT_FILE_ATTRIBUTES = ("caption", "public_domain", "image_url", "width", "height")
_KEYS_BY_KIND = {
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}


def choose_class_attribute(records: Iterable[dict[str, Any]], place: str, *, is_file: bool = False) -> str | None:
    """Return the attribute of regions, or of files with ``is_file``, that holds the class; ``None`` where none does.

    It is the only one that has values, else the one whose name says so, else the first of those that always have the
    same values. Raise ``AmbiguousError``, with ``place``, where they differ.
    """
    records = list(records)
    counts = Counter(name for record in records for name, value in record.items() if has_value(value))
    if is_file:
        counts = Counter({name: count for name, count in counts.items() if name not in _DEFAULT_FILE_ATTRIBUTES})
    if len(counts) < 2:
        return next(iter(counts), None)
    by_folded_name = {name.strip().casefold(): name for name in counts}
    chosen = next((by_folded_name[name] for name in _CLASS_NAMES if name in by_folded_name), None)
    if chosen is None and all(len({repr(record.get(name)) for name in counts}) == 1 for record in records):
        chosen = next(iter(counts))
    if chosen is None:
        raise AmbiguousError(
            _("{path}: the class may be in any of the attributes {names}.").format(
                path=place, names=", ".join(sorted(counts))
            ),
            _("Expected one attribute for the class, or one called 'class'."),
            _("Replace its name by 'class' in the file, with a text editor."),
        )
    return chosen


def has_value(value: Any) -> bool:
    """Whether an attribute is filled in: a text, a number, or a box that is ticked."""
    return bool(list_choices(value))


def read_class_name(attributes: dict[str, Any], name: str, path: str) -> str:
    """Return the class in the attribute ``name``; raise ``JsonValueError`` for none, or several."""
    choices = list_choices(attributes.get(name))
    if not choices:
        reason = _("a region without the attribute '{name}', which holds the class").format(name=name)
        raise JsonValueError(path, reason, "no-class")
    if len(choices) > 1:
        reason = _("it has several classes: {names}").format(names=", ".join(choices))
        raise JsonValueError(path, reason, "several-classes")
    return choices[0]


def list_choices(value: Any) -> list[str]:
    """Return the texts of an attribute: what is typed or chosen, or the options that are ticked."""
    if isinstance(value, dict):
        values: Sequence[Any] = [key for key, is_ticked in value.items() if is_ticked]
    else:
        values = value if isinstance(value, list) else [value]
    texts = [str(item) if is_number(item) else item for item in values]
    return [text for text in texts if isinstance(text, str) and text.strip() and is_encodable_text(text)]


def parse_shape(region: ViaRegion) -> Shape:
    """Return the shape of a region in pixels; raise ``JsonValueError`` for points and lines, which have no area."""
    node = JsonNode(region.shape, region.path)
    kind = node.get_child("name").value
    if kind == "polygon":
        points = [node.get_numbers(key) for key in ("all_points_x", "all_points_y")]
        _require_coordinates(node, [value for values in points for value in values])
        if len(points[0]) != len(points[1]) or len(points[0]) < 3:
            count = min(map(len, points))
            raise JsonValueError(node.path, _("a polygon of {count} points").format(count=count), "empty")
        return make_polygon(list(zip(*points, strict=True)))
    keys = _KEYS_BY_KIND.get(kind, ()) if isinstance(kind, str) else ()
    if not keys:
        reason = _("a shape of type {kind}, which has no area").format(kind=format_value(kind))
        raise JsonValueError(node.path, reason)
    numbers = [node.get_number(key) for key in keys]
    _require_coordinates(node, numbers)
    if kind == "rect":
        left, top, width, height = numbers
        return Shape((left, top, left + width, top + height))
    angle = region.shape.get("theta", 0)
    turn = as_float(angle) if is_number(angle) and are_coordinates([as_float(angle)]) else 0.0
    return make_ellipse((numbers[0], numbers[1]), (numbers[2], numbers[-1]), turn)


def _require_coordinates(node: JsonNode, numbers: Sequence[float]) -> None:
    if not are_coordinates(numbers):
        raise JsonValueError(node.path, _("a coordinate is not a number"), "number")
