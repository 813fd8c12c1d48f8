"""The outputs of a segmentation model on images, to compare two models: mean IoU, probabilities, classes of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.class_maps import draw_class_map
from lince.datasets.class_mapping import map_classes
from lince.evaluation.segmentation.metrics import compute_mean_iou
from lince.evaluation.segmentation.pixel_counts import PixelCounts, count_pixels
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.export.agreement import OutputAgreement, OutputTolerance
from lince.export.model_outputs import EvaluationImages, predict_images
from lince.inference.segmentation.predictor import SegmentationPredictor
from lince.postprocess.class_map import compute_class_map
from lince.postprocess.class_runs import ClassRuns
from lince.progress import SILENT, Progress
from lince.tasks import get_task

_LEVELS = 2**16 - 1  # of a probability that is kept


@dataclass(frozen=True, eq=False)
class ImageOutput:
    """The output for one image: its probabilities on the network's map, uint16 (C + 1, h, w), and its class map."""

    planes: NDArray[np.uint16]
    runs: ClassRuns


class _OutputPredictor(SegmentationPredictor):
    """A segmentation model whose results keep the probabilities as precisely as a comparison needs them."""

    def make_result(  # type: ignore[override]
        self, name: str, probabilities: NDArray[np.float32], size: tuple[int, int]
    ) -> ImageOutput:
        """Return the output for an image of ``size`` (height, width) with ``probabilities`` (C + 1, h, w)."""
        del name
        class_map = compute_class_map(probabilities, size, self.card.preprocess)
        return ImageOutput(np.rint(probabilities * _LEVELS).astype(np.uint16), ClassRuns.from_map(class_map))


@dataclass(frozen=True, eq=False)
class SegmentationOutputs:
    """The outputs of a segmentation model for N images.

    ``counts`` are the pixels of each labelled image by true and predicted class; ``None`` for the others.
    """

    classes: Classes
    outputs: tuple[ImageOutput, ...]
    counts: tuple[PixelCounts | None, ...]
    metric_name: ClassVar[str] = "miou"

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the mean IoU on the labelled images; ``None`` where none shows a class."""
        del images
        counts = [item for item in self.counts if item is not None]
        if not any((item.cells[:, 0] > 0).any() for item in counts):
            return None
        return compute_mean_iou(counts, len(self.classes))

    def compare_with(self, reference: SegmentationOutputs, tolerance: OutputTolerance) -> OutputAgreement:
        """Return how far the outputs are from those of ``reference``.

        The agreement is the fraction of pixels with the same class. What counts as beyond the tolerance are the places
        of the network's map.
        """
        largest, beyond, places, equal, pixels = 0.0, 0, 0, 0, 0
        for ours, theirs in zip(self.outputs, reference.outputs, strict=True):
            if ours.planes.shape != theirs.planes.shape:
                return OutputAgreement({"probability": np.inf}, 0.0, 1.0)
            differences = np.abs(ours.planes.astype(np.int32) - theirs.planes).max(axis=0) / _LEVELS
            largest = max(largest, float(differences.max(initial=0.0)))
            beyond += int((differences > tolerance.probability).sum())
            places += differences.size
            equal += int((ours.runs.to_map() == theirs.runs.to_map()).sum())
            pixels += ours.runs.size[0] * ours.runs.size[1]
        return OutputAgreement({"probability": largest}, equal / pixels if pixels else 1.0, beyond / max(places, 1))

    def compare_with_recorded(
        self,
        rows: Sequence[int],
        recorded: SegmentationPredictions,
        recorded_rows: Sequence[int],
        tolerance: OutputTolerance,
    ) -> OutputAgreement | None:
        """Return how far the classes of the pixels at ``rows`` are from those recorded; ``None`` for other classes.

        What is recorded are numbers of pixels by true and predicted class, so this is the fraction that is certainly
        predicted otherwise. Images whose labels are others than then are left out.
        """
        del tolerance
        if recorded.classes != self.classes:
            return None
        differing = total = 0
        for row, recorded_row in zip(rows, recorded_rows, strict=True):
            ours, theirs = self.counts[row], recorded.counts[recorded_row]
            if ours is None or not _has_same_truth(ours, theirs):
                continue
            tables = [_make_table(item, len(self.classes)) for item in (ours, theirs)]
            differing += int(np.abs(tables[0] - tables[1]).sum()) // 2
            total += ours.counted
        share = differing / total if total else 0.0
        return OutputAgreement({}, 1.0 - share, share)


def collect_outputs(
    model: SegmentationPredictor, images: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> SegmentationOutputs:
    """Return the outputs for ``images``, computed as for prediction, and then for strips of some of them.

    Raises ``DataError`` when the data has a class that the model does not know.
    """
    recorder = _OutputPredictor(model.card, model.backend, model.allow_urls)
    _prepared, outputs = predict_images(recorder, images, with_strips, progress)
    return SegmentationOutputs(model.classes, tuple(outputs), _count_labelled(outputs, images, model.classes))


def _count_labelled(
    outputs: Sequence[ImageOutput], images: EvaluationImages, classes: Classes
) -> tuple[PixelCounts | None, ...]:
    """Return the pixels of each image by true and predicted class; ``None`` for those that are not labelled."""
    task = get_task(SegmentationPredictor.task)
    if not task.fits(images.dataset):
        return (None,) * len(images)
    dataset = task.keep_own_labels(images.dataset)
    objects = dataset.objects
    if objects is not None:
        objects = replace(objects, class_ids=map_classes(dataset, classes)[objects.class_ids])
    counts: list[PixelCounts | None] = []
    for row, is_usable in enumerate(task.usable_rows(dataset).tolist()):
        if not is_usable:
            counts.append(None)
            continue
        runs = outputs[row].runs
        void = dataset.void_masks[row] if dataset.void_masks is not None else ""
        counts.append(count_pixels(draw_class_map(objects, row, runs.size, void), runs.to_map(), len(classes)))
    return tuple(counts)


def _has_same_truth(ours: PixelCounts, theirs: PixelCounts) -> bool:
    """Return whether two images have the same size and as many pixels of each true class."""
    truths = [np.bincount(item.cells[:, 0], item.cells[:, 2], 256) for item in (ours, theirs)]
    return (ours.height, ours.width) == (theirs.height, theirs.width) and bool((truths[0] == truths[1]).all())


def _make_table(counts: PixelCounts, class_count: int) -> NDArray[np.int64]:
    """Return the pixels by true and predicted class, int64 (C + 1, C + 1)."""
    table = np.zeros((class_count + 1, class_count + 1), np.int64)
    table[counts.cells[:, 0], counts.cells[:, 1]] = counts.cells[:, 2]
    return table
