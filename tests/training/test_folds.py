"""Folds of cross-validation: stratified, the same for the same seed, copies together."""

from __future__ import annotations

import numpy as np

from lince.training.classification.heads.folds import assign_grouped_folds


def test_copies_are_in_one_fold_and_classes_in_all() -> None:
    labels, groups = np.arange(60).repeat(3) % 4, np.arange(60).repeat(3)
    folds = assign_grouped_folds(labels, 5, 1, groups)
    assert all(len(set(folds[groups == group].tolist())) == 1 for group in range(60))
    counts = np.array([[((folds == fold) & (labels == name)).sum() for name in range(4)] for fold in range(5)])
    assert counts.min() >= 6
    assert counts.sum() == 180
    np.testing.assert_array_equal(folds, assign_grouped_folds(labels, 5, 1, groups))


def test_groups_of_one_row_change_nothing() -> None:
    labels = np.random.default_rng(0).integers(0, 3, 50)
    alone = assign_grouped_folds(labels, 3, 7)
    np.testing.assert_array_equal(alone, assign_grouped_folds(labels, 3, 7, np.random.default_rng(1).permutation(50)))


def test_a_class_of_one_film_is_in_every_fold() -> None:
    labels, groups = np.repeat([0, 1], 20), np.concatenate([np.zeros(20, int), np.arange(1, 21)])
    folds = assign_grouped_folds(labels, 4, 0, groups)
    assert all((labels[folds != fold] == 0).any() for fold in range(4))
    assert set(folds[labels == 0].tolist()) == set(range(4))
