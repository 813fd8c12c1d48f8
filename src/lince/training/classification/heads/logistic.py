"""Multinomial logistic regression on features, with the L2 penalty chosen by cross-validation; numpy only.

All folds and all penalties are solved at the same time: their weights form one matrix, so that each iteration is two
large matrix products over the features instead of many small ones. The solver is L-BFGS (Liu and Nocedal 1989) with one
step length per problem and Armijo backtracking.

Notation: N images, D features, K classes, P problems (a problem is one fold with one penalty). A solution is a row of
``flat`` (P, K * (D + 1)), the last column of each class being its bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.sampling import sample_evenly
from lince.training.classification.heads.folds import assign_grouped_folds

Floats = NDArray[np.float32]
ObjectiveFunction = Callable[[Floats], tuple[NDArray[np.float64], Floats]]
Preconditioner = Callable[[Floats], Floats]

L2_PENALTIES = tuple(float(10**e) for e in (-5.0, -4.5, -4.0, -3.5, -3.0, -2.0))
CV_FOLDS = 3
LBFGS_MEMORY = 8
PRECONDITIONER_RANK = 96
PRECONDITIONER_ROWS = 512  # of the features, from which the principal directions are computed
MIN_LOGIT = -40.0  # relative to the largest logit: exp of less gives denormal numbers, 20 times slower
ROUNDING_ERROR = 3e-6  # relative error of a float32 sum: a smaller increase of the loss is ignored


@dataclass(frozen=True)
class LinearHead:
    """A dense layer: logits = features @ weight.T + bias, with float32 ``weight`` (K, D) and ``bias`` (K,).

    ``l2_penalty`` is the penalty chosen; ``cv_losses`` maps each penalty tried to its cross-validated log loss in nats.
    """

    weight: Floats
    bias: Floats
    l2_penalty: float
    cv_losses: dict[float, float]

    def compute_logits(self, features: Floats) -> Floats:
        """Return the logits float32 (N, K) of ``features`` (N, D)."""
        return np.asarray(features @ self.weight.T + self.bias, np.float32)

    @property
    def layers(self) -> list[tuple[Floats, Floats]]:
        """The one dense layer, as (weight, bias)."""
        return [(self.weight, self.bias)]

    def compute_gradient(self, embedding: Floats, class_id: int) -> Floats:
        """Return the gradient float32 (D,) of the logit of ``class_id`` with respect to ``embedding`` (D,)."""
        return np.asarray(self.weight[class_id], np.float32)


@dataclass(frozen=True)
class FeatureScaler:
    """Standardises features and divides them by sqrt(D), so that each row has a norm of about one."""

    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, features: Floats) -> FeatureScaler:
        """Measure mean and deviation of ``features`` (N, D).

        Deviations are bounded below by a twentieth of their median, so that nearly constant features stay near zero.
        """
        std = features.std(axis=0)
        floor = max(1e-6, 0.05 * float(np.median(std)))
        scale = 1.0 / (np.maximum(std, floor) * np.sqrt(features.shape[1]))
        return cls(features.mean(axis=0).astype(np.float32), scale.astype(np.float32))

    def transform(self, features: Floats) -> Floats:
        """Return the scaled features (N, D)."""
        return (features - self.mean) * self.scale

    def fold_weights(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Return the weight (K, D) and bias (K,) for scaled features that equal these for raw features."""
        return np.asarray(weight / self.scale, np.float32), np.asarray(bias + weight @ self.mean, np.float32)

    def unfold_weights(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Return the weight (K, D) and bias (K,) for raw features that equal these for scaled features."""
        raw = np.asarray(weight * self.scale, np.float32)
        return raw, np.asarray(bias - raw @ self.mean, np.float32)


def fit(
    features: Floats, labels: NDArray[np.int64], classes: int, seed: int, groups: NDArray[np.int64] | None = None
) -> LinearHead:
    """Return the head fitted on ``features`` float32 (N, D) and ``labels`` (N,), class ids in 0..``classes`` - 1.

    The penalty of least cross-validated log loss is chosen; the fit on all rows starts from its mean weights over the
    folds. ``seed`` determines the folds; rows with the same number in ``groups`` (N,), such as copies, are in one fold.
    """
    scaler = FeatureScaler.fit(features)
    inputs = _HeadInputs.create(scaler.transform(features))
    cv_losses, start_weights = _cross_validate(inputs, labels, classes, seed, groups)
    penalty = min(cv_losses, key=lambda key: cv_losses[key])
    flat = _solve(inputs, labels, classes, penalty, start_weights[penalty])
    return LinearHead(*_unfold_weights(flat, classes, scaler), penalty, cv_losses)


def refit_linear_head(features: Floats, labels: NDArray[np.int64], head: LinearHead) -> LinearHead:
    """Return a head with the penalty of ``head``, fitted on other features (N, D), starting from its weights.

    Used to fit on training and validation images together once the penalty is chosen.
    """
    scaler = FeatureScaler.fit(features)
    weight, bias = scaler.fold_weights(head.weight, head.bias)
    start = np.concatenate([weight, bias[:, None]], axis=1).reshape(1, -1)
    flat = _solve(_HeadInputs.create(scaler.transform(features)), labels, len(bias), head.l2_penalty, start)
    return LinearHead(*_unfold_weights(flat, len(bias), scaler), head.l2_penalty, head.cv_losses)


def predict_held_out(features: Floats, labels: NDArray[np.int64], classes: int, seed: int) -> Floats:
    """Return the probabilities, float32 (L, N, K), of each row by heads that were fitted on the other folds.

    L are the penalties of ``L2_PENALTIES``, in their order; the arguments are those of ``fit``.
    """
    scaled = FeatureScaler.fit(features).transform(features)
    if len(scaled) < scaled.shape[1]:
        # Penalised weights lie in the span of the rows. Turned into it, these keep their products, and so all
        # probabilities, at a fraction of the columns.
        scaled = np.ascontiguousarray(np.asarray(np.linalg.qr(scaled.T, mode="r"), np.float32).T)
    inputs = _HeadInputs.create(scaled)
    folds = assign_grouped_folds(labels, CV_FOLDS, seed)
    problem, flat = _solve_folds(inputs, labels, classes, folds)
    rows, count = np.arange(len(labels)), len(L2_PENALTIES)
    probabilities = problem.compute_probabilities(flat)
    return np.stack([probabilities[rows, folds * count + place] for place in range(count)])


def _cross_validate(
    inputs: _HeadInputs,
    labels: NDArray[np.int64],
    classes: int,
    seed: int,
    groups: NDArray[np.int64] | None,
) -> tuple[dict[float, float], dict[float, Floats]]:
    """Return, by penalty, the mean held-out log loss over stratified folds and the mean weights (1, K * (D + 1))."""
    problem, flat = _solve_folds(inputs, labels, classes, assign_grouped_folds(labels, CV_FOLDS, seed, groups))
    losses = problem.compute_held_out_loss(flat).reshape(CV_FOLDS, len(L2_PENALTIES)).mean(axis=0)
    mean_weights = flat.reshape(CV_FOLDS, len(L2_PENALTIES), -1).mean(axis=0)
    cv_losses = {penalty: float(loss) for penalty, loss in zip(L2_PENALTIES, losses, strict=True)}
    return cv_losses, {penalty: mean_weights[k : k + 1] for k, penalty in enumerate(L2_PENALTIES)}


def _solve_folds(
    inputs: _HeadInputs, labels: NDArray[np.int64], classes: int, folds: NDArray[np.int64]
) -> tuple[_PenalisedLosses, Floats]:
    """Return the problems of all ``folds`` (N,) with all penalties, fold by fold, and their solutions.

    The solutions are approximate (few iterations): enough to rank the penalties and to start the final fit.
    """
    masks = np.repeat(folds[:, None] != np.arange(CV_FOLDS)[None, :], len(L2_PENALTIES), axis=1)
    problem = _PenalisedLosses(inputs, labels, classes, masks, np.tile(np.array(L2_PENALTIES), CV_FOLDS))
    flat = minimise_lbfgs(
        problem.compute_objective, problem.make_start(), problem.precondition, iterations=12, tolerance=3e-4
    )
    return problem, flat


def minimise_lbfgs(
    objective: ObjectiveFunction, start: Floats, precondition: Preconditioner, iterations: int, tolerance: float
) -> Floats:
    """Return the minimisers (P, n) of P independent problems by L-BFGS, vectorised over the problems.

    ``objective`` maps points (P, n) to values (P,) and gradients (P, n); ``precondition`` multiplies (P, n) by an
    approximation of the inverse Hessians. Stops when the largest entry of every problem's gradient is at most
    ``tolerance``, or after ``iterations`` iterations. Problems whose direction is not one of descent take the negative
    gradient.
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
        new_point, new_value, new_gradient = _backtrack(objective, point, value, gradient, direction)
        step, change = new_point - point, new_gradient - gradient
        curvature = _dot(step, change)
        inverse_curvature = np.where(curvature > 1e-10, 1.0 / np.maximum(curvature, 1e-10), 0.0).astype(np.float32)
        pairs = [*pairs[-(LBFGS_MEMORY - 1) :], (step, change, inverse_curvature)]
        point, value, gradient = new_point, new_value, new_gradient
    return point


def _backtrack(
    objective: ObjectiveFunction, point: Floats, value: NDArray[np.float64], gradient: Floats, direction: Floats
) -> tuple[Floats, NDArray[np.float64], Floats]:
    """Return the point, values and gradients after a line search along ``direction`` with Armijo's condition.

    Each problem has its own step length, multiplied by 0.4 while its value has not fallen enough; a problem that still
    has not after 12 trials stays where it is.
    """
    slope = _dot(direction, gradient)
    length = np.ones(len(point), np.float32)
    for _ in range(12):
        new_point = point + length[:, None] * direction
        new_value, new_gradient = objective(new_point)
        insufficient = new_value > value + 1e-4 * length * slope + ROUNDING_ERROR * value
        if not insufficient.any():
            break
        length[insufficient] *= 0.4
    else:
        length[insufficient] = 0.0
        new_point = point + length[:, None] * direction
        new_value, new_gradient = objective(new_point)
    return new_point, new_value, new_gradient


def _two_loop_recursion(
    gradient: Floats, pairs: list[tuple[Floats, Floats, Floats]], precondition: Preconditioner
) -> Floats:
    """Return the approximate inverse Hessian times ``gradient`` (P, n).

    ``pairs`` are the last (step, gradient change, 1 / curvature), oldest first; the reciprocal is 0 for problems whose
    curvature was not positive.
    """
    result = gradient.copy()
    alphas = []
    for step, change, inverse_curvature in reversed(pairs):
        alpha = inverse_curvature * _dot(step, result)
        result -= alpha[:, None] * change
        alphas.append(alpha)
    result = precondition(result)
    if pairs:
        step, change, inverse_curvature = pairs[-1]
        scale = np.where(
            inverse_curvature > 0, 1.0 / np.maximum(inverse_curvature * _dot(change, precondition(change)), 1e-12), 1.0
        )
        result *= scale[:, None].astype(np.float32)
    for (step, change, inverse_curvature), alpha in zip(pairs, reversed(alphas), strict=True):
        beta = inverse_curvature * _dot(change, result)
        result += (alpha - beta)[:, None] * step
    return result


def _dot(left: Floats, right: Floats) -> Floats:
    """Return the row-wise dot products float32 (P,) of two arrays (P, n)."""
    return np.asarray(np.einsum("pn,pn->p", left, right), np.float32)


@dataclass(frozen=True)
class _HeadInputs:
    """Scaled features with a last column of ones, ``x`` float32 (N, D + 1), and their principal directions.

    ``curvatures`` (R,) are a quarter of the mean squares of ``x`` along the ``directions`` (R, D + 1).
    """

    x: Floats
    directions: Floats
    curvatures: Floats

    @classmethod
    def create(cls, scaled: Floats) -> _HeadInputs:
        """Return the inputs of heads on ``scaled`` features (N, D).

        The directions are those of rows that are evenly spread: they only speed up the solver, so that a sample will
        do. Along them, all rows count.
        """
        x = np.concatenate([scaled, np.full((len(scaled), 1), 1.0, np.float32)], axis=1)
        sample = x[sample_evenly(len(x), PRECONDITIONER_ROWS)]
        squares, left = np.linalg.eigh((sample @ sample.T).astype(np.float64))
        kept = np.flatnonzero(squares > 1e-6 * squares[-1])[::-1][:PRECONDITIONER_RANK]
        directions = ((left[:, kept] / np.sqrt(squares[kept])).T.astype(np.float32)) @ sample
        projections = x @ directions.T
        curvatures = 0.25 * np.einsum("nr,nr->r", projections, projections) / np.float32(len(x))
        return cls(x, np.asarray(directions, np.float32), np.asarray(curvatures, np.float32))


class _PenalisedLosses:
    """P penalised log losses over the same features, each with its own training rows and penalty.

    ``masks`` (N, P) marks the rows of each problem. The loss is the mean over those rows plus half the penalty times
    the squared norm of the weights; biases are not penalised.
    """

    def __init__(
        self,
        inputs: _HeadInputs,
        labels: NDArray[np.int64],
        classes: int,
        masks: NDArray[np.bool_],
        penalties: NDArray[np.float64],
    ) -> None:
        self.x, self.directions, self.curvatures = inputs.x, inputs.directions, inputs.curvatures
        self.labels, self.classes, self.masks = labels, classes, masks
        self.penalties = penalties.astype(np.float32)
        self.row_weights = (masks / masks.sum(axis=0, keepdims=True)).astype(np.float32)

    def precondition(self, flat: Floats) -> Floats:
        """Multiply by an approximate inverse Hessian, of the shape of ``flat``.

        The curvature is measured along the principal directions of the features and taken as the smallest of these
        elsewhere. The softmax's part of it is taken as 1/4 everywhere; the upper bound of Boehning (1992) is 1/2.
        """
        weights = flat.reshape(len(flat) * self.classes, -1)  # all problems in one product: many small ones are slow
        inverse_along = 1.0 / (self.curvatures[None, :] + self.penalties[:, None])
        inverse_elsewhere = 1.0 / (self.curvatures.min() + self.penalties)
        factors = np.repeat(inverse_along - inverse_elsewhere[:, None], self.classes, axis=0)
        result = ((weights @ self.directions.T) * factors) @ self.directions
        result += np.repeat(inverse_elsewhere, self.classes)[:, None] * weights
        return np.asarray(result.reshape(flat.shape), np.float32)

    def make_start(self) -> Floats:
        """Return zero weights (P, K * (D + 1))."""
        return np.zeros((self.masks.shape[1], self.classes * self.x.shape[1]), np.float32)

    def compute_objective(self, flat: Floats) -> tuple[NDArray[np.float64], Floats]:
        """Return the losses float64 (P,) and their gradients float32, of the shape of ``flat``."""
        loss, residual = self._forward(flat)
        value = np.einsum("np,np->p", loss, self.row_weights).astype(np.float64)
        residual *= self.row_weights[:, :, None]
        weights = flat.reshape(len(flat), self.classes, -1)
        gradient = (residual.reshape(len(self.x), -1).T @ self.x).reshape(weights.shape)
        gradient[:, :, :-1] += self.penalties[:, None, None] * weights[:, :, :-1]
        norms = np.einsum("pcd,pcd->p", weights[:, :, :-1], weights[:, :, :-1])
        return value + 0.5 * self.penalties * norms, gradient.reshape(flat.shape)

    def compute_held_out_loss(self, flat: Floats) -> NDArray[np.float64]:
        """Return the mean log loss float64 (P,) of every problem on the rows outside its mask."""
        loss, _ = self._forward(flat)
        held_out = ~self.masks
        return np.asarray((loss * held_out).sum(axis=0) / held_out.sum(axis=0), np.float64)

    def compute_probabilities(self, flat: Floats) -> Floats:
        """Return the probability float32 (N, P, K) of every class for every row and problem."""
        _loss, residual = self._forward(flat)
        true = np.take_along_axis(residual, self.labels[:, None, None], axis=2)
        np.put_along_axis(residual, self.labels[:, None, None], true + 1.0, axis=2)
        return residual

    def _forward(self, flat: Floats) -> tuple[Floats, Floats]:
        """Return the log loss (N, P) of every row and problem, and its gradient with respect to the logits (N, P, K).

        Works in place on one array, since it is the largest by far.
        """
        count, problems = len(self.x), len(flat)
        logits = (self.x @ flat.reshape(problems * self.classes, -1).T).reshape(count, problems, self.classes)
        logits -= logits.max(axis=2, keepdims=True)
        np.maximum(logits, MIN_LOGIT, out=logits)
        true_logits = np.take_along_axis(logits, self.labels[:, None, None], axis=2)[:, :, 0]
        np.exp(logits, out=logits)
        sums = logits.sum(axis=2, keepdims=True)
        loss = np.log(sums[:, :, 0]) - true_logits
        logits /= sums
        np.put_along_axis(
            logits,
            self.labels[:, None, None],
            np.take_along_axis(logits, self.labels[:, None, None], axis=2) - 1.0,
            axis=2,
        )
        return loss, logits


def _solve(inputs: _HeadInputs, labels: NDArray[np.int64], classes: int, penalty: float, start: Floats) -> Floats:
    """Return the weights (1, K * (D + 1)) fitted on all rows with one penalty, from ``start`` of the same shape."""
    masks = np.ones((len(inputs.x), 1), np.bool_)
    problem = _PenalisedLosses(inputs, labels, classes, masks, np.array([penalty]))
    return minimise_lbfgs(problem.compute_objective, start, problem.precondition, iterations=40, tolerance=1e-4)


def _unfold_weights(flat: Floats, classes: int, scaler: FeatureScaler) -> tuple[Floats, Floats]:
    """Return the weight (K, D) and bias (K,) for raw features of a solution (1, K * (D + 1)) on scaled ones."""
    weights = flat.reshape(classes, -1)
    return scaler.unfold_weights(weights[:, :-1], weights[:, -1])
