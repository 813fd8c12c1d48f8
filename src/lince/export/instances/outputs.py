"""The outputs of a model with masks on images, to compare two models: mask mAP50, boxes, scores and masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lince.datasets.class_mapping import map_classes
from lince.datasets.shape_conversion import polygons_to_masks
from lince.evaluation.detection.metrics import compute_mean_ap
from lince.evaluation.instances.metrics import ignore_boxes_without_mask
from lince.export.detection.outputs import DetectionOutputs, collect_detections
from lince.export.model_outputs import EvaluationImages
from lince.inference.detection.predictor import DetectionPredictor
from lince.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class InstanceOutputs(DetectionOutputs):
    """The detections of a model with masks on N images, from a low score on, and the scale of each image."""

    metric_name: ClassVar[str] = "segm_map50"

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the mask mAP50 on the images; ``None`` where they have no outlined objects.

        Raises ``DataError`` when the data has a class that the model does not know.
        """
        objects = images.dataset.objects
        if objects is None or not (objects.has_mask | objects.has_polygons).any():
            return None
        truth = replace(objects, class_ids=map_classes(images.dataset, self.classes)[objects.class_ids])
        sizes = np.array([scale.image_size for scale in self.image_scales[: len(images)]], np.int64)
        outlined = ignore_boxes_without_mask(polygons_to_masks(truth, sizes.astype(np.int32)), sizes)
        return compute_mean_ap(outlined, list(self.detections[: len(images)]), self.classes, by_mask=True)[0]


def collect_outputs(
    model: DetectionPredictor, images: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> InstanceOutputs:
    """Return all detections on ``images``, computed as for prediction, and then on strips of some of them."""
    return InstanceOutputs(model.classes, *collect_detections(model, images, with_strips, progress))
