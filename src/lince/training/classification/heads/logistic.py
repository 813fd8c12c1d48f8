"""Multinomial logistic regression on features, its strength chosen by cross-validation, in a second or two.

All folds and all strengths are solved side by side: their weights stand in one matrix, so that every iteration is
two large matrix products over the features instead of dozens of small ones. The solver is L-BFGS (Liu and
Nocedal 1989) with one step length per problem and Armijo backtracking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
ObjectiveFunction = Callable[[Floats], tuple[NDArray[np.float64], Floats]]
Preconditioner = Callable[[Floats], Floats]

L2_PENALTIES = tuple(float(10**e) for e in (-5.0, -4.5, -4.0, -3.5, -3.0, -2.0))
CV_FOLDS = 3
LBFGS_MEMORY = 8
PRECONDITIONER_RANK = 96
MIN_LOGIT = -40.0  # a logit this far below the largest: what lies lower gives denormal numbers, 20 times slower
ROUNDING_ERROR = 3e-6  # relative error of a float32 sum: a rise below it is not a rise


@dataclass(frozen=True)
class LinearHead:
    """logits = features @ weight.T + bias; ``weight`` (K, D), ``bias`` (K,), both float32.

    ``strength`` is the L2 penalty chosen, ``scores`` the cross-validated log loss of each strength tried.
    """

    weight: Floats
    bias: Floats
    l2_penalty: float
    cv_losses: dict[float, float]

    def compute_logits(self, features: Floats) -> Floats:
        """Return the logits (N, K) of ``features`` (N, D)."""
        return np.asarray(features @ self.weight.T + self.bias, np.float32)

    @property
    def layers(self) -> list[tuple[Floats, Floats]]:
        """The one dense layer."""
        return [(self.weight, self.bias)]

    def compute_gradient(self, embedding: Floats, class_id: int) -> Floats:
        """Return the gradient (D,) of the class's logit with respect to ``embedding`` (D,)."""
        return np.asarray(self.weight[class_id], np.float32)


