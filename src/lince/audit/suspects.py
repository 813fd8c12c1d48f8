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

from lince import decode
from lince.annotations import UNLABELLED
from lince.audit.finding import Evidence, Finding, Severity, Words, finding
from lince.data import Dataset
from lince.errors import UsageError
from lince.evaluation.figures import percent
from lince.messages import _
from lince.models import registry, sources
from lince.progress import SILENT, Progress
from lince.training import features, logistic
from lince.training.backbones import frozen

WRONG_LABEL = "wrong-label"
FOLDS = 5
LEAST = 5  # images of a class below which nothing can be told about it
SURE = 0.8  # how much more probable the proposed class must be than the one given
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Network:
    """The frozen network whose features are compared: a preset or a name, its weights, and its input in pixels."""

    model: str = "small"
    weights: str = "auto"
    size: int | None = None


@dataclass(frozen=True, eq=False)
class Suspects:
    """The labels in doubt, the most doubtful first.

    ``rows`` int64 (K,) are images, ``proposed`` int64 (K,) the classes they probably show, ``given`` and ``other``
    float64 (K,) the probabilities of the class given and of the one proposed.
    """

    rows: NDArray[np.int64]
    proposed: NDArray[np.int64]
    given: Floats
    other: Floats


def check(evidence: Evidence, network: Network, progress: Progress = SILENT) -> list[Finding]:
    """Return the finding on labels that are probably wrong; raise ``UsageError`` where images have no classes."""
    dataset = evidence.dataset
    found = search(dataset, network, progress)
    words = Words(
        Severity.WARNING,
        _("Labels that are probably wrong"),
        _("A predictor that had not seen these photos takes them for another class, and is sure of it."),
        _("Look at each. Correct those that are wrong; keep those that are right and merely hard."),
    )
    names = dataset.classes.names
    texts = (
        _("labelled {given} ({low}), probably {proposed} ({high})").format(
            given=names[int(dataset.class_ids[row])], low=percent(low, 0), proposed=names[kind], high=percent(high, 0)
        )
        for row, kind, low, high in zip(
            found.rows.tolist(), found.proposed.tolist(), found.given, found.other, strict=True
        )
    )
    examples = (evidence.example(row, text) for row, text in zip(found.rows.tolist(), texts, strict=True))
    return finding(WRONG_LABEL, words, examples, len(found.rows))


def search(dataset: Dataset, network: Network, progress: Progress = SILENT) -> Suspects:
    """Return the suspects among the images of ``dataset`` that have a class.

    The features are those that training uses, from the cache where they were computed before. Classes of fewer than
    five images are passed over. Raise ``UsageError`` when fewer than two classes are left.
    """
    labels = dataset.class_ids
    sizes = np.bincount(labels[labels != UNLABELLED], minlength=len(dataset.classes))
    usable = np.flatnonzero((labels != UNLABELLED) & (sizes >= LEAST)[labels])
    if (sizes >= LEAST).sum() < 2:
        raise UsageError(
            _("There is nothing to compare the labels with: {n} classes have {least} images or more.").format(
                n=int((sizes >= LEAST).sum()), least=LEAST
            ),
            _("Expected two or more such classes, given to whole images."),
        )
    rows, vectors = _embedded(dataset, usable, network, progress)
    kinds, dense = np.unique(labels[rows], return_inverse=True)
    given = dense.astype(np.int64)
    trusted = np.ones(len(given), np.bool_)
    with progress.stage(_("Comparing the labels"), 2 * FOLDS) as stage:
        for _round in range(2):
            probabilities = out_of_fold(vectors, given, len(kinds), trusted, stage.advance)
            confident, _table = confident_joint(probabilities, given, trusted)
            trusted = _enough(given, (confident < 0) | (confident == given), len(kinds))
    return _ranked(rows, kinds, given, probabilities, confident)


def out_of_fold(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    trusted: NDArray[np.bool_],
    advance: Callable[[], None],
) -> Floats:
    """Return the probabilities (N, C) that linear heads give to ``vectors`` (N, D) that they were not fitted on.

    Only those that are ``trusted`` (N,) are learned from.
    """
    first = logistic.fit(vectors[trusted], labels[trusted], classes, seed=0)
    blank = replace(first, weight=np.zeros_like(first.weight), bias=np.zeros_like(first.bias))
    folds = _folds(labels)
    probabilities = np.empty((len(labels), classes))
    for fold in range(FOLDS):
        seen = (folds != fold) & trusted
        head = logistic.refit(vectors[seen], labels[seen], blank)
        probabilities[folds == fold] = decode.probabilities(head.logits(vectors[folds == fold]))
        advance()
    return probabilities


def confident_joint(
    probabilities: Floats, labels: NDArray[np.int64], trusted: NDArray[np.bool_]
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


def _enough(labels: NDArray[np.int64], trusted: NDArray[np.bool_], classes: int) -> NDArray[np.bool_]:
    """Return ``trusted``, but all of a class of which too few are."""
    left = np.bincount(labels[trusted], minlength=classes)
    return np.asarray(trusted | (left < LEAST)[labels])


def _ranked(
    rows: NDArray[np.int64],
    kinds: NDArray[np.int32],
    labels: NDArray[np.int64],
    probabilities: Floats,
    confident: NDArray[np.int64],
) -> Suspects:
    sure = probabilities[np.arange(len(labels)), confident] - probabilities[np.arange(len(labels)), labels] >= SURE
    doubted = np.flatnonzero((confident >= 0) & (confident != labels) & sure)
    given = probabilities[doubted, labels[doubted]]
    other = probabilities[doubted, confident[doubted]]
    order = np.argsort(given - other, kind="stable")
    doubted = doubted[order]
    return Suspects(rows[doubted], kinds[confident[doubted]].astype(np.int64), given[order], other[order])


def _embedded(
    dataset: Dataset, rows: NDArray[np.int64], network: Network, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows that open, and their features (N, D)."""
    source = sources.locate(registry.find(network.model), network.weights, progress)
    spec = sources.preprocess_for(source, network.size)
    backbone = frozen(source, spec, 0, progress)
    found = features.compute(dataset.select(rows), backbone.network, spec, progress)
    kept = np.array([i for i in range(len(rows)) if i not in found.refused], np.int64)
    return rows[kept], found.rows


def _folds(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a fold for each image, every fold with its share of every class; the same each time."""
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % FOLDS
    return folds
