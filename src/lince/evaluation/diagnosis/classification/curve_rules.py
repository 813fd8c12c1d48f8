"""Rules for classifiers on the course of training: underfitting, overfitting, and misleading validation figures."""

from __future__ import annotations

from math import isfinite, sqrt

from lince.evaluation.confidence import compute_binomial_tail
from lince.evaluation.diagnosis.classification.diagnosis_input import ClassificationDiagnosisInput
from lince.evaluation.diagnosis.figure_rules import judge_overfitting
from lince.evaluation.diagnosis.image_diagnosis_input import ImageDiagnosisInput
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_count, format_decimal, format_percent

LARGE_OVERFITTING_GAP = 0.1  # training accuracy minus test accuracy from which it is a warning
LOW_TRAIN_ACCURACY = 0.8  # below this the model underfits
MIN_LOSS_RISE = 1.15  # last validation loss over the lowest one
MIN_VAL_TEST_GAP = 0.03  # validation accuracy minus test accuracy
MIN_STANDARD_ERRORS = 2.0  # by which validation and test accuracy must differ: chance is then unlikely
SIGNIFICANCE_LEVEL = 0.05  # of being better than the majority-class baseline
_MIN_EPOCHS = 4  # of a history that can be judged
_LATE_EPOCHS = 3  # epochs after the best one that are not yet a trend


def check_majority_baseline(inputs: ClassificationDiagnosisInput) -> Finding | None:
    """Return ``no_better_than_commonest`` when the accuracy is not significantly above the majority-class baseline.

    The baseline is the share of the most frequent class. Serious when the accuracy does not exceed it, and a warning
    when it does but chance alone would do as well with a probability of ``SIGNIFICANCE_LEVEL`` or more (exact binomial
    test, one-sided). Not reported when there is only one class, or the test images show only one.

    Figures: ``commonest`` class, its ``share`` of the test images, ``accuracy``, 0..1, and the ``p_value``.
    """
    name, share = inputs.metrics.majority_class
    accuracy, count = inputs.metrics.accuracy.value, inputs.metrics.count
    if len(inputs.metrics.classes) < 2 or share == 1:
        return None
    p_value = compute_binomial_tail(round(accuracy * count), count, share)
    is_better = accuracy > share
    if is_better and p_value < SIGNIFICANCE_LEVEL:
        return None
    text = (
        _(
            "Correct on {accuracy} of {count} test images, where always predicting “{name}” is correct on {share}: "
            "better, but on so few images chance alone could do that (p = {p})."
        )
        if is_better
        else _(
            "Always predicting “{name}” would be correct on {share} of the {count} test images; "
            "the model is correct on {accuracy}."
        )
    )
    return Finding(
        "no_better_than_commonest",
        Severity.WARNING if is_better else Severity.SERIOUS,
        _("Too few test images to tell the model from the majority-class baseline")
        if is_better
        else _("No better than the majority-class baseline"),
        text.format(
            name=name,
            share=format_percent(share),
            accuracy=format_percent(accuracy),
            count=format_count(count),
            p=format_decimal(p_value),
        ),
        inputs.list_advice(
            *([("", _("Add test photos, or use a larger test fraction (--test)."))] if is_better else []),
            ("", _("Check that the photos have the correct classes.")),
            *_suggest_pretraining(inputs),
            ("epochs", _("Train for longer (--epochs), or lower the learning rate (--lr).")),
        ),
        {"commonest": name, "share": share, "accuracy": accuracy, "p_value": p_value},
    )


def check_underfitting(inputs: ClassificationDiagnosisInput) -> Finding | None:
    """Return ``underfitting`` when training and test accuracy are both below ``LOW_TRAIN_ACCURACY``.

    A high test accuracy excuses a low training accuracy, because augmentation makes the training images harder than the
    test images. Figures: ``train_accuracy`` and ``test_accuracy``, 0..1.
    """
    train_accuracy = _last_train_accuracy(inputs)
    test_accuracy = inputs.metrics.accuracy.value
    # Augmentation makes the training images harder than the test's, so a good test excuses a low training figure.
    if train_accuracy is None or train_accuracy >= LOW_TRAIN_ACCURACY or test_accuracy >= LOW_TRAIN_ACCURACY:
        return None
    return Finding(
        "underfitting",
        Severity.WARNING,
        _("Underfitting: the model has not learned enough yet"),
        _("The training accuracy is only {train}.").format(train=format_percent(train_accuracy)),
        inputs.list_advice(
            ("epochs", _("Train for more epochs (--epochs).")),
            ("", _("Use a larger model (--model) or a larger input (--size).")),
            *_suggest_pretraining(inputs),
            ("augment", _("Use lighter augmentation and less dropout.")),
        ),
        {"train_accuracy": train_accuracy, "test_accuracy": test_accuracy},
    )


