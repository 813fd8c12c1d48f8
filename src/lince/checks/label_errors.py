"""Finds labels that are probably wrong by confident learning.

Source: Northcutt, Jiang and Chuang (2021), "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of
Artificial Intelligence Research 70.

Class probabilities come from linear heads on the features of a pretrained network, by cross-validation, so that no
image is predicted by a head that was fitted on it. An image is a suspect when another class than its label is
confident for it, that is, when it lies off the diagonal of the paper's confident joint. Because wrong labels also
affect the heads, these are fitted a second time without the suspects of the first round, as in the paper; the suspects
of the second round with a large margin are reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.annotations import UNLABELLED
from lince.checks.check_context import CheckContext, CheckFinding, FeatureModel, FindingText, make_findings
from lince.checks.tag_errors import check_tag_errors
from lince.datasets import Dataset
from lince.errors import UsageError
from lince.findings import Severity
from lince.i18n import _
from lince.number_format import format_percent
from lince.progress import SILENT, Progress
from lince.training.classification.heads import logistic
from lince.training.classification.heads.folds import assign_grouped_folds

WRONG_LABEL_CODE = "wrong-label"
NUM_FOLDS = 5
MIN_CLASS_IMAGES = 5  # smaller classes are left out
MIN_MARGIN = 0.8  # by which the probability of the suggested class must exceed that of the given class
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """K suspected label errors, the most certain first.

    ``rows`` int64 (K,) are rows of the dataset; ``suggested_class_ids`` int64 (K,) the classes that the images probably
    show; ``given_probabilities`` and ``suggested_probabilities`` float64 (K,) the predicted probabilities of the class
    in the label and of the suggested class.
    """

    rows: NDArray[np.int64]
    suggested_class_ids: NDArray[np.int64]
    given_probabilities: FloatArray
    suggested_probabilities: FloatArray


def check_label_errors(context: CheckContext) -> list[CheckFinding]:
    """Return the finding ``wrong-label``; nothing when the context has no ``feature_model``.

    Where the labels list several classes an image, the findings are those of ``tag_errors``. Raise ``UsageError`` when
    the images have no classes of their own (see ``find_label_errors``).
    """
    if context.feature_model is None:
        return []
    dataset = context.dataset
    if dataset.label_sets is not None and dataset.label_sets.is_listed:
        return check_tag_errors(context, context.feature_model, dataset.label_sets)
    errors = find_label_errors(dataset, context.feature_model, context.progress, context.groups.related_ids)
    finding_text = FindingText(
        Severity.WARNING,
        _("Probable label errors"),
        _("A model that was not trained on these photos predicts another class with high confidence."),
        _("Review each one. Correct the wrong labels; keep the ones that are correct but difficult."),
    )
    names = dataset.classes.names
    texts = (
        _("labelled {given} ({low}), probably {proposed} ({high})").format(
            given=names[int(dataset.class_ids[row])],
            low=format_percent(low, 0),
            proposed=names[suggested],
            high=format_percent(high, 0),
        )
        for row, suggested, low, high in zip(
            errors.rows.tolist(),
            errors.suggested_class_ids.tolist(),
            errors.given_probabilities,
            errors.suggested_probabilities,
            strict=True,
        )
    )
    examples = (context.make_example(row, text) for row, text in zip(errors.rows.tolist(), texts, strict=True))
    return make_findings(WRONG_LABEL_CODE, finding_text, examples, len(errors.rows))


def find_label_errors(
    dataset: Dataset,
    feature_model: FeatureModel,
    progress: Progress = SILENT,
    groups: NDArray[np.int64] | None = None,
) -> LabelErrors:
    """Return the suspected label errors among the images of ``dataset`` that have a class.

    Features are read from the cache of training where they are there already. Classes with fewer than
    ``MIN_CLASS_IMAGES`` images and images that cannot be opened are left out. Images with the same number in ``groups``
    (N,), such as copies, are predicted by a head that was fitted on none of them. The result is the same each time.

    Raise ``UsageError`` when fewer than two classes have enough images, as in a dataset that only has objects.
    """
    labels = dataset.class_ids
    image_counts = np.bincount(labels[labels != UNLABELLED], minlength=len(dataset.classes))
    usable = np.flatnonzero((labels != UNLABELLED) & (image_counts >= MIN_CLASS_IMAGES)[labels])
    if (image_counts >= MIN_CLASS_IMAGES).sum() < 2:
        raise UsageError(
            _("The labels cannot be checked: only {n} classes have {least} images or more.").format(
                n=int((image_counts >= MIN_CLASS_IMAGES).sum()), least=MIN_CLASS_IMAGES
            ),
            _("Expected at least two such classes, with image-level labels."),
        )
    # Only here: a check that looks for no wrong labels starts without what trains networks.
    from lince.checks.label_features import compute_label_features  # noqa: PLC0415
    from lince.training.classification.labels import ClassLabels  # noqa: PLC0415

    rows, features_of_rows = compute_label_features(dataset, usable, feature_model, progress, ClassLabels())
    # Classes without enough images are left out, so class ids are renumbered for the heads.
    class_ids, dense_ids = np.unique(labels[rows], return_inverse=True)
    given = dense_ids.astype(np.int64)
    trusted = np.ones(len(given), np.bool_)
    with progress.open_stage(_("Checking the labels"), 2 * NUM_FOLDS) as stage:
        for _round in range(2):
            probabilities = predict_out_of_fold(
                features_of_rows,
                given,
                len(class_ids),
                trusted,
                stage.advance,
                None if groups is None else groups[rows],
            )
            confident, _joint = compute_confident_joint(probabilities, given, trusted)
            trusted = _trust_small_classes(given, (confident < 0) | (confident == given), len(class_ids))
    return _rank_label_errors(rows, class_ids, given, probabilities, confident)


def predict_out_of_fold(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_count: int,
    trusted: NDArray[np.bool_],
    advance: Callable[[], None],
    groups: NDArray[np.int64] | None = None,
) -> FloatArray:
    """Return class probabilities, float64 (N, C), of ``embeddings`` (N, D), each by a head not fitted on it.

    ``labels`` (N,) are class ids below ``class_count`` (C). There are ``NUM_FOLDS`` stratified folds; only rows that
    are ``trusted`` (N,) are used for fitting, but all are predicted. ``advance`` is called after each fold. Rows with
    the same number in ``groups`` (N,) are in one fold.
    """
    # The first fit only chooses the regularisation; its weights are cleared, because they have seen every fold.
    first = logistic.fit(
        embeddings[trusted], labels[trusted], class_count, seed=0, groups=None if groups is None else groups[trusted]
    )
    blank = replace(first, weight=np.zeros_like(first.weight), bias=np.zeros_like(first.bias))
    folds = assign_grouped_folds(labels, NUM_FOLDS, 0, groups)
    probabilities = np.empty((len(labels), class_count))
    for fold in range(NUM_FOLDS):
        in_training = (folds != fold) & trusted
        head = logistic.refit_linear_head(embeddings[in_training], labels[in_training], blank)
        probabilities[folds == fold] = postprocess.softmax(head.compute_logits(embeddings[folds == fold]))
        advance()
    return probabilities


def compute_confident_joint(
    probabilities: FloatArray, labels: NDArray[np.int64], trusted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the confident class of each image, int64 (N,), -1 for none, and the confident joint, int64 (C, C).

    A class is confident for an image when its probability is at least the mean of its probabilities among the
    ``trusted`` (N,) images labelled with it; among several, the most probable one is taken. Row i, column j of the
    joint counts the images labelled i whose confident class is j. Every class needs a trusted image.
    """
    class_count = probabilities.shape[1]
    thresholds = np.array(
        [probabilities[trusted & (labels == class_id), class_id].mean() for class_id in range(class_count)]
    )
    above_threshold = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident = np.where(above_threshold.max(axis=1) >= 0, above_threshold.argmax(axis=1), -1)
    joint = np.zeros((class_count, class_count), np.int64)
    np.add.at(joint, (labels[confident >= 0], confident[confident >= 0]), 1)
    return confident.astype(np.int64), joint


