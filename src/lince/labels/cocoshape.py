"""One annotation of COCO JSON as a mark: its box, and its outline or mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import masks
from lince.annotations import CROWD
from lince.errors import DataError
from lince.labels.jsonfile import Node, WrongValueError, is_number
from lince.labels.marks import Box, Mark, around
from lince.messages import _

_NUMBERS = {int, float}


def mark(node: Node, class_id: int, size: tuple[int, int]) -> Mark:
    """Return the annotation at ``node``, a record, on an image of ``size`` (height, width), zeros when unknown.

    Without ``bbox`` the box is that of the outline or mask. Raise ``WrongValueError`` where it is not as COCO has it.
    """
    shape = node.value.get("segmentation")
    rings: list[NDArray[np.float64]] = []
    text, box = "", None
    if isinstance(shape, dict) and shape:
        text, box = mask_of(node.at("segmentation"), size)
    elif shape:
        rings = [_ring(ring) for ring in node.at("segmentation").items()]
        box = around(rings)
    if node.value.get("bbox") or box is None:
        left, top, width, height = node.numbers("bbox", 4)
        box = left, top, left + width, top + height
    return Mark(class_id, box, node.path, None, CROWD if is_crowd(node.value) else 0, rings, text)


def is_crowd(annotation: dict[str, Any]) -> bool:
    """Whether ``annotation`` marks many objects as one."""
    return annotation.get("iscrowd") in (1, "1")


def _ring(node: Node) -> NDArray[np.float64]:
    """Return the points (K, 2) of a list x, y, x, y, ..."""
    value = node.value
    if not isinstance(value, list) or not set(map(type, value)) <= _NUMBERS or len(value) % 2:
        raise node.wrong(_("pairs of numbers"))
    if len(value) < 6:
        raise WrongValueError(node.path, _("an outline of {count} points").format(count=len(value) // 2), "empty")
    try:
        ring = np.array(value, np.float64).reshape(-1, 2)
    except OverflowError:
        ring = np.full((3, 2), np.inf)
    if not np.isfinite(ring).all():
        raise WrongValueError(node.path, _("a coordinate that is no number"), "number")
    return ring


def mask_of(node: Node, size: tuple[int, int]) -> tuple[str, Box]:
    """Return the text of the run lengths at ``node``, compressed or not, and the box around them."""
    height, width = map(int, _finite(node, node.numbers("size", 2)))
    if any(size) and (height, width) != size:
        found = _("a mask of {width} x {height} on an image of {image_width} x {image_height}")
        raise WrongValueError(
            node.path, found.format(width=width, height=height, image_width=size[1], image_height=size[0])
        )
    given = _counts(node)
    try:
        counts = masks.checked(given if isinstance(given, np.ndarray) else masks.read(given), height, width)
    except DataError as error:
        raise WrongValueError(node.path, error.found.rstrip(".")) from error
    if not masks.area(counts):
        raise WrongValueError(node.path, _("a mask without area"), "empty")
    return masks.write(counts), masks.around(counts, height)


def _counts(node: Node) -> masks.Counts | str:
    value = node.value.get("counts")
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(map(is_number, value)):
        raise node.at("counts").wrong(_("run lengths"))
    return np.array(_finite(node, node.numbers("counts")), np.float64).astype(np.int64)


def _finite(node: Node, numbers: list[float]) -> list[float]:
    if not all(0 <= number < 2**31 for number in numbers):
        raise WrongValueError(node.path, _("a length that no image has"), "number")
    return numbers
