"""Labels that are probably wrong: confident learning on predictions for images that the predictor had not seen.

Northcutt, Jiang and Chuang (2021), "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of
Artificial Intelligence Research 70. An image is suspect when a class that was not given to it is predicted with more
confidence than is usual among the images of that class: it lies off the diagonal of the paper's confident joint. Wrong
labels also spoil what is learned from them, so the predictors are fitted a second time without the suspects of the
first, as the paper does to train on what is clean; whom they still doubt, and are sure about, is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.annotations import UNLABELLED
from lince.checks.finding import CheckContext, Finding, FindingText, Severity, make_findings
from lince.datasets import Dataset
from lince.errors import UsageError
from lince.i18n import _
from lince.models import weights_source
from lince.models.classification import registry as classification_registry
from lince.number_format import format_percent
from lince.progress import SILENT, Progress
from lince.training.classification import features
from lince.training.classification.frozen_backbone import prepare_frozen_backbone
from lince.training.classification.heads import logistic

WRONG_LABEL_CODE = "wrong-label"
NUM_FOLDS = 5
MIN_CLASS_IMAGES = 5  # images of a class below which nothing can be told about it
MIN_MARGIN = 0.8  # how much more probable the proposed class must be than the one given
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureModel:
    """The frozen network whose features are compared: a preset or a name, its weights, and its input in pixels."""

    model: str = "small"
    weights: str = "auto"
    size: int | None = None


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """The labels in doubt, the most doubtful first.

    ``rows`` int64 (K,) are images, ``proposed`` int64 (K,) the classes they probably show, ``given`` and ``other``
    float64 (K,) the probabilities of the class given and of the one proposed.
    """

    rows: NDArray[np.int64]
    suggested_class_ids: NDArray[np.int64]
    given_probabilities: FloatArray
    suggested_probabilities: FloatArray


def check_label_errors(
    evidence: CheckContext, feature_model: FeatureModel, progress: Progress = SILENT
) -> list[Finding]:
    """Return the finding on labels that are probably wrong; raise ``UsageError`` where images have no classes."""
    dataset = evidence.dataset
    found = find_label_errors(dataset, feature_model, progress)
    words = FindingText(
        Severity.WARNING,
        _("Labels that are probably wrong"),
        _("A predictor that had not seen these photos takes them for another class, and is sure of it."),
        _("Look at each. Correct those that are wrong; keep those that are right and merely hard."),
    )
    names = dataset.classes.names
    texts = (
        _("labelled {given} ({low}), probably {proposed} ({high})").format(
            given=names[int(dataset.class_ids[row])],
            low=format_percent(low, 0),
            proposed=names[kind],
            high=format_percent(high, 0),
        )
        for row, kind, low, high in zip(
            found.rows.tolist(),
            found.suggested_class_ids.tolist(),
            found.given_probabilities,
            found.suggested_probabilities,
            strict=True,
        )
    )
    examples = (evidence.make_example(row, text) for row, text in zip(found.rows.tolist(), texts, strict=True))
    return make_findings(WRONG_LABEL_CODE, words, examples, len(found.rows))


def find_label_errors(dataset: Dataset, feature_model: FeatureModel, progress: Progress = SILENT) -> LabelErrors:
    """Return the suspects among the images of ``dataset`` that have a class.

    The features are those that training uses, from the cache where they were computed before. Classes of fewer than
    five images are passed over. Raise ``UsageError`` when fewer than two classes are left.
    """
    labels = dataset.class_ids
    sizes = np.bincount(labels[labels != UNLABELLED], minlength=len(dataset.classes))
    usable = np.flatnonzero((labels != UNLABELLED) & (sizes >= MIN_CLASS_IMAGES)[labels])
    if (sizes >= MIN_CLASS_IMAGES).sum() < 2:
        raise UsageError(
            _("There is nothing to compare the labels with: {n} classes have {least} images or more.").format(
                n=int((sizes >= MIN_CLASS_IMAGES).sum()), least=MIN_CLASS_IMAGES
            ),
            _("Expected two or more such classes, given to whole images."),
        )
    rows, vectors = _compute_features(dataset, usable, feature_model, progress)
    kinds, dense = np.unique(labels[rows], return_inverse=True)
    given = dense.astype(np.int64)
    trusted = np.ones(len(given), np.bool_)
    with progress.open_stage(_("Comparing the labels"), 2 * NUM_FOLDS) as stage:
        for _round in range(2):
            probabilities = predict_out_of_fold(vectors, given, len(kinds), trusted, stage.advance)
            confident, _table = compute_confident_joint(probabilities, given, trusted)
            trusted = _trust_small_classes(given, (confident < 0) | (confident == given), len(kinds))
    return _rank_label_errors(rows, kinds, given, probabilities, confident)


def predict_out_of_fold(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    trusted: NDArray[np.bool_],
    advance: Callable[[], None],
) -> FloatArray:
    """Return the probabilities (N, C) that linear heads give to ``vectors`` (N, D) that they were not fitted on.

    Only those that are ``trusted`` (N,) are learned from.
    """
    first = logistic.fit(vectors[trusted], labels[trusted], classes, seed=0)
    blank = replace(first, weight=np.zeros_like(first.weight), bias=np.zeros_like(first.bias))
    folds = _assign_folds(labels)
    probabilities = np.empty((len(labels), classes))
    for fold in range(NUM_FOLDS):
        seen = (folds != fold) & trusted
        head = logistic.refit_linear_head(vectors[seen], labels[seen], blank)
        probabilities[folds == fold] = postprocess.softmax(head.compute_logits(vectors[folds == fold]))
        advance()
    return probabilities


def compute_confident_joint(
    probabilities: FloatArray, labels: NDArray[np.int64], trusted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (confident class, its count table): int64 (N,), -1 where no class is confident, and int64 (C, C).

    A class is confident for an image when its probability reaches the mean of that probability among the images that
    carry its label and are ``trusted`` (N,); of several, the most probable counts. Row i, column j of the table tells
    how many images labelled i are confidently j.
    """
    count = probabilities.shape[1]
    usual = np.array([probabilities[trusted & (labels == kind), kind].mean() for kind in range(count)])
    reached = np.where(probabilities >= usual, probabilities, -1.0)
    confident = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (labels[confident >= 0], confident[confident >= 0]), 1)
    return confident.astype(np.int64), table


