"""A small multilayer perceptron with dropout on features: the other head of the transfer recipe, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.postprocess import softmax
from lince.training.classification.heads.logistic import FeatureScaler, Floats

HIDDEN_UNITS = 64
DROPOUT = 0.5
EPOCHS = 15
BATCH_SIZE = 256
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4
TINY = np.float32(1e-12)  # keeps averages of gradients that have died away from denormal numbers, 20 times slower


@dataclass(frozen=True)
class MLPHead:
    """logits = relu(features @ w1.T + b1) @ w2.T + b2; ``w1`` (H, D), ``w2`` (K, H), float32."""

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats

    def compute_logits(self, features: Floats) -> Floats:
        """Return the logits (N, K) of ``features`` (N, D)."""
        hidden = np.maximum(features @ self.w1.T + self.b1, 0.0)
        return np.asarray(hidden @ self.w2.T + self.b2, np.float32)

    @property
    def layers(self) -> list[tuple[Floats, Floats]]:
        """The dense layers, first to last, with a ReLU between them."""
        return [(self.w1, self.b1), (self.w2, self.b2)]

    def compute_gradient(self, embedding: Floats, class_id: int) -> Floats:
        """Return the gradient (D,) of the class's logit with respect to ``embedding`` (D,)."""
        active = (self.w1 @ embedding + self.b1) > 0
        return np.asarray((self.w2[class_id] * active) @ self.w1, np.float32)


def fit(features: Floats, labels: NDArray[np.int64], classes: int, seed: int) -> MLPHead:
    """Return the head trained on ``features`` (N, D), ``labels`` (N,) by Adam (Kingma and Ba 2015), cosine rates."""
    scaling = FeatureScaler.fit(features)
    scaled = scaling.transform(features) * np.float32(np.sqrt(features.shape[1]))
    rng = np.random.default_rng(seed)
    adam = _AdamW(_initial_weights(rng, features.shape[1], classes))
    steps = EPOCHS * -(-len(labels) // BATCH_SIZE)
    for epoch in range(EPOCHS):
        order = rng.permutation(len(labels))
        for at in range(0, len(order), BATCH_SIZE):
            rows = order[at : at + BATCH_SIZE]
            gradients = _compute_gradients(adam.weights, scaled[rows], labels[rows], rng)
            adam.step(
                gradients,
                LEARNING_RATE * _cosine_factor(epoch * -(-len(labels) // BATCH_SIZE) + at // BATCH_SIZE, steps),
            )
    w1, b1, w2, b2 = adam.weights
    w1, b1 = scaling.unfold_weights(w1 * np.float32(np.sqrt(features.shape[1])), b1)
    return MLPHead(w1, b1, w2, b2)


def _initial_weights(rng: np.random.Generator, depth: int, classes: int) -> list[Floats]:
    # He et al. 2015 for the ReLU layer; the last layer starts small, so that all classes start alike.
    w1 = rng.standard_normal((HIDDEN_UNITS, depth), np.float32) * np.float32(np.sqrt(2.0 / depth))
    w2 = rng.standard_normal((classes, HIDDEN_UNITS), np.float32) * np.float32(0.5 / np.sqrt(HIDDEN_UNITS))
    return [w1, np.zeros(HIDDEN_UNITS, np.float32), w2, np.zeros(classes, np.float32)]


def _compute_gradients(
    weights: list[Floats], x: Floats, labels: NDArray[np.int64], rng: np.random.Generator
) -> list[Floats]:
    w1, b1, w2, b2 = weights
    hidden = np.maximum(x @ w1.T + b1, 0.0)
    keep = (rng.random(hidden.shape, np.float32) >= DROPOUT) * np.float32(1.0 / (1.0 - DROPOUT))
    hidden *= keep
    residual = softmax(hidden @ w2.T + b2)
    residual[np.arange(len(labels)), labels] -= 1.0
    residual /= len(labels)
    back = (residual @ w2) * keep * (hidden > 0)
    return [back.T @ x, back.sum(axis=0), residual.T @ hidden, residual.sum(axis=0)]


def _cosine_factor(step: int, steps: int) -> float:
    return 0.5 * (1.0 + float(np.cos(np.pi * step / steps)))


class _AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) on a list of arrays."""

    def __init__(self, weights: list[Floats]) -> None:
        self.weights = weights
        self.first_moments = [np.zeros_like(w) for w in weights]
        self.second_moments = [np.zeros_like(w) for w in weights]
        self.step_count = 0

    def step(self, gradients: list[Floats], rate: float) -> None:
        self.step_count += 1
        scale = np.float32(rate * np.sqrt(1 - 0.999**self.step_count) / (1 - 0.9**self.step_count))
        shrink = np.float32(1 - rate * WEIGHT_DECAY)
        for k, gradient in enumerate(gradients):
            alive = gradient + TINY
            self.first_moments[k] = np.float32(0.9) * self.first_moments[k] + np.float32(0.1) * alive
            self.second_moments[k] = np.float32(0.999) * self.second_moments[k] + np.float32(0.001) * alive * alive
            root = np.sqrt(self.second_moments[k]) + np.float32(1e-8)
            self.weights[k] = np.asarray(shrink * self.weights[k] - scale * self.first_moments[k] / root, np.float32)
