"""The report of a run of a model of semantic segmentation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.diagnosis.segmentation.diagnosis import diagnose_segmentation
from lince.evaluation.diagnosis.segmentation.diagnosis_input import SegmentationDiagnosisInput
from lince.evaluation.report.classification.head_charts import HeadCurves
from lince.evaluation.report.report import Report
from lince.evaluation.report.segmentation import html, markdown
from lince.evaluation.segmentation.metrics import SegmentationMetrics
from lince.findings import Finding


@dataclass(frozen=True)
class SegmentationReportImage:
    """A photo of the report, as JPEG or PNG files of one size, with its mean IoU.

    ``truth`` and ``predicted`` have the classes drawn on the photo, ``wrong`` the wrong pixels in one colour.
    ``wrong_share`` is the fraction of its pixels that are wrong, void ones left out.
    """

    truth: bytes
    predicted: bytes
    wrong: bytes
    caption: str
    miou: float
    wrong_share: float


@dataclass(frozen=True)
class SegmentationReportImages:
    """The image groups of a report; an empty group is not shown.

    ``legend`` are the names of the classes with their colours, as ``#rrggbb``, of the pictures. ``augmentation`` is a
    sheet of training images as the network gets them, ``augmentation_policy`` its description in words.
    """

    worst: tuple[SegmentationReportImage, ...] = ()
    best: tuple[SegmentationReportImage, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    augmentation: bytes | None = None
    augmentation_policy: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class SegmentationReport(Report):
    """The report of a run of a model of semantic segmentation.

    A record of ``history`` has ``epoch`` (from 1), ``train_loss``, ``val_loss``, ``val_miou``, ``rate`` and
    ``seconds``. ``head`` is how a head on frozen features was fitted, ``None`` for one that was trained in epochs.
    """

    html_template: ClassVar[str] = "segmentation.html.j2"

    metrics: SegmentationMetrics
    train_miou: float | None = None
    val_miou: float | None = None
    images: SegmentationReportImages = field(default_factory=SegmentationReportImages)
    head: HeadCurves | None = None

    @property
    def val_primary_metric(self) -> float | None:
        """The mean IoU on the validation images."""
        return self.val_miou

    @property
    def primary_metric(self) -> ConfidenceInterval:
        """The mean IoU on the test images."""
        return self.metrics.miou

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The diagnosis in sentences, the most severe finding first."""
        return diagnose_segmentation(
            SegmentationDiagnosisInput(
                metrics=self.metrics,
                train_counts=self.data.counts.get("train", {}),
                train_miou=self.train_miou,
                val_size=self.data.splits.get("val", 0),
                history=self.history,
                recipe=self.recipe,
                leak=self.leak,
            )
        )

    def summarise_train_val(self) -> dict[str, Any]:
        """Return the mean IoU on training and validation images, and the curves of a head."""
        head = {} if self.head is None else {"head": self.head.to_dict()}
        return {"train": {"miou": self.train_miou}, "val": {"miou": self.val_miou}, **head}

    def build_html_context(self) -> dict[str, Any]:
        """Return the variables of the HTML template."""
        return html.build_context(self)

    def list_markdown_sections(self) -> list[str]:
        """Return the sections of ``report.md``."""
        return markdown.list_sections(self)
