"""Rules for models of semantic segmentation: baseline, overfitting, weak and tiny classes, void pixels."""

from __future__ import annotations

from lince.evaluation.diagnosis.figure_rules import (
    judge_never_predicted,
    judge_overfitting,
    judge_test_set_size,
    judge_weak_classes,
)
from lince.evaluation.diagnosis.name_list import join_names
from lince.evaluation.diagnosis.segmentation.diagnosis_input import SegmentationDiagnosisInput
from lince.evaluation.segmentation.metrics import BACKGROUND_NAME
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_percent, format_percent_range

WEAK_IOU = 0.5
MAX_VOID_SHARE = 0.25  # of all pixels of the test images
TINY_SHARE = 0.005  # of the pixels of a photo: 19 x 19 of 224 x 224 pixels are 0.7 %
TINY_IOU = 0.75  # from which on small classes are no problem


def check_baseline(inputs: SegmentationDiagnosisInput) -> Finding | None:
    """Return ``no_better_than_commonest`` when the mean IoU may be that of one class predicted for every pixel.

    Figures: the mean IoU with its interval, the ``commonest`` class or ``background``, and its ``share``, 0..1, which
    is the mean IoU that it would reach.
    """
    figure, (name, baseline) = inputs.metrics.miou, inputs.metrics.baseline
    if figure.low > baseline or baseline == 1:
        return None
    return Finding(
        "no_better_than_commonest",
        Severity.SERIOUS,
        _("No better than one class everywhere"),
        _("The mean IoU is {value} ({range}); “{name}” for every pixel would reach {baseline}.").format(
            value=format_percent(figure.value),
            range=format_percent_range(figure.low, figure.high),
            name=_("background") if name == BACKGROUND_NAME else name,
            baseline=format_percent(baseline),
        ),
        inputs.list_advice(
            ("", _("Look at the photos with their masks: does each mask lie on its object?")),
            ("", _("Add photos: the more of each class, the better.")),
            ("epochs", _("Train for longer (--epochs), or lower the learning rate (--lr).")),
        ),
        {**figure.to_dict(), "commonest": name, "share": baseline},
    )


def check_overfitting(inputs: SegmentationDiagnosisInput) -> Finding | None:
    """Return ``overfitting`` by the mean IoU on training and test images (``judge_overfitting``)."""
    return judge_overfitting(
        inputs.train_miou,
        inputs.metrics.miou,
        "miou",
        _("Mean IoU on the training images {train}, on the test images {test}."),
        inputs.list_advice(
            ("", _("Collect more photos: nothing helps more.")),
            ("augment", _("Use stronger augmentation: --augment medium or strong.")),
            ("epochs", _("Train for fewer epochs, or use early stopping: --patience 5.")),
        ),
    )


def check_never_predicted(inputs: SegmentationDiagnosisInput) -> Finding | None:
    """Return ``never_answered`` with the classes that test images show and no pixel is predicted as."""
    return judge_never_predicted(inputs.scores, _("No pixel of the test images was predicted as: {names}."))


def check_weak_classes(inputs: SegmentationDiagnosisInput) -> Finding | None:
    """Return ``weak_classes`` with the classes whose IoU is surely below ``WEAK_IOU``."""
    return judge_weak_classes(
        {score.name: score.iou for score in inputs.metrics.scores if score.support},
        WEAK_IOU,
        _("IoU below {limit}: {names}."),
        (
            _("Look at their masks: is the whole object filled, and nothing else?"),
            _("Collect more photos of these classes."),
        ),
    )


def check_tiny_classes(inputs: SegmentationDiagnosisInput) -> Finding | None:
    """Return ``tiny_classes`` with the classes that cover little of the photos that show them, and have a low IoU.

    Little is less than ``TINY_SHARE`` of the pixels of a photo, on average. Figures: ``classes``, that share by name.
    """
    metrics = inputs.metrics
    photo = metrics.pixels / metrics.count
    shares = {
        score.name: score.pixels / score.support / photo
        for score in metrics.scores
        if score.support and score.iou is not None and score.iou.value < TINY_IOU
    }
    tiny = {name: share for name, share in sorted(shares.items(), key=lambda pair: pair[1]) if share < TINY_SHARE}
    if not tiny:
        return None
    listing = [f"{name} ({format_percent(share, 2)})" for name, share in tiny.items()]
    return Finding(
        "tiny_classes",
        Severity.WARNING,
        _("Objects that are small in their photos"),
        _("Share of the photos that show them: {names}.").format(names=join_names(listing)),
        inputs.list_advice(
            ("size", _("Train with larger images: --size.")),
            ("", _("Take photos from closer, or cut the photos into tiles.")),
        ),
        {"classes": tiny},
    )


def check_void_share(inputs: SegmentationDiagnosisInput) -> Finding | None:
    """Return ``void_pixels`` when more than ``MAX_VOID_SHARE`` of the pixels of the test images are void.

    Figures: their ``share`` and the number of ``pixels``.
    """
    metrics = inputs.metrics
    if metrics.void_share <= MAX_VOID_SHARE:
        return None
    return Finding(
        "void_pixels",
        Severity.WARNING,
        _("Much of the test images is void"),
        _("{share} of their pixels have no label: nobody knows how the model does there.").format(
            share=format_percent(metrics.void_share)
        ),
        (_("Label these pixels, or check which values of the masks are void (--void)."),),
        {"share": metrics.void_share, "pixels": metrics.void_pixels},
    )


def check_test_set_size(inputs: SegmentationDiagnosisInput) -> Finding | None:
    """Return ``small_test_set`` when the interval of the mean IoU is wide (``judge_test_set_size``)."""
    text = _("With {size} test images the true mean IoU may be anywhere {range}.")
    return judge_test_set_size(inputs.metrics.miou, inputs.metrics.count, text)
