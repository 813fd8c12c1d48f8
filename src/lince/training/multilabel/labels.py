"""Labels of several classes an image, or none, as the recipes over whole images learn from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.errors import DataError, TrainingError
from lince.evaluation.multilabel.metrics import compute_log_loss, compute_mean_average_precision
from lince.i18n import _, localise_number
from lince.label_sets import LabelSets
from lince.splits import SPLITS, TEST, TRAIN
from lince.training.classification.heads.logistic import CV_FOLDS
from lince.training.image_labels import Floats, HeldOutFigures, ImageHead, ImageLabels, PenaltySearch, Truth
from lince.training.multilabel.heads import BinaryHeads, fit_binary_heads, predict_held_out, refit_binary_heads

if TYPE_CHECKING:
    from lince.training.classification.loader import ClassificationLoader
    from lince.training.objective import Objective


class SetLabels(ImageLabels):
    """Several classes an image, or none: sigmoids, chosen by mean average precision. ``truth`` is bool (N, C)."""

    task: ClassVar[str] = "multilabel"
    figure: ClassVar[str] = "map"
    allows_smoothing: ClassVar[bool] = False

    def read_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> Truth:
        """Return bool (N, C): the classes of ``rows`` (N,)."""
        return read_label_sets(dataset).select_images(rows).to_matrix(len(dataset.classes))

    def make_targets(self, truth: Truth, class_count: int) -> Floats:
        """Return 1 for each class that an image has, 0 for the others, float32 (N, C)."""
        return truth.astype(np.float32)

    def measure(self, logits: Floats, truth: Truth) -> tuple[float, float]:
        """Return (mean log loss of an answer in nats, mean average precision) of ``logits`` (N, C); NaN for N = 0."""
        if not len(truth):
            return float("nan"), float("nan")
        probabilities = postprocess.sigmoid(logits)
        return compute_log_loss(truth, probabilities), compute_mean_average_precision(truth, probabilities)

    def require_splits(self, dataset: Dataset) -> None:
        """Raise ``DataError`` when no class is on some training images, or no test image has a class."""
        sizes = {name: len(dataset.get_split_indices(number)) for name, number in SPLITS.items()}
        truths = [self.read_truth(dataset, dataset.get_split_indices(split)) for split in (TRAIN, TEST)]
        learned = (truths[0].any(axis=0) & ~truths[0].all(axis=0)).any() if len(truths[0]) else False
        if learned and truths[1].any():
            return
        raise DataError(
            _("The split has {train} training, {val} validation and {test} test images.").format(**sizes)
            + " "
            + _("With a class: {trained} of the training images, {tested} of the test images.").format(
                trained=int(truths[0].any(axis=1).sum()), tested=int(truths[1].any(axis=1).sum())
            ),
            _("Expected training images with and without a class, and a test image that has one."),
            _("Add images, or change the fractions with --val and --test."),
        )

    def fit_head(
        self, features: Floats, truth: Truth, class_count: int, config: TrainConfig, groups: NDArray[np.int64] | None
    ) -> ImageHead:
        """Return one logistic regression for each class."""
        return fit_binary_heads(features, truth, config.seed, groups)

    def refit_head(self, features: Floats, truth: Truth, head: ImageHead, seed: int) -> ImageHead:
        """Return heads with the penalties of ``head``, starting from its weights."""
        return refit_binary_heads(features, truth, _require_binary(head))

    def fit_again(self, features: Floats, truth: Truth, head: ImageHead, seed: int) -> ImageHead:
        """Return heads with the penalties of ``head``, from zero."""
        known = _require_binary(head)
        empty = replace(known, weight=np.zeros_like(known.weight), bias=np.zeros_like(known.bias))
        return refit_binary_heads(features, truth, empty)

    def describe_head(self, head: ImageHead) -> list[str]:
        """Return the note on the penalties and how they were chosen."""
        known = _require_binary(head)
        if not known.has_own_penalties:
            return [
                _(
                    "Classifier: one logistic regression for each class, with the same L2 penalty {strength}, chosen "
                    "by {folds}-fold cross-validation."
                ).format(strength=localise_number(f"{known.penalties[0]:.1e}"), folds=CV_FOLDS)
            ]
        return [
            _(
                "Classifier: one logistic regression for each class, each with its own L2 penalty, from {least} to "
                "{most}, chosen by {folds}-fold cross-validation, where that did better than one penalty for all."
            ).format(
                least=localise_number(f"{known.penalties.min():.1e}"),
                most=localise_number(f"{known.penalties.max():.1e}"),
                folds=CV_FOLDS,
            )
        ]

    def get_penalty_search(self, head: ImageHead) -> PenaltySearch | None:
        """Return the mean log loss of the classes by penalty; none is marked where each class has its own."""
        known = _require_binary(head)
        return PenaltySearch(dict(known.cv_losses), None if known.has_own_penalties else known.l2_penalty, CV_FOLDS)

    def get_held_out(self, head: ImageHead) -> Floats | None:
        """Return the probabilities of the rows that were fitted, each by heads of the folds without it."""
        return _require_binary(head).held_out

    def order_evenly(self, truth: Truth, seed: int) -> NDArray[np.int64]:
        """Return the rows (N,) in a random order; the classes of a beginning are near those of the whole by chance."""
        return np.random.default_rng(seed).permutation(len(truth))

    def count_classes(self, truth: Truth) -> int:
        """Return how many classes occur."""
        return int(truth.any(axis=0).sum())

    def measure_held_out(self, features: Floats, truth: Truth) -> HeldOutFigures:
        """Return how heads on ``features`` (N, D) do by cross-validation."""
        present = truth[:, truth.any(axis=0)]
        probabilities, losses = predict_held_out(features, present, 0)
        return HeldOutFigures(
            losses.mean(axis=(0, 2)),
            np.array([item[present].mean() for item in probabilities], np.float64),
            np.array([compute_mean_average_precision(present, item) for item in probabilities]),
        )

    def get_precision_texts(self) -> tuple[str, str]:
        """Return what a comparison of precisions says of the probabilities, and of the mean average precision."""
        return (
            _(
                "Compared on {count} photos that are not in the test split, in {folds} folds: with float32 the classes "
                "of a photo get a probability of {before} on average, with int8 {after} ({points} points less are "
                "allowed)"
            ),
            _("mean average precision {right} and {right_int8}."),
        )

    def make_objective(self, val_loader: ClassificationLoader, label_smoothing: float) -> Objective:
        """Return binary cross-entropy, validated by loss and mean average precision."""
        from lince.training.multilabel.objective import MultilabelObjective  # noqa: PLC0415  # loads torch

        return MultilabelObjective(val_loader)


def read_label_sets(dataset: Dataset) -> LabelSets:
    """Return the classes of all images of ``dataset``; raise ``TrainingError`` where it has one class an image."""
    if dataset.label_sets is None:
        raise TrainingError(
            _("The images have one class each, where the classes of an image are expected."),
            _("Expected a dataset as the task selects it."),
        )
    return dataset.label_sets


def _require_binary(head: ImageHead) -> BinaryHeads:
    """Return ``head``, which must be one of these labels."""
    if not isinstance(head, BinaryHeads):
        raise TypeError(f"{type(head).__name__} is no head of several classes an image")
    return head
