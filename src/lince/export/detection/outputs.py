"""The outputs of a detector on images, to compare two models: mAP50, boxes and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from lince.annotations import Classes, Detections
from lince.datasets.class_mapping import map_classes
from lince.evaluation.detection.metrics import compute_mean_ap
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.export.agreement import ImageScale, OutputAgreement, OutputTolerance, compare_detections
from lince.export.model_outputs import EvaluationImages, predict_images
from lince.inference.detection.predictor import DetectionPredictor
from lince.postprocess import make_evaluation_filter
from lince.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class DetectionOutputs:
    """The detections of a detector on N images, from a low score on, and the scale of each image."""

    classes: Classes
    detections: tuple[Detections, ...]
    image_scales: tuple[ImageScale, ...]
    metric_name: ClassVar[str] = "map50"

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the mAP50 on the images; ``None`` where they have no objects.

        Raises ``DataError`` when the data has a class that the model does not know.
        """
        objects = images.dataset.objects
        if objects is None or not len(objects):
            return None
        truth = replace(objects, class_ids=map_classes(images.dataset, self.classes)[objects.class_ids])
        return compute_mean_ap(truth, list(self.detections[: len(images)]), self.classes)[0]

    def compare_with(self, reference: DetectionOutputs, tolerance: OutputTolerance) -> OutputAgreement:
        """Return how far the detections are from those of ``reference``."""
        return compare_detections(self.detections, reference.detections, self.image_scales, self.classes, tolerance)

    def compare_with_recorded(
        self,
        rows: Sequence[int],
        recorded: DetectionPredictions,
        recorded_rows: Sequence[int],
        tolerance: OutputTolerance,
    ) -> OutputAgreement | None:
        """Return how far the detections at ``rows`` are from those recorded; ``None`` for other classes."""
        if recorded.classes != self.classes:
            return None
        scales = tuple(self.image_scales[row] for row in rows)
        ours = replace(self, detections=tuple(self.detections[row] for row in rows), image_scales=scales)
        theirs = replace(self, image_scales=scales, detections=tuple(recorded.detections[row] for row in recorded_rows))
        return ours.compare_with(theirs, tolerance)


def collect_outputs(
    model: DetectionPredictor, images: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> DetectionOutputs:
    """Return all detections on ``images``, computed as for prediction, and then on strips of some of them.

    The filter is that of evaluation, with a low score threshold, instead of that of the model card.
    """
    return DetectionOutputs(model.classes, *collect_detections(model, images, with_strips, progress))


def collect_detections(
    model: DetectionPredictor, images: EvaluationImages, with_strips: bool, progress: Progress
) -> tuple[tuple[Detections, ...], tuple[ImageScale, ...]]:
    """Return the detections of ``collect_outputs``, and the scale of each image."""
    card = replace(model.card, detection_filter=make_evaluation_filter(model.card.decoder))
    prepared, results = predict_images(type(model)(card, model.backend), images, with_strips, progress)
    scales = tuple(ImageScale(image.size, model.card.preprocess) for image in prepared)
    return tuple(result.detections for result in results), scales
