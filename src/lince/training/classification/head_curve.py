"""Measures how a head on frozen features profits from more training images, for the report."""

from __future__ import annotations

from math import isfinite

from lince.evaluation.report.classification.head_charts import HeadCurves, HeadSizePoint
from lince.training.classification.labels import ClassLabels
from lince.training.image_labels import Floats, ImageHead, ImageLabels, Truth

PARTS = (0.125, 0.25, 0.5)  # of the training images; together they cost less than one more fit
_MIN_PER_CLASS = 2  # training images of a part, on average
_CLASS_LABELS = ClassLabels()


def measure_head_curves(
    head: ImageHead,
    train: tuple[Floats, Truth],
    val: tuple[Floats, Truth],
    seed: int,
    labels: ImageLabels = _CLASS_LABELS,
) -> HeadCurves:
    """Return the curves of ``head``, which was fitted on ``train``: features (N, D) and their ``labels`` (N, ...).

    Heads of the same kind and penalty are fitted on the first ``PARTS`` of the training images, in an order that is
    drawn with ``seed`` and keeps the shares of the classes; each starts from nothing. All are measured on ``val``.
    """
    sizes: list[HeadSizePoint] = []
    if len(val[1]):
        order = labels.order_evenly(train[1], seed)
        for part in PARTS:
            rows = order[: round(part * len(order))]
            if len(rows) >= _MIN_PER_CLASS * labels.count_classes(train[1]):
                subset = (train[0][rows], train[1][rows])
                sizes.append(_measure(labels, labels.fit_again(*subset, head, seed), subset, val))
        sizes.append(_measure(labels, head, train, val))
    sizes = [point for point in sizes if isfinite(point.val)]  # it is NaN where the validation shows no class
    search = labels.get_penalty_search(head)
    if search is None:
        return HeadCurves(tuple(sizes), len(val[1]), figure=labels.figure)
    return HeadCurves(tuple(sizes), len(val[1]), search.losses, search.chosen, search.folds, labels.figure)


def _measure(
    labels: ImageLabels, head: ImageHead, subset: tuple[Floats, Truth], val: tuple[Floats, Truth]
) -> HeadSizePoint:
    """Return the figures of ``head`` on the images that it was fitted on, and on the validation images."""
    train_figure, val_figure = (
        labels.measure(head.compute_logits(features), truth)[1] for features, truth in (subset, val)
    )
    return HeadSizePoint(len(subset[1]), train_figure, val_figure)
