"""The annotations of a COCO file taken by the thousand where nothing is unusual about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import CROWD
from lince.errors import DataError
from lince.labels.cocoimages import Id, Known
from lince.labels.cocoshape import is_crowd, mask_of
from lince.labels.jsonfile import Node
from lince.labels.marks import Block

_NUMBERS = {int, float}
# What an annotation does that is not as expected: it is read one by one then, and the place is found.
_UNUSUAL = (KeyError, TypeError, ValueError, AttributeError, OverflowError, DataError)


@dataclass
class _Lists:
    """The columns of a block under way."""

    rows: list[int] = field(default_factory=list)
    class_ids: list[int] = field(default_factory=list)
    boxes: list[float] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    rings: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)

    def add(self, item: Any, known: Known, class_id: int) -> None:
        """Add the annotation ``item``; what it looks like is checked later, for all at once."""
        left, top, width, height = item["bbox"]
        shape = item.get("segmentation")
        rings, text = shape or (), ""
        if isinstance(shape, dict) and shape:
            rings, text = (), mask_of(Node(shape, ""), known.size)[0]
        self.rows.append(known.row)
        self.class_ids.append(class_id)
        self.boxes += (left, top, width, height)
        self.flags.append(CROWD if is_crowd(item) else 0)
        self.rings.append(len(rings))
        self.lengths += map(len, rings)
        self.numbers += chain.from_iterable(rings)
        self.masks.append(text)

    def block(self) -> Block:
        """Return the columns; raise ``ValueError`` when a coordinate or a ring is not as it should be."""
        boxes = _numbers(self.boxes).reshape(-1, 4)
        points = _numbers(self.numbers)
        lengths = np.array(self.lengths, np.int64)
        if (lengths < 6).any() or (lengths % 2).any() or not np.isfinite(points).all():
            raise ValueError("a ring that is none")
        boxes[:, 2:] += boxes[:, :2]
        return Block(
            np.array(self.rows, np.int64),
            np.array(self.class_ids, np.int32),
            boxes,
            np.array(self.flags, np.uint8),
            np.array(self.rings, np.int64),
            lengths // 2,
            points.reshape(-1, 2),
            self.masks,
        )


def block(items: Sequence[Any], images: Mapping[Id, Known | None], kinds: Mapping[Id, int]) -> Block | None:
    """Return the annotations ``items`` on images in use as columns; ``None`` when one is not as COCO has it."""
    lists = _Lists()
    try:
        for item in items:
            known = images[item["image_id"]]
            if known is not None:
                lists.add(item, known, kinds[item["category_id"]])
        return lists.block()
    except _UNUSUAL:
        return None


def _numbers(values: list[float]) -> NDArray[np.float64]:
    if not set(map(type, values)) <= _NUMBERS:
        raise ValueError("something that is no number")
    return np.array(values, np.float64)