def _trust_small_classes(labels: NDArray[np.int64], trusted: NDArray[np.bool_], classes: int) -> NDArray[np.bool_]:
    """Return ``trusted``, but all of a class of which too few are."""
    left = np.bincount(labels[trusted], minlength=classes)
    return np.asarray(trusted | (left < MIN_CLASS_IMAGES)[labels])


def _rank_label_errors(
    rows: NDArray[np.int64],
    kinds: NDArray[np.int32],
    labels: NDArray[np.int64],
    probabilities: FloatArray,
    confident: NDArray[np.int64],
) -> LabelErrors:
    sure = (
        probabilities[np.arange(len(labels)), confident] - probabilities[np.arange(len(labels)), labels] >= MIN_MARGIN
    )
    doubted = np.flatnonzero((confident >= 0) & (confident != labels) & sure)
    given = probabilities[doubted, labels[doubted]]
    other = probabilities[doubted, confident[doubted]]
    order = np.argsort(given - other, kind="stable")
    doubted = doubted[order]
    return LabelErrors(rows[doubted], kinds[confident[doubted]].astype(np.int64), given[order], other[order])


def _compute_features(
    dataset: Dataset, rows: NDArray[np.int64], network: FeatureModel, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows that open, and their features (N, D)."""
    source = weights_source.resolve_weights(
        classification_registry.get_model_entry(network.model), network.weights, progress
    )
    spec = weights_source.make_preprocess(source, network.size)
    backbone = prepare_frozen_backbone(source, spec, 0, progress)
    found = features.compute_features(dataset.select(rows), backbone.network_path, spec, progress)
    kept = np.array([i for i in range(len(rows)) if i not in found.rejected], np.int64)
    return rows[kept], found.embeddings


def _assign_folds(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a fold for each image, every fold with its share of every class; the same each time."""
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % NUM_FOLDS
    return folds
