"""What the rules know about a trained multilabel model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lince.evaluation.diagnosis.image_diagnosis_input import ImageDiagnosisInput
from lince.evaluation.multilabel.metrics import MultilabelMetrics


@dataclass(frozen=True, eq=False)
class MultilabelDiagnosisInput(ImageDiagnosisInput):
    """What the rules know about a trained multilabel model.

    ``train_map`` and ``val_map`` are mean average precisions, 0..1, ``None`` where they were not measured.
    """

    task: ClassVar[str] = "multilabel"

    metrics: MultilabelMetrics
    train_map: float | None = None
    val_map: float | None = None
