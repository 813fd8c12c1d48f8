"""Multinomial logistic regression on features, with the L2 penalty chosen by cross-validation; numpy only.

All folds and all penalties are solved at the same time (see ``solver``).

Notation: N images, D features, K classes, P problems (a problem is one fold with one penalty). A solution is a row of
``flat`` (P, K * (D + 1)), the last column of each class being its bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.training.classification.heads.folds import assign_grouped_folds
from lince.training.classification.heads.solver import FeatureScaler, Floats, HeadInputs, minimise_lbfgs, turn_into_span

L2_PENALTIES = tuple(float(10**e) for e in (-5.0, -4.5, -4.0, -3.5, -3.0, -2.0))
CV_FOLDS = 3
MIN_LOGIT = -40.0  # relative to the largest logit: exp of less gives denormal numbers, 20 times slower


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


def fit(
    features: Floats, labels: NDArray[np.int64], classes: int, seed: int, groups: NDArray[np.int64] | None = None
) -> LinearHead:
    """Return the head fitted on ``features`` float32 (N, D) and ``labels`` (N,), class ids in 0..``classes`` - 1.

    The penalty of least cross-validated log loss is chosen; the fit on all rows starts from its mean weights over the
    folds. ``seed`` determines the folds; rows with the same number in ``groups`` (N,), such as copies, are in one fold.
    """
    scaler = FeatureScaler.fit(features)
    inputs = HeadInputs.create(scaler.transform(features))
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
    flat = _solve(HeadInputs.create(scaler.transform(features)), labels, len(bias), head.l2_penalty, start)
    return LinearHead(*_unfold_weights(flat, len(bias), scaler), head.l2_penalty, head.cv_losses)


def predict_held_out(features: Floats, labels: NDArray[np.int64], classes: int, seed: int) -> Floats:
    """Return the probabilities, float32 (L, N, K), of each row by heads that were fitted on the other folds.

    L are the penalties of ``L2_PENALTIES``, in their order; the arguments are those of ``fit``.
    """
    inputs = HeadInputs.create(turn_into_span(FeatureScaler.fit(features).transform(features)))
    folds = assign_grouped_folds(labels, CV_FOLDS, seed)
    problem, flat = _solve_folds(inputs, labels, classes, folds)
    rows, count = np.arange(len(labels)), len(L2_PENALTIES)
    probabilities = problem.compute_probabilities(flat)
    return np.stack([probabilities[rows, folds * count + place] for place in range(count)])


def _cross_validate(
    inputs: HeadInputs,
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
    inputs: HeadInputs, labels: NDArray[np.int64], classes: int, folds: NDArray[np.int64]
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


class _PenalisedLosses:
    """P penalised log losses over the same features, each with its own training rows and penalty.

    ``masks`` (N, P) marks the rows of each problem. The loss is the mean over those rows plus half the penalty times
    the squared norm of the weights; biases are not penalised.
    """

    def __init__(
        self,
        inputs: HeadInputs,
        labels: NDArray[np.int64],
        classes: int,
        masks: NDArray[np.bool_],
        penalties: NDArray[np.float64],
    ) -> None:
        self.inputs, self.x = inputs, inputs.x
        self.labels, self.classes, self.masks = labels, classes, masks
        self.penalties = penalties.astype(np.float32)
        self.row_weights = (masks / masks.sum(axis=0, keepdims=True)).astype(np.float32)

    def precondition(self, flat: Floats) -> Floats:
        """Multiply by an approximate inverse Hessian, of the shape of ``flat``; see ``HeadInputs.precondition``."""
        weights = flat.reshape(len(flat) * self.classes, -1)  # all problems in one product: many small ones are slow
        return self.inputs.precondition(weights, np.repeat(self.penalties, self.classes)).reshape(flat.shape)

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


def _solve(inputs: HeadInputs, labels: NDArray[np.int64], classes: int, penalty: float, start: Floats) -> Floats:
    """Return the weights (1, K * (D + 1)) fitted on all rows with one penalty, from ``start`` of the same shape."""
    masks = np.ones((len(inputs.x), 1), np.bool_)
    problem = _PenalisedLosses(inputs, labels, classes, masks, np.array([penalty]))
    return minimise_lbfgs(problem.compute_objective, start, problem.precondition, iterations=40, tolerance=1e-4)


def _unfold_weights(flat: Floats, classes: int, scaler: FeatureScaler) -> tuple[Floats, Floats]:
    """Return the weight (K, D) and bias (K,) for raw features of a solution (1, K * (D + 1)) on scaled ones."""
    weights = flat.reshape(classes, -1)
    return scaler.unfold_weights(weights[:, :-1], weights[:, -1])
