"""The two nouns of the diagnosis: what it looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from lince.evaluation.classification.metrics import ClassificationMetrics

_MAX_NAMES = 6


class Severity(IntEnum):
    """How much a finding matters, the gravest first."""

    SERIOUS = 0
    WARNING = 1
    NOTE = 2
    GOOD = 3


@dataclass(frozen=True)
class Finding:
    """One thing that the figures say: ``code`` for programs, words for people, the ``figures`` it rests on."""

    code: str
    severity: Severity
    title: str
    text: str
    advice: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        return {
            "code": self.code,
            "severity": self.severity.name.lower(),
            "title": self.title,
            "text": self.text,
            "advice": list(self.advice),
            "figures": dict(self.figures),
        }


@dataclass(frozen=True, eq=False)
class DiagnosisInput:
    """What a diagnosis looks at: test figures, training images per class, accuracies (0 to 1), the curves.

    An accuracy that is not known is ``None``; ``history`` is that of the report.
    """

    metrics: ClassificationMetrics
    train_counts: Mapping[str, int] = field(default_factory=dict)
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    val_size: int = 0
    history: tuple[Mapping[str, float | int | None], ...] = ()

    def get_history_column(self, name: str) -> list[float]:
        """Return the measured values of one column of the history, epoch by epoch."""
        return [float(value) for epoch in self.history if (value := epoch.get(name)) is not None]


def join_names(names: list[str]) -> str:
    """Return the first few of ``names`` in a row, with an ellipsis when there are more."""
    return ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
