"""Labels of one class an image, as the recipes over whole images learn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.errors import DataError
from lince.i18n import _, localise_number
from lince.splits import SPLITS, TRAIN
from lince.training.classification.heads import logistic, mlp
from lince.training.image_labels import Floats, HeldOutFigures, ImageHead, ImageLabels, PenaltySearch, Truth

if TYPE_CHECKING:
    from lince.training.classification.loader import ClassificationLoader
    from lince.training.objective import Objective

_MIN_PROBABILITY = 1e-12  # keeps the loss of a wrong answer finite


class ClassLabels(ImageLabels):
    """One class an image: softmax and cross-entropy, chosen by accuracy. ``truth`` are class ids int64 (N,)."""

    task: ClassVar[str] = "classify"
    figure: ClassVar[str] = "accuracy"
    allows_smoothing: ClassVar[bool] = True

    def read_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> Truth:
        """Return the class ids int64 (N,) of ``rows`` (N,)."""
        return dataset.class_ids[rows].astype(np.int64)

    def make_targets(self, truth: Truth, class_count: int) -> Floats:
        """Return one-hot targets, float32 (N, C)."""
        targets = np.zeros((len(truth), class_count), np.float32)
        targets[np.arange(len(truth)), truth] = 1.0
        return targets

    def measure(self, logits: Floats, truth: Truth) -> tuple[float, float]:
        """Return (mean cross-entropy in nats, accuracy in [0, 1]) of ``logits`` (N, C); NaN when there are none.

        Probabilities are bounded below by 1e-12, so that the loss stays finite.
        """
        if not len(truth):
            return float("nan"), float("nan")
        true_probabilities = postprocess.softmax(logits)[np.arange(len(truth)), truth]
        loss = -np.log(np.maximum(true_probabilities, _MIN_PROBABILITY)).mean()
        return float(loss), float((logits.argmax(1) == truth).mean())

    def require_splits(self, dataset: Dataset) -> None:
        """Raise ``DataError`` when there are fewer than two training classes or no test image."""
        sizes = {name: len(dataset.get_split_indices(number)) for name, number in SPLITS.items()}
        train_classes = np.unique(dataset.class_ids[dataset.get_split_indices(TRAIN)])
        if len(train_classes) >= 2 and sizes["test"]:
            return
        raise DataError(
            _("The split has {train} training, {val} validation and {test} test images.").format(**sizes)
            + " "
            + _("Number of classes: {count}.").format(count=len(train_classes)),
            _("Expected at least two classes with several images each."),
            _("Add images, or change the fractions with --val and --test."),
        )

    def fit_head(
        self, features: Floats, truth: Truth, class_count: int, config: TrainConfig, groups: NDArray[np.int64] | None
    ) -> ImageHead:
        """Return the head that ``config`` requests (``linear`` or ``mlp``)."""
        if config.head == "mlp":
            return mlp.fit(features, truth, class_count, config.seed)
        return logistic.fit(features, truth, class_count, config.seed, groups)

    def refit_head(self, features: Floats, truth: Truth, head: ImageHead, seed: int) -> ImageHead:
        """Return a head of the same kind and penalty as ``head``, a linear one starting from its weights."""
        if isinstance(head, logistic.LinearHead):
            return logistic.refit_linear_head(features, truth, head)
        return mlp.fit(features, truth, len(head.layers[-1][1]), seed)

    def fit_again(self, features: Floats, truth: Truth, head: ImageHead, seed: int) -> ImageHead:
        """Return a head of the same kind and penalty as ``head``, from zero or random weights."""
        if not isinstance(head, logistic.LinearHead):
            return mlp.fit(features, truth, len(head.layers[-1][1]), seed)
        empty = logistic.LinearHead(np.zeros_like(head.weight), np.zeros_like(head.bias), head.l2_penalty, {})
        return logistic.refit_linear_head(features, truth, empty)

    def describe_head(self, head: ImageHead) -> list[str]:
        """Return the note on the penalty and how it was chosen; none for a perceptron."""
        if not isinstance(head, logistic.LinearHead):
            return []
        return [
            _("Classifier: logistic regression, L2 penalty {strength} chosen by {folds}-fold cross-validation.").format(
                strength=localise_number(f"{head.l2_penalty:.1e}"), folds=logistic.CV_FOLDS
            )
        ]

    def get_penalty_search(self, head: ImageHead) -> PenaltySearch | None:
        """Return how the penalty of ``head`` was chosen; ``None`` for a perceptron."""
        if not isinstance(head, logistic.LinearHead):
            return None
        return PenaltySearch(dict(head.cv_losses), head.l2_penalty, logistic.CV_FOLDS)

    def get_held_out(self, head: ImageHead) -> Floats | None:
        """Return ``None``: nothing is chosen by probabilities of training rows."""
        del head
        return None

    def order_evenly(self, truth: Truth, seed: int) -> NDArray[np.int64]:
        """Return the rows (N,) in a random order in which every beginning has about the class shares of the whole."""
        order = np.random.default_rng(seed).permutation(len(truth))
        position = np.empty(len(truth), np.float64)
        for class_id in np.unique(truth):
            rows = order[truth[order] == class_id]
            position[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
        return np.asarray(order[np.argsort(position[order], kind="stable")], np.int64)

    def count_classes(self, truth: Truth) -> int:
        """Return how many classes occur."""
        return len(np.unique(truth))

    def measure_held_out(self, features: Floats, truth: Truth) -> HeldOutFigures:
        """Return how heads on ``features`` (N, D) do by cross-validation."""
        class_ids, labels = np.unique(truth, return_inverse=True)
        held_out = logistic.predict_held_out(features, labels, len(class_ids), 0)
        right = held_out[:, np.arange(len(labels)), labels]
        log_losses = -np.log(np.maximum(right, _MIN_PROBABILITY)).mean(axis=1)
        return HeldOutFigures(log_losses, right.mean(axis=1), (held_out.argmax(axis=2) == labels).mean(axis=1))

    def get_precision_texts(self) -> tuple[str, str]:
        """Return what a comparison of precisions says of the probabilities, and of the accuracy."""
        return (
            _(
                "Compared on {count} photos that are not in the test split, in {folds} folds: with float32 the right "
                "class gets a probability of {before} on average, with int8 {after} ({points} points less are allowed)"
            ),
            _("accuracy {right} and {right_int8}."),
        )

    def make_objective(self, val_loader: ClassificationLoader, label_smoothing: float) -> Objective:
        """Return cross-entropy, validated by loss and accuracy."""
        from lince.training.classification.objective import ClassificationObjective  # noqa: PLC0415  # loads torch

        return ClassificationObjective(val_loader, label_smoothing)
