"""The report of a run of a multilabel model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.diagnosis.multilabel.diagnosis import diagnose_multilabel
from lince.evaluation.diagnosis.multilabel.diagnosis_input import MultilabelDiagnosisInput
from lince.evaluation.multilabel.metrics import MultilabelMetrics
from lince.evaluation.report.classification.head_charts import HeadCurves
from lince.evaluation.report.multilabel import html, markdown
from lince.evaluation.report.report import Report
from lince.findings import Finding


@dataclass(frozen=True)
class MultilabelReportImage:
    """An image of the report (JPEG or PNG) with the names of the classes that were found, missed and wrongly said.

    ``overlay`` is the same image with its Grad-CAM map for the class ``focus``.
    """

    image: bytes
    caption: str
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    overlay: bytes | None = None
    focus: str = ""


@dataclass(frozen=True)
class MultilabelReportImages:
    """The image groups of a report; an empty group is not shown.

    ``augmentation`` is a sheet of originals beside augmented copies, ``augmentation_policy`` its description in words.
    """

    worst: tuple[MultilabelReportImage, ...] = ()
    correct: tuple[MultilabelReportImage, ...] = ()
    saliency: tuple[MultilabelReportImage, ...] = ()
    augmentation: bytes | None = None
    augmentation_policy: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class MultilabelReport(Report):
    """The report of a run of a multilabel model.

    A record of ``history`` has ``epoch`` (from 1), ``train_loss``, ``val_loss``, ``val_map``, ``rate`` and ``seconds``.
    ``head`` is how heads on frozen features were fitted, ``None`` for networks that are trained in epochs.
    """

    html_template: ClassVar[str] = "multilabel.html.j2"

    metrics: MultilabelMetrics
    train_map: float | None = None
    val_map: float | None = None
    images: MultilabelReportImages = field(default_factory=MultilabelReportImages)
    head: HeadCurves | None = None

    @property
    def val_primary_metric(self) -> float | None:
        """The mean average precision on the validation images."""
        return self.val_map

    @property
    def primary_metric(self) -> ConfidenceInterval:
        """The mean average precision on the test images."""
        return self.metrics.map

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The diagnosis in sentences, the most severe finding first."""
        return diagnose_multilabel(
            MultilabelDiagnosisInput(
                metrics=self.metrics,
                train_counts=self.data.counts.get("train", {}),
                train_map=self.train_map,
                val_map=self.val_map,
                val_size=self.data.splits.get("val", 0),
                history=self.history,
                recipe=self.recipe,
                leak=self.leak,
            )
        )

    def summarise_train_val(self) -> dict[str, Any]:
        """Return the mean average precision on training and validation images, and the curves of a head."""
        head = {} if self.head is None else {"head": self.head.to_dict()}
        return {"train": {"map": self.train_map}, "val": {"map": self.val_map}, **head}

    def build_html_context(self) -> dict[str, Any]:
        """Return the variables of the HTML template."""
        return html.build_context(self)

    def list_markdown_sections(self) -> list[str]:
        """Return the sections of ``report.md``."""
        return markdown.list_sections(self)
