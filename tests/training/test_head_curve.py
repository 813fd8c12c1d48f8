"""Curves of a head: parts of the training images keep the shares of the classes, and each head starts from nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lince.training.classification.head_curve import PARTS, measure_head_curves
from lince.training.classification.heads import logistic, mlp
from lince.training.classification.labels import ClassLabels


def blobs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features float32 (count, 12) and class ids of three classes that overlap, the first with half of all."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=(0.5, 0.3, 0.2)).astype(np.int64)
    centres = np.random.default_rng(7).normal(size=(3, 12))
    return (centres[labels] + rng.normal(scale=1.6, size=(count, 12))).astype(np.float32), labels


@pytest.mark.parametrize("kind", [logistic, mlp])
def test_the_last_point_is_the_head_itself_and_more_images_help(kind):
    train, val = blobs(240, 0), blobs(400, 1)
    head = kind.fit(*train, 3, 0)
    curves = measure_head_curves(head, train, val, 0)
    assert [point.images for point in curves.sizes] == [*(round(part * 240) for part in PARTS), 240]
    right = [bool(row.argmax() == label) for row, label in zip(head.compute_logits(val[0]), val[1], strict=True)]
    assert curves.sizes[-1].val == pytest.approx(sum(right) / 400)
    assert curves.sizes[-1].val > curves.sizes[0].val
    assert curves.val_count == 400
    assert bool(curves.penalty_losses) == (kind is logistic)
    if kind is logistic:
        assert curves.penalty == min(curves.penalty_losses, key=lambda key: curves.penalty_losses[key])


def test_a_part_knows_nothing_of_the_other_images():
    train, val = blobs(240, 0), blobs(400, 1)
    head = logistic.fit(*train, 3, 0)
    first = ClassLabels().order_evenly(train[1], 0)[: round(PARTS[0] * 240)]
    altered = train[0].copy()
    others = np.setdiff1d(np.arange(240), first)
    altered[others] = 50 * np.random.default_rng(3).normal(size=(len(others), 12))
    assert (
        measure_head_curves(head, train, val, 0).sizes[0]
        == measure_head_curves(head, (altered, train[1]), val, 0).sizes[0]
    )


def test_every_beginning_has_the_shares_of_the_classes():
    labels = blobs(400, 0)[1]
    order = ClassLabels().order_evenly(labels, 5)
    assert sorted(order.tolist()) == list(range(400))
    for size in (50, 100, 200):
        shares = np.bincount(labels[order[:size]], minlength=3) / size
        np.testing.assert_allclose(shares, np.bincount(labels) / 400, atol=0.03)


def test_without_validation_images_or_with_few_photos_nothing_is_measured_that_is_not_there():
    train = blobs(240, 0)
    head = logistic.fit(*train, 3, 0)
    none = (np.empty((0, 12), np.float32), np.empty(0, np.int64))
    assert measure_head_curves(head, train, none, 0).sizes == ()
    few = (train[0][:9], train[1][:9])
    assert len(measure_head_curves(head, few, blobs(30, 1), 0).sizes) == 1  # too few images for parts of them
