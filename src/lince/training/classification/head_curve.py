"""Measures how a head on frozen features profits from more training images, for the report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.report.classification.head_charts import HeadCurves, HeadSizePoint
from lince.training.classification.heads import logistic, mlp

PARTS = (0.125, 0.25, 0.5)  # of the training images; together they cost less than one more fit
_MIN_PER_CLASS = 2  # training images of a part, on average

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def measure_head_curves(
    head: logistic.LinearHead | mlp.MLPHead, train: tuple[Floats, Labels], val: tuple[Floats, Labels], seed: int
) -> HeadCurves:
    """Return the curves of ``head``, which was fitted on ``train``: features (N, D) and class ids (N,).

    Heads of the same kind and penalty are fitted on the first ``PARTS`` of the training images, in an order that is
    drawn with ``seed`` and keeps the shares of the classes; each starts from nothing. All are measured on ``val``.
    """
    sizes: list[HeadSizePoint] = []
    if len(val[1]):
        order = _order_by_class_share(train[1], seed)
        for part in PARTS:
            rows = order[: round(part * len(order))]
            if len(rows) >= _MIN_PER_CLASS * len(np.unique(train[1])):
                subset = (train[0][rows], train[1][rows])
                sizes.append(_measure(_fit_same_kind(head, subset, seed), subset, val))
        sizes.append(_measure(head, train, val))
    if not isinstance(head, logistic.LinearHead):
        return HeadCurves(tuple(sizes), len(val[1]))
    return HeadCurves(tuple(sizes), len(val[1]), dict(head.cv_losses), head.l2_penalty, logistic.CV_FOLDS)


def _order_by_class_share(labels: Labels, seed: int) -> NDArray[np.int64]:
    """Return the rows (N,) in a random order in which every beginning has about the class shares of the whole."""
    order = np.random.default_rng(seed).permutation(len(labels))
    position = np.empty(len(labels), np.float64)
    for class_id in np.unique(labels):
        rows = order[labels[order] == class_id]
        position[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.asarray(order[np.argsort(position[order], kind="stable")], np.int64)


def _fit_same_kind(
    head: logistic.LinearHead | mlp.MLPHead, subset: tuple[Floats, Labels], seed: int
) -> logistic.LinearHead | mlp.MLPHead:
    """Return a head like ``head`` fitted on ``subset``, from zero or random weights."""
    class_count = len(head.layers[-1][1])
    if not isinstance(head, logistic.LinearHead):
        return mlp.fit(*subset, class_count, seed)
    empty = logistic.LinearHead(np.zeros_like(head.weight), np.zeros_like(head.bias), head.l2_penalty, {})
    return logistic.refit_linear_head(*subset, empty)


def _measure(
    head: logistic.LinearHead | mlp.MLPHead, subset: tuple[Floats, Labels], val: tuple[Floats, Labels]
) -> HeadSizePoint:
    """Return the accuracies of ``head`` on the images that it was fitted on, and on the validation images."""
    train_accuracy, val_accuracy = (
        float((head.compute_logits(features).argmax(axis=1) == labels).mean()) for features, labels in (subset, val)
    )
    return HeadSizePoint(len(subset[1]), train_accuracy, val_accuracy)
