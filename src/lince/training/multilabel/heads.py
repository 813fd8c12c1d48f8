"""One L2-regularised logistic regression for each class, all side by side; numpy only.

This is "binary relevance" (Tsoumakas and Katakis, "Multi-Label Classification: An Overview", 2007): the classes are
independent problems over the same features. All of them are solved at the same time, with all folds and all penalties
(see ``classification.heads.solver``).

Notation: N images, D features, C classes, F folds, L penalties; P problems, each a fold, a penalty and a class in
this order. A solution is a row of weights (P, D + 1), the last column being the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.training.classification.heads.logistic import CV_FOLDS, L2_PENALTIES, LinearHead
from lince.training.classification.heads.solver import (
    FeatureScaler,
    Floats,
    HeadInputs,
    minimise_lbfgs,
    turn_into_span,
)
from lince.training.multilabel.folds import assign_folds

Booleans = NDArray[np.bool_]
MAX_LOGIT = 40.0  # beyond, exp gives denormal numbers, 20 times slower
MIN_POSITIVES = 10  # images of a class; of fewer, no penalty of its own is chosen
_SEARCH = (14, 3e-5)  # iterations and tolerance: enough to rank the penalties and to start the final fit
_FINAL = (60, 1e-5)


@dataclass(frozen=True)
class BinaryHeads(LinearHead):
    """A dense layer of independent logistic regressions, one for each class.

    ``penalties`` (C,) are those of the classes, ``l2_penalty`` is the one that is best for all together; ``cv_losses``
    maps each penalty tried to the cross-validated log loss of an answer, in nats, the mean over the classes.
    ``held_out`` (N, C) are the probabilities of the N rows that were fitted, each by heads of the folds without it;
    ``None`` after fitting again.
    """

    penalties: Floats
    held_out: Floats | None = None

    @property
    def has_own_penalties(self) -> bool:
        """Whether the classes have different penalties."""
        return bool((self.penalties != self.penalties[0]).any())


def fit_binary_heads(
    features: Floats, truth: Booleans, seed: int, groups: NDArray[np.int64] | None = None
) -> BinaryHeads:
    """Return the heads fitted on ``features`` float32 (N, D) and ``truth`` (N, C).

    The penalties are chosen by cross-validated log loss: one for all classes, or one for each where that is better on
    folds that had no part in the choice. ``seed`` determines the folds; rows with the same number in ``groups`` (N,),
    such as copies, are in one fold.
    """
    scaler = FeatureScaler.fit(features)
    inputs = HeadInputs.create(scaler.transform(features))
    folds = assign_folds(truth, CV_FOLDS, seed, groups)
    problem, weights = _solve_folds(inputs, truth, folds)
    losses = problem.compute_held_out_losses(weights)
    shared = L2_PENALTIES[int(losses.mean(axis=(0, 2)).argmin())]
    penalties = choose_penalties(losses, truth.sum(axis=0))
    chosen = np.searchsorted(np.array(L2_PENALTIES, np.float32), penalties)
    means = weights.reshape(CV_FOLDS, len(L2_PENALTIES), truth.shape[1], -1).mean(axis=0)
    start = means[chosen, np.arange(truth.shape[1])]
    cv_losses = dict(zip(L2_PENALTIES, losses.mean(axis=(0, 2)).tolist(), strict=True))
    held_out = problem.compute_probabilities(weights)[np.arange(len(truth)), folds]  # (N, L, C)
    held_out = np.ascontiguousarray(held_out[:, chosen, np.arange(truth.shape[1])])
    weight, bias = _solve(inputs, truth, penalties, start, scaler)
    return BinaryHeads(weight, bias, shared, cv_losses, penalties, held_out)


def refit_binary_heads(features: Floats, truth: Booleans, heads: BinaryHeads) -> BinaryHeads:
    """Return heads with the penalties of ``heads``, fitted on other features (N, D), starting from their weights."""
    scaler = FeatureScaler.fit(features)
    weight, bias = scaler.fold_weights(heads.weight, heads.bias)
    start = np.concatenate([weight, bias[:, None]], axis=1)
    inputs = HeadInputs.create(scaler.transform(features))
    weight, bias = _solve(inputs, truth, heads.penalties, start, scaler)
    return BinaryHeads(weight, bias, heads.l2_penalty, heads.cv_losses, heads.penalties)


def predict_held_out(
    features: Floats,
    truth: Booleans,
    seed: int,
    groups: NDArray[np.int64] | None = None,
    trusted: Booleans | None = None,
    fold_count: int = CV_FOLDS,
) -> tuple[Floats, NDArray[np.float64]]:
    """Return the probabilities float32 (L, N, C) of each row by heads that were fitted on the other folds, and losses.

    The losses float64 (F, L, C) are the log losses on the held-out rows. L are the penalties of ``L2_PENALTIES``, in
    their order. Only answers that are ``trusted`` (N, C), by default all, are fitted and count in the losses.
    """
    inputs = HeadInputs.create(turn_into_span(FeatureScaler.fit(features).transform(features)))
    folds = assign_folds(truth, fold_count, seed, groups)
    problem, weights = _solve_folds(inputs, truth, folds, trusted, fold_count)
    probabilities = problem.compute_probabilities(weights)  # (N, F, L, C)
    own = probabilities[np.arange(len(truth)), folds]
    return np.ascontiguousarray(own.transpose(1, 0, 2)), problem.compute_held_out_losses(weights)


def choose_penalties(losses: NDArray[np.float64], positives: NDArray[np.int64]) -> Floats:
    """Return the penalty of each class, (C,), from the held-out ``losses`` (F, L, C).

    A penalty for each class is taken where it is better than one for all. Both are chosen on all folds but one and
    judged on that one, in turn: on the same folds, the one with more freedom would always look better. Classes with
    fewer than ``MIN_POSITIVES`` of ``positives`` (C,) images always take the common one.
    """
    shared_loss = own_loss = 0.0
    is_free = positives >= MIN_POSITIVES
    for fold in range(len(losses)):
        shared, own = _choose(np.delete(losses, fold, axis=0).mean(axis=0), is_free)
        shared_loss += float(losses[fold, shared].sum())
        own_loss += float(losses[fold, own, np.arange(losses.shape[2])].sum())
    shared, own = _choose(losses.mean(axis=0), is_free)
    chosen = own if own_loss < shared_loss else np.full(losses.shape[2], shared)
    return np.asarray(np.array(L2_PENALTIES)[chosen], np.float32)


def _choose(means: NDArray[np.float64], is_free: Booleans) -> tuple[int, NDArray[np.int64]]:
    """Return which of the L penalties is best for all classes by ``means`` (L, C), and for each class."""
    shared = int(means.mean(axis=1).argmin())
    return shared, np.where(is_free, means.argmin(axis=0), shared)


class _BinaryLosses:
    """P penalised log losses over the same features.

    ``row_weights`` (N, F, C) are those of each row in the problems of a fold and a class, with a sum of 1. The loss is
    the weighted mean plus half the penalty times the squared norm of the weights; biases are not penalised.
    """

    def __init__(
        self, inputs: HeadInputs, truth: Booleans, masks: Booleans, penalties: Floats, trusted: Booleans | None
    ) -> None:
        """``masks`` (N, F) marks the training rows of each fold, ``penalties`` are (L, C)."""
        self.inputs, self.x, self.masks = inputs, inputs.x, masks
        self.targets = truth[:, None, None, :]
        self.known = np.ones_like(truth) if trusted is None else trusted
        self.row_weights = self._make_row_weights(masks)[:, :, None, :]
        self.shape = (len(truth), masks.shape[1], len(penalties), truth.shape[1])
        self.penalties = np.tile(penalties.ravel(), masks.shape[1]).astype(np.float32)

    def _make_row_weights(self, masks: Booleans) -> Floats:
        """Return the weights (N, F, C) of the rows that ``masks`` (N, F) marks: those of a fold sum to 1."""
        counted = masks[:, :, None] & self.known[:, None, :]
        return np.asarray(counted / np.maximum(counted.sum(axis=0, keepdims=True), 1), np.float32)

    def precondition(self, weights: Floats) -> Floats:
        """Multiply by an approximate inverse Hessian; see ``HeadInputs.precondition``."""
        return self.inputs.precondition(weights, self.penalties)

    def compute_objective(self, weights: Floats) -> tuple[NDArray[np.float64], Floats]:
        """Return the losses float64 (P,) of ``weights`` (P, D + 1) and their gradients, of the same shape."""
        losses, residual = self._forward(weights)
        values = (losses * self.row_weights).sum(axis=0, dtype=np.float64).ravel()
        residual *= self.row_weights
        gradient = residual.reshape(len(self.x), -1).T @ self.x
        gradient[:, :-1] += self.penalties[:, None] * weights[:, :-1]
        norms = np.einsum("pd,pd->p", weights[:, :-1], weights[:, :-1])
        return values + 0.5 * self.penalties * norms, gradient

    def compute_held_out_losses(self, weights: Floats) -> NDArray[np.float64]:
        """Return the mean log losses float64 (F, L, C) of every problem on the rows outside its mask."""
        losses, _residual = self._forward(weights)
        return np.asarray((losses * self._make_row_weights(~self.masks)[:, :, None, :]).sum(axis=0), np.float64)

    def compute_probabilities(self, weights: Floats) -> Floats:
        """Return the probability float32 (N, F, L, C) of every row and problem."""
        return np.asarray(self._forward(weights)[1] + self.targets, np.float32)

    def _forward(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the log losses (N, F, L, C), and their gradients with respect to the logits, of the same shape."""
        logits = np.clip(self.x @ weights.T, -MAX_LOGIT, MAX_LOGIT).reshape(self.shape)
        exponentials = np.exp(-np.abs(logits))
        losses = np.log1p(exponentials)
        losses += np.where(self.targets, np.maximum(-logits, 0), np.maximum(logits, 0))
        residual = np.where(logits >= 0, np.float32(1), exponentials) / (1 + exponentials)
        residual -= self.targets
        return losses, residual


