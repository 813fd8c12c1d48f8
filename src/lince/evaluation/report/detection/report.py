"""The report of a detection run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from types import ModuleType
from typing import Any, ClassVar

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.diagnosis.detection.diagnosis import diagnose_detection
from lince.evaluation.diagnosis.detection.diagnosis_input import DetectionDiagnosisInput
from lince.evaluation.report.detection import html, markdown, texts
from lince.evaluation.report.facts import MatrixCell
from lince.evaluation.report.report import Report
from lince.findings import Finding


@dataclass(frozen=True)
class DetectionReportImage:
    """An image of the report (JPEG or PNG) with the detections drawn on it; ``truth`` has the true objects instead.

    ``detail`` describes its errors.
    """

    image: bytes
    truth: bytes
    caption: str
    detail: str = ""


@dataclass(frozen=True)
class DetectionReportImages:
    """The image groups of a report; an empty group is not shown.

    ``augmentation`` is a sheet of training images as the network gets them, ``augmentation_policy`` its description in
    words; ``cells`` are the objects and boxes behind the cells of the confusion matrix.
    """

    worst: tuple[DetectionReportImage, ...] = ()
    correct: tuple[DetectionReportImage, ...] = ()
    augmentation: bytes | None = None
    augmentation_policy: str = ""
    cells: tuple[MatrixCell, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectionReport(Report):
    """The report of a detection run. ``train_boxes`` counts the training boxes of each class.

    A record of ``history`` has ``epoch`` (from 1), ``train_loss`` and its parts, ``val_loss``, ``val_precision``,
    ``val_recall``, ``val_map50``, ``val_map50_95``, ``rate`` and ``seconds``; what was not measured is absent, ``None``
    or NaN.
    """

    html_template: ClassVar[str] = "detection.html.j2"
    monitor: ClassVar[str] = "val_map50_95"
    texts: ClassVar[ModuleType] = texts

    metrics: DetectionMetrics
    train_boxes: Mapping[str, int]
    images: DetectionReportImages = field(default_factory=DetectionReportImages)

    @property
    def val_primary_metric(self) -> float | None:
        """The best mAP50-95 on the validation images over all epochs; ``None`` where it was not measured."""
        values = [float(value) for epoch in self.history if (value := epoch.get(self.monitor)) is not None]
        return max((value for value in values if not isnan(value)), default=None)

    @property
    def primary_metric(self) -> ConfidenceInterval:
        """The mAP50-95 on the test images."""
        return self.metrics.map50_95

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The diagnosis in sentences, the most severe finding first."""
        return diagnose_detection(DetectionDiagnosisInput(self.metrics, self.train_boxes, self.history, self.leak))

    def summarise_train_val(self) -> dict[str, Any]:
        """Return the training boxes of each class, and the best mAP50-95 on the validation images."""
        return {"train": {"boxes": dict(self.train_boxes)}, "val": {"map50_95": self.val_primary_metric}}

    def build_html_context(self) -> dict[str, Any]:
        """Return the variables of the HTML template."""
        return html.build_context(self)

    def list_markdown_sections(self) -> list[str]:
        """Return the sections of ``report.md``."""
        return markdown.list_sections(self)
