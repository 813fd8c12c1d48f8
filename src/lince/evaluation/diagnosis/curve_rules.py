"""Rules about learning itself: too much, too little, or measured on the wrong images."""

from __future__ import annotations

from math import isfinite, sqrt

from lince.evaluation.diagnosis.finding import DiagnosisInput, Finding, Severity
from lince.i18n import _
from lince.number_format import format_decimal, format_percent

OVERFITTING_GAP = 0.05  # training accuracy this far above the test's upper bound side is learned by heart, not luck
LARGE_OVERFITTING_GAP = 0.1
LOW_TRAIN_ACCURACY = 0.8  # a training accuracy below this leaves something to learn
MIN_LOSS_RISE = 1.15  # the validation loss ends this many times above its best
MIN_STANDARD_ERRORS = 2.0  # standard errors; beyond them luck is no longer the likely explanation


def check_majority_baseline(evidence: DiagnosisInput) -> Finding | None:
    """Say when the answers are no better than always naming the commonest class."""
    name, share = evidence.metrics.majority_class
    accuracy = evidence.metrics.accuracy
    if len(evidence.metrics.classes) < 2 or share == 1 or accuracy.low > share:
        return None
    return Finding(
        "no_better_than_commonest",
        Severity.SERIOUS,
        _("No better than always giving the same answer"),
        _(
            "Always answering “{name}” would be right on {share} of the test images; the model is right on {accuracy}."
        ).format(name=name, share=format_percent(share), accuracy=format_percent(accuracy.value)),
        (
            _("Check that the photos are in the right classes."),
            _("Use a pretrained model: --recipe transfer."),
            _("Train for longer (--epochs), or lower the learning rate (--rate)."),
        ),
        {"commonest": name, "share": share, "accuracy": accuracy.value},
    )


def check_underfitting(evidence: DiagnosisInput) -> Finding | None:
    """Say when even the training images are often answered wrongly."""
    train = _last_train_accuracy(evidence)
    test = evidence.metrics.accuracy.value
    # Augmentation makes the training images harder than the test's, so a good test excuses a low training figure.
    if train is None or train >= LOW_TRAIN_ACCURACY or test >= LOW_TRAIN_ACCURACY:
        return None
    return Finding(
        "underfitting",
        Severity.WARNING,
        _("It has not learned enough yet (underfitting)"),
        _("Even on the images it was trained with, only {train} of the answers are right.").format(
            train=format_percent(train)
        ),
        (
            _("Train for more epochs (--epochs)."),
            _("Use a larger model (--model) or a larger input (--size)."),
            _("Start from pretrained weights: --recipe transfer, then --recipe finetune."),
            _("Use lighter augmentation and less dropout."),
        ),
        {"train_accuracy": train, "test_accuracy": test},
    )


def check_overfitting(evidence: DiagnosisInput) -> Finding | None:
    """Say when the training images are known by heart: far better answered than images never seen."""
    train, test = evidence.train_accuracy, evidence.metrics.accuracy
    if train is None or train - test.value < OVERFITTING_GAP or train <= test.high:
        return None
    return Finding(
        "overfitting",
        Severity.WARNING if train - test.value >= LARGE_OVERFITTING_GAP else Severity.NOTE,
        _("It learned the training images by heart (overfitting)"),
        _("{train} right on the images it was trained with, {test} on images it had never seen.").format(
            train=format_percent(train), test=format_percent(test.value)
        ),
        (
            _("Collect more photos: nothing helps more."),
            _("Alter the training images more: --augment medium or strong."),
            _("Add dropout (20–50 %) to the network, or use a smaller one."),
            _("Train for fewer epochs, or stop early: --patience 5."),
        ),
        {"train_accuracy": train, "test_accuracy": test.value, "gap": train - test.value},
    )


def check_val_loss_rise(evidence: DiagnosisInput) -> Finding | None:
    """Say when the validation loss turned upwards while the training loss went on falling."""
    val, train = evidence.get_history_column("val_loss"), evidence.get_history_column("train_loss")
    if len(val) < 4 or len(train) != len(val) or not all(map(isfinite, val + train)):
        return None
    best = val.index(min(val))
    if len(val) - best <= 3 or val[-1] < MIN_LOSS_RISE * val[best] or train[-1] >= train[best]:
        return None
    return Finding(
        "val_loss_rises",
        Severity.NOTE,
        _("Training went on after the best epoch"),
        _(
            "The validation loss was lowest in epoch {epoch} ({best}) and ended at {last}, "
            "while the training loss went on falling."
        ).format(epoch=best + 1, best=format_decimal(val[best]), last=format_decimal(val[-1])),
        (
            _("Stop early: --patience 5. The best weights are the ones that are kept."),
            _("Alter the training images more (--augment), or add dropout, to learn for longer."),
        ),
        {"best_epoch": best + 1, "best_val_loss": val[best], "last_val_loss": val[-1]},
    )


def check_val_above_test(evidence: DiagnosisInput) -> Finding | None:
    """Say when validation promised more than the test kept."""
    val, test, n = evidence.val_accuracy, evidence.metrics.accuracy.value, evidence.val_size
    if val is None or n < 1 or val - test < 0.03:
        return None
    error = sqrt(val * (1 - val) / n + test * (1 - test) / evidence.metrics.count)
    if val - test < MIN_STANDARD_ERRORS * error:
        return None
    return Finding(
        "val_above_test",
        Severity.WARNING,
        _("Better on validation than on the test"),
        _("{val} right on the validation images, {test} on the test: more than luck explains.").format(
            val=format_percent(val), test=format_percent(test)
        ),
        (
            _("Look for copies of the same photo in training and validation."),
            _("Check whether the test photos were taken elsewhere, or later, or with another camera."),
            _("After many trials on one validation set its figure flatters: trust the test."),
        ),
        {"val_accuracy": val, "test_accuracy": test, "val_size": n},
    )


def _last_train_accuracy(evidence: DiagnosisInput) -> float | None:
    if evidence.train_accuracy is not None:
        return evidence.train_accuracy
    measured = evidence.get_history_column("train_accuracy")
    return measured[-1] if measured else None