def _solve_folds(
    inputs: HeadInputs,
    truth: Booleans,
    folds: NDArray[np.int64],
    trusted: Booleans | None = None,
    fold_count: int = CV_FOLDS,
) -> tuple[_BinaryLosses, Floats]:
    """Return the problems of all ``folds`` (N,) with all penalties, and their approximate solutions."""
    masks = folds[:, None] != np.arange(fold_count)[None, :]
    penalties = np.repeat(np.array(L2_PENALTIES, np.float32)[:, None], truth.shape[1], axis=1)
    problem = _BinaryLosses(inputs, truth, masks, penalties, trusted)
    start = np.zeros((len(problem.penalties), inputs.x.shape[1]), np.float32)
    return problem, minimise_lbfgs(problem.compute_objective, start, problem.precondition, *_SEARCH)


def _solve(
    inputs: HeadInputs, truth: Booleans, penalties: Floats, start: Floats, scaler: FeatureScaler
) -> tuple[Floats, Floats]:
    """Return the weight (C, D) and bias (C,) for raw features, fitted on all rows from ``start`` (C, D + 1)."""
    masks = np.ones((len(truth), 1), np.bool_)
    problem = _BinaryLosses(inputs, truth, masks, penalties[None], None)
    weights = minimise_lbfgs(problem.compute_objective, start, problem.precondition, *_FINAL)
    return scaler.unfold_weights(weights[:, :-1], weights[:, -1])
