"""What the rules know about a trained model of semantic segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lince.evaluation.diagnosis.image_diagnosis_input import ImageDiagnosisInput
from lince.evaluation.segmentation.metrics import SegmentationMetrics


@dataclass(frozen=True, eq=False)
class SegmentationDiagnosisInput(ImageDiagnosisInput):
    """What the rules know about a trained model of semantic segmentation.

    ``train_counts`` are the numbers of training images that show each class; ``train_miou`` is the mean IoU on the
    training images, 0..1, ``None`` where it was not measured.
    """

    task: ClassVar[str] = "segment"

    metrics: SegmentationMetrics
    train_miou: float | None = None
