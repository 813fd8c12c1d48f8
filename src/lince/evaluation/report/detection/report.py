"""Everything that the report of a detector tells, gathered by the trainer and shown by the writers of this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.diagnosis.detection_rules import DetectionDiagnosisInput, diagnose_detection
from lince.evaluation.diagnosis.finding import Finding
from lince.evaluation.report.classification.report import DataSummary, HistoryRow, ModelSummary, RecipeResult


@dataclass(frozen=True)
class DetectionReportImage:
    """One photo (JPEG or PNG bytes) with what was found drawn on it, and the same with what is marked (``truth``)."""

    image: bytes
    truth: bytes
    caption: str
    detail: str = ""


@dataclass(frozen=True)
class DetectionReportImages:
    """The groups of photos that a report shows; an empty group is left out.

    ``augmentation`` is one picture of training images as the network got them, ``augmentation_policy`` its plain words.
    """

    worst: tuple[DetectionReportImage, ...] = ()
    correct: tuple[DetectionReportImage, ...] = ()
    augmentation: bytes | None = None
    augmentation_policy: str = ""


@dataclass(frozen=True, eq=False)
class DetectionReport:
    """One run of a detector, told whole. ``metrics`` are those of the test set, ``timings`` seconds by stage.

    ``train_boxes`` counts the training boxes of each class. An epoch of ``history`` holds ``epoch`` (from 1),
    ``train_loss`` and its parts, ``val_map50``, ``val_map50_95``, ``rate``, ``seconds``; what was not measured is
    absent, ``None`` or NaN. ``run`` is the folder of the run as a person types it; empty where it is not known.
    """

    title: str
    task: str
    recipe: str
    metrics: DetectionMetrics
    data: DataSummary
    model: ModelSummary
    train_boxes: Mapping[str, int]
    history: tuple[HistoryRow, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    recipes: tuple[RecipeResult, ...] = ()
    images: DetectionReportImages = field(default_factory=DetectionReportImages)
    notes: tuple[str, ...] = ()
    run: str = ""
    created_at: datetime = field(default_factory=datetime.now)

    @property
    def val_primary_metric(self) -> float | None:
        """The best mean average precision on the validation images; ``None`` where it was never measured."""
        values = [float(value) for epoch in self.history if (value := epoch.get("val_map50_95")) is not None]
        known = [value for value in values if value == value]  # noqa: PLR0124
        return max(known, default=None)

    @property
    def primary_metric(self) -> ConfidenceInterval:
        """The mean average precision on the test images."""
        return self.metrics.map50_95

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the figures say in plain words, the gravest first."""
        return diagnose_detection(DetectionDiagnosisInput(self.metrics, self.train_boxes, self.history))
