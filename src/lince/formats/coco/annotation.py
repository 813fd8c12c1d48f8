"""Parses one annotation of COCO JSON: its box, and its outline or mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.annotations import CROWD
from lince.errors import DataError
from lince.formats.builders.object_table import Box, RawObject, compute_bounding_box
from lince.i18n import _
from lince.parsing.json_reader import JsonNode, JsonValueError, is_number

_NUMBER_TYPES = {int, float}


def parse_annotation(node: JsonNode, class_id: int, size: tuple[int, int]) -> RawObject:
    """Return the annotation at ``node``, a record, as an object of the class ``class_id``.

    ``size`` is (height, width) of its image, zeros when unknown; a mask of another size is an error. COCO's ``bbox`` is
    left, top, width, height in pixels; without it the box is that of the outline or mask. An outline may be one list of
    numbers, as VIA writes it. ``iscrowd`` becomes the flag ``CROWD``. Raise ``JsonValueError`` where the annotation is
    not as COCO defines it.
    """
    segmentation = node.value.get("segmentation")
    rings: list[NDArray[np.float64]] = []
    mask, box = "", None
    if isinstance(segmentation, dict) and segmentation:
        mask, box = parse_mask(node.get_child("segmentation"), size)
    elif segmentation:
        outline = node.get_child("segmentation")
        is_flat = isinstance(segmentation, list) and set(map(type, segmentation)) <= _NUMBER_TYPES
        rings = [_parse_ring(ring) for ring in ([outline] if is_flat else outline.items())]
        box = compute_bounding_box(rings)
    if node.value.get("bbox") or box is None:
        left, top, width, height = node.get_numbers("bbox", 4)
        box = left, top, left + width, top + height
    return RawObject(class_id, box, node.path, None, CROWD if is_crowd(node.value) else 0, rings, mask)


def is_crowd(annotation: dict[str, Any]) -> bool:
    """Whether ``annotation`` marks a group of objects as one (``iscrowd``)."""
    return annotation.get("iscrowd") in (1, "1")


def _parse_ring(node: JsonNode) -> NDArray[np.float64]:
    """Return the points float64 (K, 2) of a list x, y, x, y, ... at ``node``.

    Raise ``JsonValueError`` for fewer than three points and anything but finite numbers.
    """
    value = node.value
    if not isinstance(value, list) or not set(map(type, value)) <= _NUMBER_TYPES or len(value) % 2:
        raise node.make_error(_("pairs of numbers"))
    if len(value) < 6:
        raise JsonValueError(node.path, _("a polygon of {count} points").format(count=len(value) // 2), "empty")
    try:
        ring = np.array(value, np.float64).reshape(-1, 2)
    except OverflowError:
        ring = np.full((3, 2), np.inf)
    if not np.isfinite(ring).all():
        raise JsonValueError(node.path, _("a coordinate is not a number"), "number")
    return ring


def parse_mask(node: JsonNode, size: tuple[int, int]) -> tuple[str, Box]:
    """Return the COCO text of the run lengths at ``node``, compressed or not, and the box around the mask.

    ``size`` is (height, width) of the image, zeros when unknown. Raise ``JsonValueError`` when the run lengths do not
    fill the mask, the mask is of another size than the image, or it is empty.
    """
    height, width = map(int, _require_valid_lengths(node, node.get_numbers("size", 2)))
    if any(size) and (height, width) != size:
        problem = _("a mask of {width} x {height} on an image of {image_width} x {image_height}")
        raise JsonValueError(
            node.path, problem.format(width=width, height=height, image_width=size[1], image_height=size[0])
        )
    encoded = _parse_counts(node)
    try:
        counts = encoded if isinstance(encoded, np.ndarray) else rle.string_to_counts(encoded)
        counts = rle.require_valid_counts(counts, height, width)
    except DataError as error:
        raise JsonValueError(node.path, error.problem.rstrip(".")) from error
    if not rle.compute_area(counts):
        raise JsonValueError(node.path, _("a mask without area"), "empty")
    return rle.counts_to_string(counts), rle.compute_bounding_box(counts, height)


def _parse_counts(node: JsonNode) -> rle.Counts | str:
    """Return the run lengths at ``node``: an array when they are a list, their text when they are compressed."""
    value = node.value.get("counts")
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(map(is_number, value)):
        raise node.get_child("counts").make_error(_("run lengths"))
    return np.array(_require_valid_lengths(node, node.get_numbers("counts")), np.float64).astype(np.int64)


def _require_valid_lengths(node: JsonNode, numbers: list[float]) -> list[float]:
    """Return ``numbers`` unless one is negative, not finite, or beyond 31 bits."""
    if not all(0 <= number < 2**31 for number in numbers):
        raise JsonValueError(node.path, _("a length that no image has"), "number")
    return numbers
