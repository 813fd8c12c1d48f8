"""Transfer heads: against scikit-learn, finite differences, and difficult data."""

from __future__ import annotations

import numpy as np
import pytest

linear_model = pytest.importorskip("sklearn.linear_model")

from lince.training.classification.heads import logistic, mlp  # noqa: E402


def blobs(count: int, depth: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    centres = np.random.default_rng(7).standard_normal((classes, depth))
    features = centres[labels] + 1.5 * rng.standard_normal((count, depth))
    return np.maximum(features, 0).astype(np.float32), labels.astype(np.int64)


def test_the_solution_is_that_of_scikit_learn():
    features, labels = blobs(300, 20, 4)
    scaling = logistic.FeatureScaler.fit(features)
    scaled = scaling.transform(features)
    strength = 1e-3
    ours = logistic.refit_linear_head(
        features, labels, logistic.LinearHead(np.zeros((4, 20), np.float32), np.zeros(4, np.float32), strength, {})
    )
    theirs = linear_model.LogisticRegression(C=1 / (strength * len(labels)), max_iter=5000, tol=1e-8)
    theirs.fit(scaled.astype(np.float64), labels)
    expected = theirs.decision_function(scaled.astype(np.float64))
    found = ours.compute_logits(features)
    found, expected = found - found.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True)
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.99


def test_cross_validation_prefers_a_stronger_penalty_when_labels_are_noise():
    features, labels = blobs(240, 60, 3)
    noise = np.random.default_rng(1).integers(0, 3, len(labels)).astype(np.int64)
    assert logistic.fit(features, noise, 3, seed=0).l2_penalty > logistic.fit(features, labels, 3, seed=0).l2_penalty


def test_fitting_twice_gives_the_same_bits():
    features, labels = blobs(200, 30, 3)
    one, two = (logistic.fit(features, labels, 3, seed=4) for _ in range(2))
    assert np.array_equal(one.weight, two.weight)
    assert one.cv_losses == two.cv_losses


@pytest.mark.parametrize("count", [6, 9])
def test_a_handful_of_images_and_dead_features_are_survived(count):
    features, labels = blobs(count, 12, 3)
    labels[:3] = [0, 1, 2]
    features[:, :4] = 0.0
    head = logistic.fit(features, labels, 3, seed=0)
    assert np.isfinite(head.compute_logits(features)).all()


def test_mlp_learns_what_no_line_can_tell():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((1200, 2)).astype(np.float32)
    labels = ((features[:, 0] > 0) ^ (features[:, 1] > 0)).astype(np.int64)
    head = mlp.fit(np.tile(features, (4, 1)), np.tile(labels, 4), 2, seed=0)
    assert (head.compute_logits(features).argmax(1) == labels).mean() > 0.85


@pytest.mark.parametrize("fit", [logistic.fit, mlp.fit])
def test_gradient_of_a_logit_is_that_of_finite_differences(fit):
    features, labels = blobs(120, 8, 3)
    head = fit(features, labels, 3, 0)
    at, step = features[0].astype(np.float32), 1e-3

    def logit(row):
        return head.compute_logits(row[None])[0, 1]

    numeric = [(logit(at + step * unit) - logit(at - step * unit)) / (2 * step) for unit in np.eye(8, dtype=np.float32)]
    assert np.allclose(head.compute_gradient(at, 1), numeric, atol=2e-2)
