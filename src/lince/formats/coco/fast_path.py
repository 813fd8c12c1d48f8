"""Parses COCO annotations by the thousand, as long as nothing is unusual about them.

Values are checked as whole columns with numpy, not one annotation after the other. Where anything is unusual, the
caller parses the batch again with ``lince.formats.coco.annotation``, which names the faulty place.
"""

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
# Raised by an annotation that is not as expected; the batch is parsed one by one then.
_FALLBACK_ERRORS = (KeyError, TypeError, ValueError, AttributeError, OverflowError, DataError)


@dataclass
class _BatchColumns:
    """Columns of a ``RawObjectBatch`` that grow by one annotation at a time.

    ``boxes`` (left, top, width, height) and ``coordinates`` (x, y) are flat lists of numbers; ``ring_lengths`` counts
    numbers, two for each point.
    """

    rows: list[int] = field(default_factory=list)
    class_ids: list[int] = field(default_factory=list)
    boxes: list[float] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    ring_counts: list[int] = field(default_factory=list)
    ring_lengths: list[int] = field(default_factory=list)
    coordinates: list[float] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)

    def add_annotation(self, item: Any, image: CocoImage, class_id: int) -> None:
        """Add the annotation ``item`` on ``image``; its values are checked later, for all annotations together.

        Raise one of ``_FALLBACK_ERRORS`` where it lacks a key or has another type.
        """
        left, top, width, height = item["bbox"]
        segmentation = item.get("segmentation")
        rings, mask = segmentation or (), ""
        if isinstance(segmentation, dict) and segmentation:
            rings, mask = (), parse_mask(JsonNode(segmentation, ""), image.size)[0]
        self.rows.append(image.row)
        self.class_ids.append(class_id)
        self.boxes += (left, top, width, height)
        self.flags.append(CROWD if is_crowd(item) else 0)
        self.ring_counts.append(len(rings))
        self.ring_lengths += map(len, rings)
        self.coordinates += chain.from_iterable(rings)
        self.masks.append(mask)

    def to_batch(self) -> RawObjectBatch:
        """Return the columns as a batch, boxes as (left, top, right, bottom).

        Raise ``ValueError`` when a coordinate is not a finite number, or a ring is not three points or more.
        """
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
    items: Sequence[Any], images: Mapping[CocoId, CocoImage | None], class_ids: Mapping[CocoId, int]
) -> RawObjectBatch | None:
    """Return the annotations ``items`` on images in use as a batch; ``None`` when one is not as COCO defines it.

    ``images`` and ``class_ids`` are by COCO id; annotations on images that are ``None`` (rejected) are left out.
    """
    columns = _BatchColumns()
    try:
        for item in items:
            image = images[item["image_id"]]
            if image is not None:
                columns.add_annotation(item, image, class_ids[item["category_id"]])
        return columns.to_batch()
    except _FALLBACK_ERRORS:
        return None


def _to_float_array(values: list[float]) -> NDArray[np.float64]:
    """Return ``values`` as float64; raise ``ValueError`` unless all are of the types of JSON numbers."""
    if not set(map(type, values)) <= _NUMBER_TYPES:
        raise ValueError("something that is no number")
    return np.array(values, np.float64)