def check_overfitting(inputs: ClassificationDiagnosisInput) -> Finding | None:
    """Return ``overfitting`` by the accuracies on training and test images (``judge_overfitting``).

    Needs the accuracy on the training images without augmentation.
    """
    return judge_overfitting(
        inputs.train_accuracy,
        inputs.metrics.accuracy,
        "accuracy",
        _("Training accuracy {train}, test accuracy {test}."),
        inputs.list_advice(
            ("", _("Collect more photos: nothing helps more.")),
            ("augment", _("Use stronger augmentation: --augment medium or strong.")),
            ("epochs", _("Add dropout (20–50%) to the network, or use a smaller one.")),
            ("epochs", _("Train for fewer epochs, or use early stopping: --patience 5.")),
            *_suggest_without_augmentation(inputs),
        ),
        LARGE_OVERFITTING_GAP,
    )


def check_val_loss_rise(inputs: ImageDiagnosisInput) -> Finding | None:
    """Return ``val_loss_rises`` when validation loss ended well above its minimum while training loss kept falling.

    "Well above" is a factor of ``MIN_LOSS_RISE``, at least three epochs after the minimum. Losses that are not finite
    are not judged. Figures: ``best_epoch`` (from 1), ``best_val_loss`` and ``last_val_loss``.
    """
    val_losses, train_losses = inputs.get_history_column("val_loss"), inputs.get_history_column("train_loss")
    if (
        len(val_losses) < _MIN_EPOCHS
        or len(train_losses) != len(val_losses)
        or not all(map(isfinite, val_losses + train_losses))
    ):
        return None
    best_epoch = val_losses.index(min(val_losses))
    if (
        len(val_losses) - best_epoch <= _LATE_EPOCHS
        or val_losses[-1] < MIN_LOSS_RISE * val_losses[best_epoch]
        or train_losses[-1] >= train_losses[best_epoch]
    ):
        return None
    return Finding(
        "val_loss_rises",
        Severity.NOTE,
        _("Training went on after the best epoch"),
        _(
            "The validation loss was lowest in epoch {epoch} ({best}) and ended at {last}, "
            "while the training loss went on falling."
        ).format(
            epoch=best_epoch + 1, best=format_decimal(val_losses[best_epoch]), last=format_decimal(val_losses[-1])
        ),
        inputs.list_advice(
            ("patience", _("Use early stopping: --patience 5. The best weights are kept.")),
            ("augment", _("Use stronger augmentation (--augment) or dropout to train for longer.")),
        ),
        {"best_epoch": best_epoch + 1, "best_val_loss": val_losses[best_epoch], "last_val_loss": val_losses[-1]},
    )


def check_val_above_test(inputs: ClassificationDiagnosisInput) -> Finding | None:
    """Return ``val_above_test`` when validation accuracy is significantly above test accuracy.

    The difference must be at least ``MIN_VAL_TEST_GAP`` and ``MIN_STANDARD_ERRORS`` standard errors of the difference
    of two independent proportions. Figures: ``val_accuracy``, ``test_accuracy`` (0..1) and ``val_size``.
    """
    val_accuracy, test_accuracy, val_size = inputs.val_accuracy, inputs.metrics.accuracy.value, inputs.val_size
    if val_accuracy is None or val_size < 1 or val_accuracy - test_accuracy < MIN_VAL_TEST_GAP:
        return None
    standard_error = sqrt(
        val_accuracy * (1 - val_accuracy) / val_size + test_accuracy * (1 - test_accuracy) / inputs.metrics.count
    )
    if val_accuracy - test_accuracy < MIN_STANDARD_ERRORS * standard_error:
        return None
    return Finding(
        "val_above_test",
        Severity.WARNING,
        _("Validation accuracy is higher than test accuracy"),
        _("Validation accuracy {val}, test accuracy {test}: the difference is significant.").format(
            val=format_percent(val_accuracy), test=format_percent(test_accuracy)
        ),
        (
            _("Look for copies of the same photo in training and validation."),
            _("Check whether the test photos were taken elsewhere, or later, or with another camera."),
            _("After many trials on the same validation set, its accuracy is optimistic: trust the test set."),
        ),
        {"val_accuracy": val_accuracy, "test_accuracy": test_accuracy, "val_size": val_size},
    )


def _suggest_pretraining(inputs: ClassificationDiagnosisInput) -> list[tuple[str, str]]:
    """Return the advice on pretrained weights that the recipe has not followed yet, for ``list_advice``."""
    return {
        "transfer": [("", _("Train the network itself from here: --recipe finetune."))],
        "finetune": [],
    }.get(inputs.recipe, [("", _("Start from pretrained weights: --recipe transfer, then --recipe finetune."))])


def _suggest_without_augmentation(inputs: ClassificationDiagnosisInput) -> list[tuple[str, str]]:
    """Return what helps against overfitting where the recipe has no augmentation and no epochs, for ``list_advice``."""
    if inputs.list_advice(("augment", "augment")):
        return []
    return [
        ("", _("Use a smaller network (--model), or a linear head (--head linear)."))
        if inputs.head == "mlp"
        else ("", _("Use a smaller network (--model).")),
        ("", _("Train the network itself, with augmentation: --recipe finetune --augment medium.")),
    ]


def _last_train_accuracy(inputs: ClassificationDiagnosisInput) -> float | None:
    """Return the accuracy on the training images, else that of the last epoch (with augmentation), else ``None``."""
    if inputs.train_accuracy is not None:
        return inputs.train_accuracy
    accuracies = inputs.get_history_column("train_accuracy")
    return accuracies[-1] if accuracies else None
