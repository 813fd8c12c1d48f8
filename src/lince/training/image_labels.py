"""What the recipes over whole images ask of their labels: one class an image, or several.

Both kinds of labels share the recipes, the loop, the features and the report's pictures; what differs is here: the
targets of the loss, the head on frozen features, and the figure by which models are chosen. Nothing of it needs torch
but ``make_objective``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from lince.config import TrainConfig
from lince.datasets import Dataset

if TYPE_CHECKING:
    from lince.training.classification.loader import ClassificationLoader
    from lince.training.objective import Objective

Floats = NDArray[np.float32]
Truth = NDArray[Any]  # class ids int64 (N,), or bool (N, C)


class ImageHead(Protocol):
    """A head on features: dense layers with a ReLU between them."""

    @property
    def layers(self) -> list[tuple[Floats, Floats]]:
        """The dense layers as (weight, bias), first to last."""

    def compute_logits(self, features: Floats) -> Floats:
        """Return the logits float32 (N, C) of ``features`` (N, D)."""

    def compute_gradient(self, embedding: Floats, class_id: int) -> Floats:
        """Return the gradient float32 (D,) of the logit of ``class_id`` with respect to ``embedding`` (D,)."""


@dataclass(frozen=True)
class PenaltySearch:
    """How the L2 penalty of a head was chosen: held-out log loss by penalty, the one chosen, and the folds."""

    losses: dict[float, float]
    chosen: float | None
    folds: int


@dataclass(frozen=True)
class HeldOutFigures:
    """How heads of L penalties do on rows that they were not fitted on, each (L,).

    ``log_losses`` are in nats, ``probabilities`` those that the classes of the labels get on average, ``figures`` the
    figure by which models are chosen, 0..1.
    """

    log_losses: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    figures: NDArray[np.float64]


class ImageLabels(ABC):
    """One kind of labels of whole images. ``truth`` is an array of ``read_truth``.

    Attributes:
        task: name of the task.
        figure: by which models are chosen, 0..1, higher is better; ``val_`` and this is a key of the history.
        allows_smoothing: whether targets may be smoothed.
    """

    task: ClassVar[str]
    figure: ClassVar[str]
    allows_smoothing: ClassVar[bool]

    @abstractmethod
    def read_truth(self, dataset: Dataset, rows: NDArray[np.int64]) -> Truth:
        """Return the labels of ``rows`` (N,)."""

    @abstractmethod
    def make_targets(self, truth: Truth, class_count: int) -> Floats:
        """Return what the network should say, float32 (N, C)."""

    @abstractmethod
    def measure(self, logits: Floats, truth: Truth) -> tuple[float, float]:
        """Return (mean log loss in nats, figure in [0, 1]) of ``logits`` (N, C); NaN where there are none."""

    @abstractmethod
    def require_splits(self, dataset: Dataset) -> None:
        """Raise ``DataError`` when the splits of ``dataset`` do not suffice to train and to test."""

    @abstractmethod
    def fit_head(
        self, features: Floats, truth: Truth, class_count: int, config: TrainConfig, groups: NDArray[np.int64] | None
    ) -> ImageHead:
        """Return the head that ``config`` requests, fitted on ``features`` (N, D).

        Copies share a number in ``groups`` (N,).
        """

    @abstractmethod
    def refit_head(self, features: Floats, truth: Truth, head: ImageHead, seed: int) -> ImageHead:
        """Return a head of the same kind and penalty as ``head``, fitted on other rows, starting from its weights."""

    @abstractmethod
    def fit_again(self, features: Floats, truth: Truth, head: ImageHead, seed: int) -> ImageHead:
        """Return a head of the same kind and penalty as ``head``, fitted from nothing."""

    @abstractmethod
    def describe_head(self, head: ImageHead) -> list[str]:
        """Return the report's notes on the head: its penalty and how it was chosen."""

    @abstractmethod
    def get_penalty_search(self, head: ImageHead) -> PenaltySearch | None:
        """Return how the penalty of ``head`` was chosen; ``None`` where it has none."""

    @abstractmethod
    def get_held_out(self, head: ImageHead) -> Floats | None:
        """Return the probabilities (N, C) of the fitted rows by heads that were not fitted on them, or ``None``."""

    @abstractmethod
    def order_evenly(self, truth: Truth, seed: int) -> NDArray[np.int64]:
        """Return the rows (N,) in a random order in which every beginning has about the class shares of the whole."""

    @abstractmethod
    def count_classes(self, truth: Truth) -> int:
        """Return how many classes occur."""

    @abstractmethod
    def measure_held_out(self, features: Floats, truth: Truth) -> HeldOutFigures:
        """Return how heads on ``features`` (N, D) do by cross-validation."""

    @abstractmethod
    def get_precision_texts(self) -> tuple[str, str]:
        """Return what a comparison of precisions says: of the probabilities, and of the figure (see its use)."""

    @abstractmethod
    def make_objective(self, val_loader: ClassificationLoader, label_smoothing: float) -> Objective:
        """Return the training loss and the validation of a network on the images of ``val_loader``."""
