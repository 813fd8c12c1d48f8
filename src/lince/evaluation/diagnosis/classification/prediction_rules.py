"""Rules for classifiers on the predictions: confused classes, classes never predicted, miscalibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.diagnosis.classification.diagnosis_input import ClassificationDiagnosisInput
from lince.evaluation.diagnosis.figure_rules import judge_never_predicted
from lince.evaluation.diagnosis.image_diagnosis_input import ImageDiagnosisInput
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_percent

MIN_CONFUSION_RATE = 0.05  # fraction of a class's images predicted as one other class, from which a note is made
HIGH_CONFUSION_RATE = 0.15  # and from which it is a warning
MIN_CONFUSION_COUNT = 3  # images
MAX_PAIRS = 3  # named in the finding
MAX_CALIBRATION_ERROR = 0.05  # expected calibration error


@dataclass(frozen=True)
class ClassConfusion:
    """One cell of the confusion matrix off its diagonal.

    ``count`` of the ``support`` test images of class ``truth`` were predicted as class ``predicted``.
    """

    truth: str
    predicted: str
    count: int
    support: int

    @property
    def rate(self) -> float:
        """``count`` as a fraction of ``support``, 0..1."""
        return self.count / self.support

    def __str__(self) -> str:
        return _("“{truth}” predicted as “{predicted}”: {count} of {support} ({rate})").format(
            truth=self.truth,
            predicted=self.predicted,
            count=format_count(self.count),
            support=format_count(self.support),
            rate=format_percent(self.rate),
        )


def list_confusions(metrics: ClassificationMetrics, min_count: int = 1) -> list[ClassConfusion]:
    """Return every pair of classes that was confused at least ``min_count`` times, the most frequent first.

    The two directions of a confusion are two pairs. Ties are ordered by rate, then by name.
    """
    errors = metrics.confusion - np.diag(np.diag(metrics.confusion))
    names = metrics.classes.names
    support = metrics.confusion.sum(axis=1)
    rows, columns = np.nonzero(errors >= max(min_count, 1))
    pairs = [
        ClassConfusion(names[i], names[j], int(errors[i, j]), int(support[i]))
        for i, j in zip(rows, columns, strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.rate, pair.truth, pair.predicted))


def check_confused_pairs(inputs: ClassificationDiagnosisInput) -> Finding | None:
    """Return ``confused_pairs`` with the ``MAX_PAIRS`` most frequent confusions by rate.

    Only confusions of at least ``MIN_CONFUSION_COUNT`` images and a rate of ``MIN_CONFUSION_RATE`` count. Figures:
    ``pairs``, each with ``truth``, ``predicted``, ``count`` and ``rate``.
    """
    frequent = list_confusions(inputs.metrics, min_count=MIN_CONFUSION_COUNT)
    relevant = [pair for pair in frequent if pair.rate >= MIN_CONFUSION_RATE]
    pairs = sorted(relevant, key=lambda pair: -pair.rate)[:MAX_PAIRS]
    if not pairs:
        return None
    return Finding(
        "confused_pairs",
        Severity.WARNING if pairs[0].rate >= HIGH_CONFUSION_RATE else Severity.NOTE,
        _("Confused classes"),
        "; ".join(map(str, pairs)) + ".",
        (
            _("Look at these photos: some may have the wrong label."),
            _("Collect photos that show what distinguishes the two, with varied light and angles."),
            _("A larger input (--size) shows finer detail."),
        ),
        {
            "pairs": [
                {"truth": pair.truth, "predicted": pair.predicted, "count": pair.count, "rate": pair.rate}
                for pair in pairs
            ]
        },
    )


def check_never_predicted(inputs: ImageDiagnosisInput) -> Finding | None:
    """Return ``never_answered`` with the classes that have test images and are never predicted."""
    return judge_never_predicted(inputs.scores, _("No test image was predicted as: {names}."))


def check_calibration(inputs: ClassificationDiagnosisInput) -> Finding | None:
    """Return ``overconfident`` or ``underconfident`` when the mean confidence is outside the interval of the accuracy.

    Nothing is reported while the expected calibration error is at most ``MAX_CALIBRATION_ERROR``. Figures: ``ece``, the
    mean ``confidence`` and the ``accuracy``, 0..1.
    """
    accuracy, calibration = inputs.metrics.accuracy, inputs.metrics.calibration
    if calibration.ece <= MAX_CALIBRATION_ERROR or accuracy.low <= calibration.confidence <= accuracy.high:
        return None
    is_overconfident = calibration.confidence > accuracy.high
    return Finding(
        "overconfident" if is_overconfident else "underconfident",
        Severity.NOTE,
        _("The model is overconfident") if is_overconfident else _("The model is underconfident"),
        _("Mean confidence {confidence}, accuracy {accuracy} (calibration error {ece}).").format(
            confidence=format_percent(calibration.confidence),
            accuracy=format_percent(accuracy.value),
            ece=format_decimal(calibration.ece),
        ),
        inputs.list_advice(
            ("", _("Use the probabilities to rank answers, not as exact percentages.")),
            (
                "mix",
                _("Stop earlier, or use label smoothing or mixup (--mix mixup).")
                if is_overconfident
                else _("Train for longer, or with less label smoothing and mixup."),
            ),
        ),
        {"ece": calibration.ece, "confidence": calibration.confidence, "accuracy": accuracy.value},
    )