@dataclass(frozen=True)
class FeatureScaler:
    """Features to zero mean and unit deviation, divided by sqrt(D) so that every row's length is about one."""

    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, features: Floats) -> FeatureScaler:
        """Measure the scaling on ``features`` (N, D); nearly constant features are left nearly at zero."""
        std = features.std(axis=0)
        floor = max(1e-6, 0.05 * float(np.median(std)))
        scale = 1.0 / (np.maximum(std, floor) * np.sqrt(features.shape[1]))
        return cls(features.mean(axis=0).astype(np.float32), scale.astype(np.float32))

    def transform(self, features: Floats) -> Floats:
        """Return the scaled features (N, D)."""
        return (features - self.mean) * self.scale

    def fold_weights(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Return the (K, D) weight and bias that do on scaled features what these do on raw ones."""
        return np.asarray(weight / self.scale, np.float32), np.asarray(bias + weight @ self.mean, np.float32)

    def unfold_weights(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Return the (K, D) weight and bias that do on raw features what these do on scaled ones."""
        raw = np.asarray(weight * self.scale, np.float32)
        return raw, np.asarray(bias - raw @ self.mean, np.float32)


def fit(features: Floats, labels: NDArray[np.int64], classes: int, seed: int) -> LinearHead:
    """Return the head fitted on ``features`` (N, D) and ``labels`` (N,), its strength by cross-validated log loss."""
    scaling = FeatureScaler.fit(features)
    scaled = scaling.transform(features)
    scores, starts = cross_validate(scaled, labels, classes, seed)
    strength = min(scores, key=lambda key: scores[key])
    flat = _solve(scaled, labels, classes, strength, starts[strength])
    return LinearHead(*_unfold_weights(flat, classes, scaling), strength, scores)


def refit_linear_head(features: Floats, labels: NDArray[np.int64], head: LinearHead) -> LinearHead:
    """Return a head of the same strength, fitted on more data (the training and validation images, say)."""
    scaling = FeatureScaler.fit(features)
    weight, bias = scaling.fold_weights(head.weight, head.bias)
    start = np.concatenate([weight, bias[:, None]], axis=1).reshape(1, -1)
    flat = _solve(scaling.transform(features), labels, len(bias), head.l2_penalty, start)
    return LinearHead(*_unfold_weights(flat, len(bias), scaling), head.l2_penalty, head.cv_losses)


def cross_validate(
    scaled: Floats, labels: NDArray[np.int64], classes: int, seed: int
) -> tuple[dict[float, float], dict[float, Floats]]:
    """Return each strength's mean held-out log loss over stratified folds, and its mean weights as a start."""
    folds = _assign_folds(labels, seed)
    masks = np.repeat(folds[:, None] != np.arange(CV_FOLDS)[None, :], len(L2_PENALTIES), axis=1)
    problem = _PenalisedLosses(scaled, labels, classes, masks, np.tile(np.array(L2_PENALTIES), CV_FOLDS))
    flat = minimise_lbfgs(
        problem.compute_objective, problem.make_start(), problem.precondition, iterations=12, tolerance=3e-4
    )
    losses = problem.compute_held_out_loss(flat).reshape(CV_FOLDS, len(L2_PENALTIES)).mean(axis=0)
    means = flat.reshape(CV_FOLDS, len(L2_PENALTIES), -1).mean(axis=0)
    scores = {strength: float(loss) for strength, loss in zip(L2_PENALTIES, losses, strict=True)}
    return scores, {strength: means[k : k + 1] for k, strength in enumerate(L2_PENALTIES)}


def minimise_lbfgs(
    objective: ObjectiveFunction, start: Floats, precondition: Preconditioner, iterations: int, tolerance: float
) -> Floats:
    """Return the minimisers of P separate problems, ``start`` being (P, n); L-BFGS, vectorised over the problems.

    ``objective`` maps (P, n) to values (P,) and gradients (P, n); ``precondition`` multiplies (P, n) by a guess of
    the inverse Hessians. It stops when the largest entry of every
    problem's gradient is below ``tolerance``, or after ``iterations``.
    """
    point = start
    value, gradient = objective(point)
    pairs: list[tuple[Floats, Floats, Floats]] = []
    for _ in range(iterations):
        if np.all(np.abs(gradient).max(axis=1) <= tolerance):
            break
        direction = -_two_loop_recursion(gradient, pairs, precondition)
        slope = _dot(direction, gradient)
        direction[slope >= 0] = -gradient[slope >= 0]
        moved, new_value, new_gradient = _backtrack(objective, point, value, gradient, direction)
        step, change = moved - point, new_gradient - gradient
        curvature = _dot(step, change)
        inverse = np.where(curvature > 1e-10, 1.0 / np.maximum(curvature, 1e-10), 0.0).astype(np.float32)
        pairs = [*pairs[-(LBFGS_MEMORY - 1) :], (step, change, inverse)]
        point, value, gradient = moved, new_value, new_gradient
    return point


def _backtrack(
    objective: ObjectiveFunction, point: Floats, value: NDArray[np.float64], gradient: Floats, direction: Floats
) -> tuple[Floats, NDArray[np.float64], Floats]:
    slope = _dot(direction, gradient)
    length = np.ones(len(point), np.float32)
    for _ in range(12):
        moved = point + length[:, None] * direction
        new_value, new_gradient = objective(moved)
        bad = new_value > value + 1e-4 * length * slope + ROUNDING_ERROR * value
        if not bad.any():
            break
        length[bad] *= 0.4
    else:
        length[bad] = 0.0
        moved = point + length[:, None] * direction
        new_value, new_gradient = objective(moved)
    return moved, new_value, new_gradient


def _two_loop_recursion(
    gradient: Floats, pairs: list[tuple[Floats, Floats, Floats]], precondition: Preconditioner
) -> Floats:
    result = gradient.copy()
    used = []
    for step, change, inverse in reversed(pairs):
        alpha = inverse * _dot(step, result)
        result -= alpha[:, None] * change
        used.append(alpha)
    result = precondition(result)
    if pairs:
        step, change, inverse = pairs[-1]
        scale = np.where(inverse > 0, 1.0 / np.maximum(inverse * _dot(change, precondition(change)), 1e-12), 1.0)
        result *= scale[:, None].astype(np.float32)
    for (step, change, inverse), alpha in zip(pairs, reversed(used), strict=True):
        beta = inverse * _dot(change, result)
        result += (alpha - beta)[:, None] * step
    return result


def _dot(left: Floats, right: Floats) -> Floats:
    return np.asarray(np.einsum("pn,pn->p", left, right), np.float32)


class _PenalisedLosses:
    """P penalised log losses over the same features, each with its own rows (``masks`` (N, P)) and penalty."""

    def __init__(
        self,
        scaled: Floats,
        labels: NDArray[np.int64],
        classes: int,
        masks: NDArray[np.bool_],
        penalties: NDArray[np.float64],
    ) -> None:
        self.x = np.concatenate([scaled, np.full((len(scaled), 1), 1.0, np.float32)], axis=1)
        self.labels, self.classes, self.masks = labels, classes, masks
        self.penalties = penalties.astype(np.float32)
        self.rows = (masks / masks.sum(axis=0, keepdims=True)).astype(np.float32)
        self.directions, self.curvatures = _principal_directions(self.x, rank=min(PRECONDITIONER_RANK, *self.x.shape))

    def precondition(self, flat: Floats) -> Floats:
        """Multiply by the inverse of a model of the Hessians: exact along the principal directions, flat elsewhere.

        The softmax's own curvature is taken as a constant (the bound of Boehning 1992 is one half of it all).
        """
        weights = flat.reshape(len(flat), self.classes, -1)
        along = weights @ self.directions.T
        steep = 1.0 / (self.curvatures[None, :] + self.penalties[:, None])
        rest = 1.0 / (self.curvatures[-1] + self.penalties)
        result = rest[:, None, None] * weights
        result += (along * (steep - rest[:, None])[:, None, :]) @ self.directions
        return np.asarray(result.reshape(flat.shape), np.float32)

    def make_start(self) -> Floats:
        return np.zeros((self.masks.shape[1], self.classes * self.x.shape[1]), np.float32)

    def compute_objective(self, flat: Floats) -> tuple[NDArray[np.float64], Floats]:
        loss, residual = self._forward(flat)
        value = np.einsum("np,np->p", loss, self.rows).astype(np.float64)
        residual *= self.rows[:, :, None]
        weights = flat.reshape(len(flat), self.classes, -1)
        gradient = (residual.reshape(len(self.x), -1).T @ self.x).reshape(weights.shape)
        gradient[:, :, :-1] += self.penalties[:, None, None] * weights[:, :, :-1]
        norms = np.einsum("pcd,pcd->p", weights[:, :, :-1], weights[:, :, :-1])
        return value + 0.5 * self.penalties * norms, gradient.reshape(flat.shape)

    def compute_held_out_loss(self, flat: Floats) -> NDArray[np.float64]:
        """The mean log loss of every problem on the rows that it did not see."""
        loss, _ = self._forward(flat)
        outside = ~self.masks
        return np.asarray((loss * outside).sum(axis=0) / outside.sum(axis=0), np.float64)

    def _forward(self, flat: Floats) -> tuple[Floats, Floats]:
        count, problems = len(self.x), len(flat)
        logits = (self.x @ flat.reshape(problems * self.classes, -1).T).reshape(count, problems, self.classes)
        logits -= logits.max(axis=2, keepdims=True)
        np.maximum(logits, MIN_LOGIT, out=logits)
        right = np.take_along_axis(logits, self.labels[:, None, None], axis=2)[:, :, 0]
        np.exp(logits, out=logits)
        total = logits.sum(axis=2, keepdims=True)
        loss = np.log(total[:, :, 0]) - right
        logits /= total
        np.put_along_axis(
            logits,
            self.labels[:, None, None],
            np.take_along_axis(logits, self.labels[:, None, None], axis=2) - 1.0,
            axis=2,
        )
        return loss, logits


def _principal_directions(x: Floats, rank: int) -> tuple[Floats, Floats]:
    # The first right singular vectors (rank, D) and a quarter of the mean squares along them, by a randomised
    # range finder with two power iterations (Halko, Martinsson and Tropp 2011).
    basis = np.random.default_rng(0).standard_normal((x.shape[1], rank)).astype(np.float32)
    for _ in range(2):
        basis, _upper = np.linalg.qr(x.T @ (x @ basis))
    _left, singular, right = np.linalg.svd(x @ basis, full_matrices=False)
    return np.asarray(right @ basis.T, np.float32), np.asarray(0.25 * singular**2 / len(x), np.float32)


def _solve(scaled: Floats, labels: NDArray[np.int64], classes: int, strength: float, start: Floats) -> Floats:
    masks = np.ones((len(scaled), 1), np.bool_)
    problem = _PenalisedLosses(scaled, labels, classes, masks, np.array([strength]))
    return minimise_lbfgs(problem.compute_objective, start, problem.precondition, iterations=40, tolerance=1e-4)


def _unfold_weights(flat: Floats, classes: int, scaling: FeatureScaler) -> tuple[Floats, Floats]:
    both = flat.reshape(classes, -1)
    return scaling.unfold_weights(both[:, :-1], both[:, -1])


def _assign_folds(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    # Shuffle, then deal each class out in turn: every fold gets its share of every class.
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % CV_FOLDS
    return folds