def _trust_small_classes(labels: NDArray[np.int64], trusted: NDArray[np.bool_], class_count: int) -> NDArray[np.bool_]:
    """Return ``trusted`` with all images of those classes of which fewer than ``MIN_CLASS_IMAGES`` would be left."""
    trusted_counts = np.bincount(labels[trusted], minlength=class_count)
    return np.asarray(trusted | (trusted_counts < MIN_CLASS_IMAGES)[labels])


def _rank_label_errors(
    rows: NDArray[np.int64],
    class_ids: NDArray[np.int32],
    labels: NDArray[np.int64],
    probabilities: FloatArray,
    confident: NDArray[np.int64],
) -> LabelErrors:
    """Return the images whose confident class is another than their label, by a margin of at least ``MIN_MARGIN``.

    ``labels`` and ``confident`` index ``class_ids``, which holds class ids of the dataset.
    """
    indices = np.arange(len(labels))
    margins = probabilities[indices, confident] - probabilities[indices, labels]
    suspects = np.flatnonzero((confident >= 0) & (confident != labels) & (margins >= MIN_MARGIN))
    given = probabilities[suspects, labels[suspects]]
    suggested = probabilities[suspects, confident[suspects]]
    order = np.argsort(given - suggested, kind="stable")
    suspects = suspects[order]
    return LabelErrors(rows[suspects], class_ids[confident[suspects]].astype(np.int64), given[order], suggested[order])
