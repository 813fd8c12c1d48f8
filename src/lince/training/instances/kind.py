"""The kind of a detector that learns masks beside the boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import ObjectTable
from lince.datasets import Dataset
from lince.evaluation.instances.predictions import InstancePredictions
from lince.evaluation.report.instances.report import InstancesReport
from lince.i18n import translate_plural
from lince.models.instances.registry import get_model_entry
from lince.training.detection.kind import DetectorKind
from lince.training.detection.samples import DetectionSamples


def select_outlined(objects: ObjectTable) -> ObjectTable:
    """Return the objects that have an outline or a mask."""
    return objects.filter(objects.has_mask | objects.has_polygons)


def describe_boxes_alone(dataset: Dataset) -> tuple[str, ...]:
    """Return the sentence on the objects of ``dataset`` that have no outline; nothing where all have one."""
    objects = dataset.objects
    count = 0 if objects is None else len(objects) - len(select_outlined(objects))
    if not count or objects is None:
        return ()
    text = translate_plural(
        "{count:,} of {total:,} objects has a box and no outline: it teaches the box alone, and measures no mask.",
        "{count:,} of {total:,} objects have a box and no outline: they teach the box alone, and measure no mask.",
        count,
    )
    return (text.format(count=count, total=len(objects)),)


def _collect_sizes(samples: DetectionSamples, rows: NDArray[np.int64]) -> dict[str, Any]:
    return {"sizes": samples.image_sizes[rows]}


MASKS = DetectorKind(
    task="instances",
    get_entry=get_model_entry,
    predictions=InstancePredictions,
    report=InstancesReport,
    with_masks=True,
    select_learnable=select_outlined,
    describe_data=describe_boxes_alone,
    collect_fields=_collect_sizes,
)
