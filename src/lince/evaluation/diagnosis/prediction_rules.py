"""Rules about the answers: classes that are mixed up or never named, and probabilities that mislead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.diagnosis.finding import DiagnosisInput, Finding, Severity, join_names
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_percent

MIN_CONFUSION_RATE, HIGH_CONFUSION_RATE = 0.05, 0.15  # shares of a class's images that are taken for one other class
MAX_PAIRS = 3
MAX_CALIBRATION_ERROR = 0.05


@dataclass(frozen=True)
class ClassConfusion:
    """``count`` of the ``support`` images of class ``truth`` were taken for class ``predicted``."""

    truth: str
    predicted: str
    count: int
    support: int

    @property
    def rate(self) -> float:
        """The share of the class's images that this is."""
        return self.count / self.support

    def __str__(self) -> str:
        return _("{truth} taken for {predicted}: {count} of {support} ({rate})").format(
            truth=self.truth,
            predicted=self.predicted,
            count=format_count(self.count),
            support=format_count(self.support),
            rate=format_percent(self.rate),
        )


def list_confusions(metrics: ClassificationMetrics, min_count: int = 1) -> list[ClassConfusion]:
    """Return every pair that was mixed up at least ``least`` times, the most frequent first."""
    wrong = metrics.confusion - np.diag(np.diag(metrics.confusion))
    names = metrics.classes.names
    support = metrics.confusion.sum(axis=1)
    rows, columns = np.nonzero(wrong >= max(min_count, 1))
    pairs = [
        ClassConfusion(names[i], names[j], int(wrong[i, j]), int(support[i]))
        for i, j in zip(rows, columns, strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.rate, pair.truth, pair.predicted))


def check_confused_pairs(evidence: DiagnosisInput) -> Finding | None:
    """Name the classes that are most often taken for one another."""
    often = [pair for pair in list_confusions(evidence.metrics, min_count=3) if pair.rate >= MIN_CONFUSION_RATE]
    pairs = sorted(often, key=lambda pair: -pair.rate)[:MAX_PAIRS]
    if not pairs:
        return None
    return Finding(
        "confused_pairs",
        Severity.WARNING if pairs[0].rate >= HIGH_CONFUSION_RATE else Severity.NOTE,
        _("Classes that are mixed up"),
        "; ".join(map(str, pairs)) + ".",
        (
            _("Look at these photos: some may stand in the wrong class."),
            _("Collect photos that show what tells the two apart, in light and from angles that vary."),
            _("A larger input (--size) shows finer detail."),
        ),
        {"pairs": [{"truth": p.truth, "predicted": p.predicted, "count": p.count, "rate": p.rate} for p in pairs]},
    )


def check_never_predicted(evidence: DiagnosisInput) -> Finding | None:
    """Name the classes that the model never answers although the test set has images of them."""
    names = [score.name for score in evidence.metrics.scores if score.support and not score.predicted]
    if not names:
        return None
    return Finding(
        "never_answered",
        Severity.SERIOUS,
        _("Classes that it never answers"),
        _("Not one test image was taken for: {names}.").format(names=join_names(names)),
        (
            _("Check that these classes have training photos, and that they are of the right thing."),
            _("Collect more photos of them, or merge them with the class they resemble (--merge)."),
        ),
        {"classes": names},
    )


def check_calibration(evidence: DiagnosisInput) -> Finding | None:
    """Say when the probabilities promise more, or less, than the answers keep."""
    accuracy, measured = evidence.metrics.accuracy, evidence.metrics.calibration
    if measured.ece <= MAX_CALIBRATION_ERROR or accuracy.low <= measured.confidence <= accuracy.high:
        return None
    over = measured.confidence > accuracy.high
    return Finding(
        "overconfident" if over else "underconfident",
        Severity.NOTE,
        _("Its probabilities promise too much") if over else _("Its probabilities are too modest"),
        _("On average it gives its answer {confidence}, and is right on {accuracy} (calibration error {ece}).").format(
            confidence=format_percent(measured.confidence),
            accuracy=format_percent(accuracy.value),
            ece=format_decimal(measured.ece),
        ),
        (
            _("Read the probabilities as an order, not as a promise."),
            _("Stop earlier, or use label smoothing or mixup (--mix mixup).")
            if over
            else _("Train for longer, or with less label smoothing and mixup."),
        ),
        {"ece": measured.ece, "confidence": measured.confidence, "accuracy": accuracy.value},
    )
