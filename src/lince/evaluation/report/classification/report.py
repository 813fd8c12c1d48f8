"""The report of a classification run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.diagnosis.classification.diagnosis import diagnose_classification
from lince.evaluation.diagnosis.classification.diagnosis_input import ClassificationDiagnosisInput
from lince.evaluation.report.classification import html, markdown
from lince.evaluation.report.classification.head_charts import HeadCurves
from lince.evaluation.report.facts import MatrixCell
from lince.evaluation.report.report import Report
from lince.findings import Finding


@dataclass(frozen=True)
class ClassificationReportImage:
    """An image of the report (JPEG or PNG) with its true and predicted class names and the probability in 0..1.

    ``overlay`` is the same image with its Grad-CAM map, ``truth_probability`` that of the true class.
    """

    image: bytes
    caption: str
    truth: str
    predicted: str
    probability: float
    overlay: bytes | None = None
    truth_probability: float | None = None


@dataclass(frozen=True)
class ClassificationReportImages:
    """The image groups of a report; an empty group is not shown.

    ``augmentation`` is a sheet of originals beside augmented copies, ``augmentation_policy`` its description in words;
    ``cells`` are the test images behind the cells of the confusion matrix.
    """

    worst: tuple[ClassificationReportImage, ...] = ()
    uncertain: tuple[ClassificationReportImage, ...] = ()
    correct: tuple[ClassificationReportImage, ...] = ()
    saliency: tuple[ClassificationReportImage, ...] = ()
    augmentation: bytes | None = None
    augmentation_policy: str = ""
    cells: tuple[MatrixCell, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassificationReport(Report):
    """The report of a classification run.

    A record of ``history`` has ``epoch`` (from 1), ``train_loss``, ``train_accuracy``, ``val_loss``, ``val_accuracy``,
    ``rate`` and ``seconds``; what was not measured is absent or ``None``. ``head`` is how a head on frozen features was
    fitted, ``None`` for networks that are trained in epochs.
    """

    html_template: ClassVar[str] = "classification.html.j2"

    metrics: ClassificationMetrics
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    images: ClassificationReportImages = field(default_factory=ClassificationReportImages)
    head: HeadCurves | None = None

    @property
    def val_primary_metric(self) -> float | None:
        """The accuracy on the validation images."""
        return self.val_accuracy

    @property
    def primary_metric(self) -> ConfidenceInterval:
        """The accuracy on the test images."""
        return self.metrics.accuracy

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The diagnosis in sentences, the most severe finding first."""
        return diagnose_classification(
            ClassificationDiagnosisInput(
                metrics=self.metrics,
                train_counts=self.data.counts.get("train", {}),
                train_accuracy=self.train_accuracy,
                val_accuracy=self.val_accuracy,
                val_size=self.data.splits.get("val", 0),
                history=self.history,
                recipe=self.recipe,
                head=str(self.config.get("head", "")),
                leak=self.leak,
            )
        )

    def summarise_train_val(self) -> dict[str, Any]:
        """Return the accuracies on training and validation images, and the curves of a head."""
        head = {} if self.head is None else {"head": self.head.to_dict()}
        return {"train": {"accuracy": self.train_accuracy}, "val": {"accuracy": self.val_accuracy}, **head}

    def build_html_context(self) -> dict[str, Any]:
        """Return the variables of the HTML template."""
        return html.build_context(self)

    def list_markdown_sections(self) -> list[str]:
        """Return the sections of ``report.md``."""
        return markdown.list_sections(self)
