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
from lince.formats.builders.object_table import RawObjectBatch
from lince.formats.coco.annotation import is_crowd, parse_mask
from lince.formats.coco.image_index import CocoId, CocoImage
from lince.parsing.json_reader import JsonNode

_NUMBER_TYPES = {int, float}
# What an annotation does that is not as expected: it is read one by one then, and the place is found.
_FALLBACK_ERRORS = (KeyError, TypeError, ValueError, AttributeError, OverflowError, DataError)


@dataclass
class _BatchColumns:
    """The columns of a block under way."""

    rows: list[int] = field(default_factory=list)
    class_ids: list[int] = field(default_factory=list)
    boxes: list[float] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    ring_counts: list[int] = field(default_factory=list)
    ring_lengths: list[int] = field(default_factory=list)
    coordinates: list[float] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)

    def add_annotation(self, item: Any, known: CocoImage, class_id: int) -> None:
        """Add the annotation ``item``; what it looks like is checked later, for all at once."""
        left, top, width, height = item["bbox"]
        shape = item.get("segmentation")
        rings, text = shape or (), ""
        if isinstance(shape, dict) and shape:
            rings, text = (), parse_mask(JsonNode(shape, ""), known.size)[0]
        self.rows.append(known.row)
        self.class_ids.append(class_id)
        self.boxes += (left, top, width, height)
        self.flags.append(CROWD if is_crowd(item) else 0)
        self.ring_counts.append(len(rings))
        self.ring_lengths += map(len, rings)
        self.coordinates += chain.from_iterable(rings)
        self.masks.append(text)

    def to_batch(self) -> RawObjectBatch:
        """Return the columns; raise ``ValueError`` when a coordinate or a ring is not as it should be."""
        boxes = _to_float_array(self.boxes).reshape(-1, 4)
        points = _to_float_array(self.coordinates)
        lengths = np.array(self.ring_lengths, np.int64)
        if (lengths < 6).any() or (lengths % 2).any() or not np.isfinite(points).all():
            raise ValueError("a ring that is none")
        boxes[:, 2:] += boxes[:, :2]
        return RawObjectBatch(
            np.array(self.rows, np.int64),
            np.array(self.class_ids, np.int32),
            boxes,
            np.array(self.flags, np.uint8),
            np.array(self.ring_counts, np.int64),
            lengths // 2,
            points.reshape(-1, 2),
            self.masks,
        )


def read_batch(
    items: Sequence[Any], images: Mapping[CocoId, CocoImage | None], kinds: Mapping[CocoId, int]
) -> RawObjectBatch | None:
    """Return the annotations ``items`` on images in use as columns; ``None`` when one is not as COCO has it."""
    lists = _BatchColumns()
    try:
        for item in items:
            known = images[item["image_id"]]
            if known is not None:
                lists.add_annotation(item, known, kinds[item["category_id"]])
        return lists.to_batch()
    except _FALLBACK_ERRORS:
        return None


def _to_float_array(values: list[float]) -> NDArray[np.float64]:
    if not set(map(type, values)) <= _NUMBER_TYPES:
        raise ValueError("something that is no number")
    return np.array(values, np.float64)
