"""What the rules know about a trained classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.diagnosis.image_diagnosis_input import ImageDiagnosisInput


@dataclass(frozen=True, eq=False)
class ClassificationDiagnosisInput(ImageDiagnosisInput):
    """What the rules know about a trained classifier.

    ``train_accuracy`` and ``val_accuracy`` are 0..1, ``None`` where they were not measured. ``head`` is the kind of its
    head, empty where unknown.
    """

    task: ClassVar[str] = "classify"

    metrics: ClassificationMetrics
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    head: str = ""
