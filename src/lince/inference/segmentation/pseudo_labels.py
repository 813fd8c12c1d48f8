"""Class maps as a labelled dataset, in any format with masks or outlines: labels that a person can correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lince.annotations import ObjectTable, StringColumn
from lince.datasets import Dataset
from lince.datasets.conversion import ConvertResult
from lince.errors import UsageError
from lince.formats.format import Capability
from lince.formats.registry import FORMATS
from lince.i18n import _
from lince.inference.predicted_images import build_object_dataset, write_predicted_dataset
from lince.inference.segmentation.result import SegmentationResult
from lince.progress import SILENT, Progress


def list_label_formats() -> list[str]:
    """Return the names of the formats that can be written and hold masks or outlines."""
    shapes = Capability.MASKS | Capability.OUTLINES
    return [name for name in FORMATS.list_writable() if FORMATS[name].capabilities & shapes]


def require_label_format(name: str) -> str:
    """Return ``name`` when the format of that name holds masks or outlines; raise ``UsageError`` otherwise."""
    names = list_label_formats()
    if name not in names:
        raise UsageError(
            _("The format '{name}' does not hold masks or outlines.").format(name=name),
            _("Expected one of: {names}.").format(names=", ".join(names)),
        )
    return name


def build_dataset(results: Sequence[SegmentationResult]) -> Dataset:
    """Return the dataset of the images of ``results``, with one object for each class in each of them.

    The results are of one model, at least one, and each image is in a file.
    """
    objects = [
        (region.class_id, region.box, mask)
        for result in results
        for region, mask in zip(result.list_regions(), result.encode_masks(), strict=True)
    ]
    starts = np.cumsum([0, *(len(result.list_regions()) for result in results)]).astype(np.int64)
    class_ids = np.array([class_id for class_id, _box, _mask in objects], np.int32)
    boxes = np.array([box for _class_id, box, _mask in objects], np.float64).reshape(-1, 4)
    masks = StringColumn.from_strings([mask for _class_id, _box, mask in objects])
    table = replace(ObjectTable.from_boxes(starts, class_ids, boxes), masks=masks)
    void_masks = StringColumn.from_strings([""] * len(results))
    sizes = [result.size for result in results]
    return build_object_dataset(results, sizes, results[0].classes, table, void_masks)


def write_dataset(
    results: Sequence[SegmentationResult], folder: Path, to: str, progress: Progress = SILENT
) -> ConvertResult:
    """Write copies of the images to the new ``folder``, with their class maps as labels in the format ``to``.

    What the format cannot hold is left out and listed in the result. Raises ``UsageError`` when nothing would be left.
    """
    return write_predicted_dataset(build_dataset(results), folder, to, progress)
