"""Heads of several classes: equal to scikit-learn's logistic regressions, penalties, folds, and held-out answers."""

from __future__ import annotations

import numpy as np
import pytest

from lince.training.classification.heads.logistic import L2_PENALTIES
from lince.training.classification.heads.solver import FeatureScaler
from lince.training.multilabel.folds import assign_folds
from lince.training.multilabel.heads import (
    BinaryHeads,
    choose_penalties,
    fit_binary_heads,
    predict_held_out,
    refit_binary_heads,
)


def blobs(count: int, class_count: int = 3, width: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, D) in which each class shifts some columns, and truth (N, C)."""
    rng = np.random.default_rng(seed)
    truth = rng.random((count, class_count)) < np.linspace(0.15, 0.5, class_count)
    directions = np.random.default_rng(99).normal(size=(class_count, width))
    features = rng.normal(size=(count, width)) + truth @ directions
    return (3 + 5 * features).astype(np.float32), truth


def test_each_class_is_the_logistic_regression_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    features, truth = blobs(400)
    penalties = np.array([1e-2, 1e-3, 1e-4], np.float32)
    empty = BinaryHeads(np.zeros((3, 12), np.float32), np.zeros(3, np.float32), 1e-3, {}, penalties)
    heads = refit_binary_heads(features, truth, empty)
    scaled = FeatureScaler.fit(features).transform(features).astype(np.float64)
    for i in range(3):
        model = sklearn.LogisticRegression(C=1 / (len(features) * float(penalties[i])), tol=1e-10, max_iter=10_000)
        expected = model.fit(scaled, truth[:, i]).decision_function(scaled)
        np.testing.assert_allclose(heads.compute_logits(features)[:, i], expected, atol=0.02, rtol=0.01)


def test_a_class_is_fitted_as_if_it_were_alone() -> None:
    features, truth = blobs(300)
    penalties = np.full(3, 1e-3, np.float32)
    together = refit_binary_heads(
        features, truth, BinaryHeads(np.zeros((3, 12), np.float32), np.zeros(3, np.float32), 1e-3, {}, penalties)
    )
    for i in range(3):
        alone = BinaryHeads(np.zeros((1, 12), np.float32), np.zeros(1, np.float32), 1e-3, {}, penalties[:1])
        found = refit_binary_heads(features, truth[:, i : i + 1], alone)
        np.testing.assert_allclose(found.weight[0], together.weight[i], atol=2e-3)


def test_the_same_seed_gives_the_same_bits() -> None:
    features, truth = blobs(200)
    one, two = (fit_binary_heads(features, truth, seed=3) for _ in range(2))
    assert one.weight.tobytes() == two.weight.tobytes()
    assert one.bias.tobytes() == two.bias.tobytes()


def test_held_out_answers_are_those_of_heads_that_never_saw_the_row() -> None:
    features, truth = blobs(240)
    noise = np.random.default_rng(7).random(truth.shape) < 0.4
    known = fit_binary_heads(features, noise, 0)
    assert known.held_out is not None
    probabilities, losses = predict_held_out(features, noise, 0)
    own = probabilities[np.searchsorted(L2_PENALTIES, known.penalties), :, np.arange(3)].T
    np.testing.assert_allclose(known.held_out, own, atol=0.02)
    # Noise cannot be told: what is fitted answers its own rows better than what is held out.
    fitted = 1 / (1 + np.exp(-known.compute_logits(features)))
    assert np.abs(fitted - noise).mean() < np.abs(known.held_out - noise).mean()
    assert losses.shape[1] == len(L2_PENALTIES)
    assert refit_binary_heads(features, noise, known).held_out is None


def test_noise_gets_a_stronger_penalty_than_what_can_be_told() -> None:
    features, truth = blobs(300)
    noise = np.random.default_rng(5).random(truth.shape) < 0.4
    assert fit_binary_heads(features, noise, 0).l2_penalty > fit_binary_heads(features, truth, 0).l2_penalty


def test_classes_that_none_or_all_images_have_do_no_harm() -> None:
    features, truth = blobs(120)
    truth[:, 0], truth[:, 1] = False, True
    heads = fit_binary_heads(features, truth, 0)
    logits = heads.compute_logits(features)
    assert np.isfinite(logits).all()
    assert (logits[:, 0] < 0).all()
    assert (logits[:, 1] > 0).all()


def test_own_penalties_are_taken_only_where_they_do_better_on_other_folds() -> None:
    count = len(L2_PENALTIES)
    agreed = np.full((3, count, 2), 1.0)
    agreed[:, 1, 0] = agreed[:, 4, 1] = 0.2  # each class has its own best penalty in all folds
    assert (
        choose_penalties(agreed, np.array([50, 50])).tolist() == np.float32([L2_PENALTIES[1], L2_PENALTIES[4]]).tolist()
    )
    assert len(set(choose_penalties(agreed, np.array([50, 3])).tolist())) == 1  # too few images for one of its own
    chance = np.full((3, count, 2), 1.0)
    chance[:, 2] = 0.9
    for fold in range(3):
        chance[fold, fold, 1] = 0.2  # another one in each fold: what is best on two folds is not on the third
    assert len(set(choose_penalties(chance, np.array([50, 50])).tolist())) == 1


def test_held_out_answers_know_nothing_of_their_own_label() -> None:
    features, truth = blobs(300)
    before, _losses = predict_held_out(features, truth, 0)
    assert (((before[2] > 0.5) == truth).mean(axis=0) > 0.75).all()
    noise = np.random.default_rng(1).random(truth.shape) < 0.5
    blind, _losses = predict_held_out(features, noise, 0)
    assert abs(((blind[-1] > 0.5) == noise).mean() - 0.5) < 0.08


def test_answers_that_are_not_trusted_teach_nothing() -> None:
    features, truth = blobs(300)
    wrong = truth.copy()
    wrong[::4, 0] ^= True
    trusted = np.ones_like(truth)
    trusted[::4, 0] = False
    with_doubt, _losses = predict_held_out(features, wrong, 0, trusted=trusted)
    flipped = np.where(trusted, wrong, ~wrong)
    again, _losses = predict_held_out(features, flipped, 0, trusted=trusted)
    # The folds depend on the labels; the heads of the other classes must not.
    right = ((with_doubt[2][:, 0] > 0.5) == truth[:, 0]).mean()
    assert right > 0.75
    assert ((again[2][:, 0] > 0.5) == truth[:, 0]).mean() > 0.75


def test_folds_share_each_class_evenly_and_keep_groups_together() -> None:
    _features, truth = blobs(600, 6)
    groups = np.repeat(np.arange(200), 3)
    for folds in (assign_folds(truth, 4, 0), assign_folds(truth, 4, 0, groups)):
        shares = np.stack([truth[folds == fold].sum(axis=0) for fold in range(4)]) / truth.sum(axis=0)
        assert np.abs(shares - 0.25).max() < 0.06
        assert np.bincount(folds).min() > 120
    assert all(len(set(folds[groups == group].tolist())) == 1 for group in range(200))
