"""What heads on features are solved with: scaled features, and L-BFGS over many problems at the same time; numpy only.

The weights of all problems form one matrix, so that each iteration is two large matrix products over the features
instead of many small ones. The solver is L-BFGS (Liu and Nocedal 1989) with one step length per problem and Armijo
backtracking.

Notation: N images, D features, P problems, n weights of a problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.sampling import sample_evenly

Floats = NDArray[np.float32]
ObjectiveFunction = Callable[[Floats], tuple[NDArray[np.float64], Floats]]
Preconditioner = Callable[[Floats], Floats]

LBFGS_MEMORY = 8
PRECONDITIONER_RANK = 96
PRECONDITIONER_ROWS = 512  # of the features, from which the principal directions are computed
ROUNDING_ERROR = 3e-6  # relative error of a float32 sum: a smaller increase of the loss is ignored


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


@dataclass(frozen=True)
class HeadInputs:
    """Scaled features with a last column of ones, ``x`` float32 (N, D + 1), and their principal directions.

    ``curvatures`` (R,) are a quarter of the mean squares of ``x`` along the ``directions`` (R, D + 1).
    """

    x: Floats
    directions: Floats
    curvatures: Floats

    @classmethod
    def create(cls, scaled: Floats) -> HeadInputs:
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

    def precondition(self, weights: Floats, penalties: Floats) -> Floats:
        """Multiply ``weights`` (P, D + 1) by an approximation of the inverse Hessians, with ``penalties`` (P,).

        The curvature is measured along the principal directions of the features and taken as the smallest of these
        elsewhere. That of the loss in a logit is taken as 1/4 everywhere, its largest value for two classes; for
        the softmax the upper bound of Boehning (1992) is 1/2.
        """
        inverse_along = 1.0 / (self.curvatures[None, :] + penalties[:, None])
        inverse_elsewhere = 1.0 / (self.curvatures.min() + penalties)
        result = ((weights @ self.directions.T) * (inverse_along - inverse_elsewhere[:, None])) @ self.directions
        result += inverse_elsewhere[:, None] * weights
        return np.asarray(result, np.float32)


def turn_into_span(scaled: Floats) -> Floats:
    """Return ``scaled`` (N, D) in coordinates of the span of its rows, (N, min(N, D)).

    Penalised weights lie in that span. Turned into it, the rows keep their products, and so all probabilities, at a
    fraction of the columns.
    """
    if len(scaled) >= scaled.shape[1]:
        return scaled
    return np.ascontiguousarray(np.asarray(np.linalg.qr(scaled.T, mode="r"), np.float32).T)


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
