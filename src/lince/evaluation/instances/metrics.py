"""Metrics of a model that gives each object a mask: those of a detector by the overlap of masks, and of its boxes.

Letters in shapes: N images, M labelled objects.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince import mask_operations, rle
from lince.annotations import CROWD, ObjectTable, StringColumn
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.i18n import _


@dataclass(frozen=True, eq=False)
class InstanceMetrics(DetectionMetrics):
    """The metrics of ``DetectionMetrics`` where an object is found if masks overlap, and ``boxes``, where boxes do.

    ``box_only`` is the number of labelled objects without an outline: they count for ``boxes`` alone, and a mask on
    them is neither right nor wrong.
    """

    boxes: DetectionMetrics
    box_only: int
    prefix: ClassVar[str] = "segm_"

    def name_map(self, levels: str) -> str:
        """Return the name of the mean average precision at the IoU ``levels``, such as "50-95"."""
        return _("mask mAP{levels}").format(levels=levels)

    def list_means(self) -> dict[str, ConfidenceInterval]:
        """Return the means over the classes by their keys in the report: of masks, then of boxes."""
        return {**super().list_means(), **self.boxes.list_means()}

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON: those by masks, with ``segm_`` before the means, and the means of the boxes."""
        record = super().to_dict()
        box_classes = self.boxes.to_dict()["classes"]
        means = {key: interval.to_dict() for key, interval in self.list_means().items()}
        return {
            "count": record.pop("count"),
            "box_only": self.box_only,
            **record,
            **means,
            "boxes": {"classes": [{key: item[key] for key in ("name", "ap50", "ap50_95")} for item in box_classes]},
        }


def join_metrics(by_mask: DetectionMetrics, boxes: DetectionMetrics, box_only: int) -> InstanceMetrics:
    """Return the metrics ``by_mask`` with those of ``boxes`` beside them."""
    own = {item.name: getattr(by_mask, item.name) for item in fields(by_mask)}
    return InstanceMetrics(**own, boxes=boxes, box_only=box_only)


def ignore_boxes_without_mask(truth: ObjectTable, sizes: NDArray[np.int64]) -> ObjectTable:
    """Return ``truth`` with the area of its box as the mask of each object without one, marked as a crowd.

    What a crowd covers counts neither as found nor as wrong. ``sizes`` int64 (N, 2) are those of the images.
    """
    texts, flags, image_ids = list(truth.masks), truth.flags.copy(), truth.image_ids
    for row in np.flatnonzero(~truth.has_mask).tolist():
        height, width = sizes[image_ids[row]].tolist()
        left, top, right, bottom = np.rint(np.clip(truth.boxes[row], 0, [width, height] * 2)).astype(int).tolist()
        crop = np.ones((bottom - top, right - left), np.bool_)
        texts[row] = rle.counts_to_string(mask_operations.encode_crop(crop, left, top, (height, width)))
        flags[row] |= CROWD
    return replace(truth, masks=StringColumn.from_strings(texts), flags=flags)
