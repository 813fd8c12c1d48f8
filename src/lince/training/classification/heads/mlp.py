"""Two-layer perceptron with dropout on features, an alternative head of the recipe ``transfer``; numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.postprocess import softmax
from lince.training.classification.heads.solver import FeatureScaler, Floats

HIDDEN_UNITS = 64
DROPOUT = 0.5
EPOCHS = 15
BATCH_SIZE = 256
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4
TINY = np.float32(1e-12)  # added to gradients: moments of vanished gradients would become denormal, 20 times slower


@dataclass(frozen=True)
class MLPHead:
    """A two-layer perceptron: logits = relu(features @ w1.T + b1) @ w2.T + b2.

    ``w1`` (H, D), ``b1`` (H,), ``w2`` (K, H) and ``b2`` (K,) are float32.
    """

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats

    def compute_logits(self, features: Floats) -> Floats:
        """Return the logits float32 (N, K) of ``features`` (N, D), without dropout."""
        hidden = np.maximum(features @ self.w1.T + self.b1, 0.0)
        return np.asarray(hidden @ self.w2.T + self.b2, np.float32)

    @property
    def layers(self) -> list[tuple[Floats, Floats]]:
        """The dense layers as (weight, bias), first to last, with a ReLU between them."""
        return [(self.w1, self.b1), (self.w2, self.b2)]

    def compute_gradient(self, embedding: Floats, class_id: int) -> Floats:
        """Return the gradient float32 (D,) of the logit of ``class_id`` with respect to ``embedding`` (D,)."""
        active = (self.w1 @ embedding + self.b1) > 0
        return np.asarray((self.w2[class_id] * active) @ self.w1, np.float32)


def fit(features: Floats, labels: NDArray[np.int64], classes: int, seed: int) -> MLPHead:
    """Return the head trained on ``features`` float32 (N, D) and ``labels`` (N,), class ids in 0..``classes`` - 1.

    Trained for ``EPOCHS`` epochs by AdamW with a cosine learning-rate schedule, on standardised features; the
    standardisation is then folded into the first layer. ``seed`` determines the weights, the order and the dropout.
    """
    scaler = FeatureScaler.fit(features)
    scaled = scaler.transform(features) * np.float32(np.sqrt(features.shape[1]))
    rng = np.random.default_rng(seed)
    optimizer = _AdamW(_initial_weights(rng, features.shape[1], classes))
    steps = EPOCHS * -(-len(labels) // BATCH_SIZE)
    for epoch in range(EPOCHS):
        order = rng.permutation(len(labels))
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            gradients = _compute_gradients(optimizer.weights, scaled[rows], labels[rows], rng)
            optimizer.step(
                gradients,
                LEARNING_RATE * _cosine_factor(epoch * -(-len(labels) // BATCH_SIZE) + start // BATCH_SIZE, steps),
            )
    w1, b1, w2, b2 = optimizer.weights
    w1, b1 = scaler.unfold_weights(w1 * np.float32(np.sqrt(features.shape[1])), b1)
    return MLPHead(w1, b1, w2, b2)


def _initial_weights(rng: np.random.Generator, depth: int, classes: int) -> list[Floats]:
    """Return [w1, b1, w2, b2]: He et al. (2015) for the ReLU layer, small weights for the last layer, zero biases.

    With a small last layer all classes start with nearly equal probabilities.
    """
    w1 = rng.standard_normal((HIDDEN_UNITS, depth), np.float32) * np.float32(np.sqrt(2.0 / depth))
    w2 = rng.standard_normal((classes, HIDDEN_UNITS), np.float32) * np.float32(0.5 / np.sqrt(HIDDEN_UNITS))
    return [w1, np.zeros(HIDDEN_UNITS, np.float32), w2, np.zeros(classes, np.float32)]


def _compute_gradients(
    weights: list[Floats], x: Floats, labels: NDArray[np.int64], rng: np.random.Generator
) -> list[Floats]:
    """Return the gradients of the mean cross-entropy of a batch, in the order and shapes of ``weights``.

    ``x`` is (N, D); the dropout mask of the hidden layer is drawn from ``rng``.
    """
    w1, b1, w2, b2 = weights
    hidden = np.maximum(x @ w1.T + b1, 0.0)
    dropout_mask = (rng.random(hidden.shape, np.float32) >= DROPOUT) * np.float32(1.0 / (1.0 - DROPOUT))
    hidden *= dropout_mask
    residual = softmax(hidden @ w2.T + b2)
    residual[np.arange(len(labels)), labels] -= 1.0
    residual /= len(labels)
    hidden_gradient = (residual @ w2) * dropout_mask * (hidden > 0)
    return [hidden_gradient.T @ x, hidden_gradient.sum(axis=0), residual.T @ hidden, residual.sum(axis=0)]


def _cosine_factor(step: int, steps: int) -> float:
    """Return the fraction of the initial learning rate at ``step`` of ``steps``, falling from 1 to 0."""
    return 0.5 * (1.0 + float(np.cos(np.pi * step / steps)))


class _AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) on a list of arrays."""

    def __init__(self, weights: list[Floats]) -> None:
        self.weights = weights
        self.first_moments = [np.zeros_like(w) for w in weights]
        self.second_moments = [np.zeros_like(w) for w in weights]
        self.step_count = 0

    def step(self, gradients: list[Floats], rate: float) -> None:
        """Update the weights in place from ``gradients`` of the same shapes; ``rate`` is the learning rate.

        Moment decays are 0.9 and 0.999; biases decay like weights.
        """
        self.step_count += 1
        scale = np.float32(rate * np.sqrt(1 - 0.999**self.step_count) / (1 - 0.9**self.step_count))
        decay_factor = np.float32(1 - rate * WEIGHT_DECAY)
        for index, gradient in enumerate(gradients):
            nonzero_gradient = gradient + TINY
            self.first_moments[index] = np.float32(0.9) * self.first_moments[index] + np.float32(0.1) * nonzero_gradient
            self.second_moments[index] = (
                np.float32(0.999) * self.second_moments[index] + np.float32(0.001) * nonzero_gradient * nonzero_gradient
            )
            denominator = np.sqrt(self.second_moments[index]) + np.float32(1e-8)
            self.weights[index] = np.asarray(
                decay_factor * self.weights[index] - scale * self.first_moments[index] / denominator, np.float32
            )
