"""Everything that a report tells, gathered by the trainer and shown by the writers of this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lince.annotations import RejectedItem
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.diagnosis import DiagnosisInput, Finding, diagnose_classification


@dataclass(frozen=True)
class ReportImage:
    """One photo (JPEG or PNG bytes) with what it is, what it was taken for and how surely (0 to 1).

    ``overlay`` is the same photo with its saliency drawn over it.
    """

    image: bytes
    caption: str
    truth: str
    predicted: str
    probability: float
    overlay: bytes | None = None


@dataclass(frozen=True)
class ReportImages:
    """The groups of photos that a report shows; an empty group is left out.

    ``augmentation`` is one picture of originals beside altered copies, ``augmentation_policy`` its plain words.
    """

    worst: tuple[ReportImage, ...] = ()
    uncertain: tuple[ReportImage, ...] = ()
    correct: tuple[ReportImage, ...] = ()
    saliency: tuple[ReportImage, ...] = ()
    augmentation: bytes | None = None
    augmentation_policy: str = ""


@dataclass(frozen=True)
class RecipeResult:
    """One line of the table that compares recipes, by the headline figure of the task.

    ``seconds`` is its whole time, ``chosen`` the one that is kept.
    """

    name: str
    val: float | None
    test: ConfidenceInterval | None
    seconds: float
    chosen: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the line as JSON."""
        test = None if self.test is None else self.test.to_dict()
        return {
            "name": self.name,
            "val": self.val,
            "test": test,
            "seconds": self.seconds,
            "chosen": self.chosen,
        }


@dataclass(frozen=True)
class DataSummary:
    """What the run learned from: images used and left out, the sizes of the splits, images per class and split.

    ``splits`` is ``{"train": 2934, "val": , "test": }``; ``counts`` is ``{"train": {"roses": 513, ...}, ...}``.
    """

    root: str
    format: str
    used_count: int
    total_count: int
    splits: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    fingerprint: str
    rejected: tuple[RejectedItem, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON, each image left out with its reason."""
        left_out = [
            {"path": item.path, "line": item.line, "reason": item.reason, "remedy": item.remedy}
            for item in self.rejected
        ]
        return {
            "root": self.root,
            "format": self.format,
            "used": self.used_count,
            "left_out": self.total_count - self.used_count,
            "total": self.total_count,
            "splits": dict(self.splits),
            "counts": {split: dict(counts) for split, counts in self.counts.items()},
            "fingerprint": self.fingerprint,
            "rejected": left_out,
        }


@dataclass(frozen=True)
class ModelSummary:
    """The network: its name, whence its weights come and under which licence, and what it costs.

    ``macs`` are multiply-accumulates for one image; ``params`` counts all weights, ``trainable`` the trained ones.
    """

    name: str
    source: str
    licence: str
    params: int
    trainable: int
    macs: int
    input: str
    layers: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON."""
        return {
            "name": self.name,
            "source": self.source,
            "licence": self.licence,
            "params": self.params,
            "trainable": self.trainable,
            "macs": self.macs,
            "input": self.input,
        }


HistoryRow = Mapping[str, float | int | None]


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """One run, told whole. ``metrics`` are those of the test set, ``timings`` seconds by stage.

    An epoch of ``history`` holds ``epoch`` (from 1), ``train_loss``, ``train_accuracy``, ``val_loss``,
    ``val_accuracy``, ``rate``, ``seconds``; what was not measured is absent or ``None``. ``recipes`` is filled when
    several recipes were compared.
    """

    title: str
    task: str
    recipe: str
    metrics: ClassificationMetrics
    data: DataSummary
    model: ModelSummary
    history: tuple[HistoryRow, ...] = ()
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    recipes: tuple[RecipeResult, ...] = ()
    images: ReportImages = field(default_factory=ReportImages)
    notes: tuple[str, ...] = ()
    created_at: datetime = field(default_factory=datetime.now)

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
        """What the figures say in plain words, the gravest first."""
        return diagnose_classification(
            DiagnosisInput(
                metrics=self.metrics,
                train_counts=self.data.counts.get("train", {}),
                train_accuracy=self.train_accuracy,
                val_accuracy=self.val_accuracy,
                val_size=self.data.splits.get("val", 0),
                history=self.history,
            )
        )
