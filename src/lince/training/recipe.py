"""What a recipe is given and what it gives back, so that the recipes read alike and can be compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.models.classification.registry import ModelEntry
from lince.preprocess import PreprocessSpec
from lince.progress import Progress
from lince.splits import TEST, TRAIN, VAL
from lince.training.classification.features import ImageFeatures

PredictFunction = Callable[[NDArray[np.float32]], NDArray[np.float32]]
SaliencyFunction = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True)
class FrozenBackbone:
    """A frozen network on disk: its ONNX file, and what the report tells of it (weights, licence, cost)."""

    network_path: Path
    facts: dict[str, Any]


@dataclass(frozen=True)
class RecipeContext:
    """One recipe's work: usable data with every row in a split, choices, network, input, and the run's folder.

    ``features`` (of all rows) and ``backbone`` are there for the recipes that start from a frozen network. ``began`` is
    when the work began, on the clock that only goes forward.
    """

    dataset: Dataset
    keys: list[str]
    config: TrainConfig
    entry: ModelEntry
    spec: PreprocessSpec
    folder: Path
    progress: Progress
    backbone: FrozenBackbone | None = None
    features: ImageFeatures | None = None
    started_at: float = field(default_factory=time.monotonic)

    @classmethod
    def create(
        cls, dataset: Dataset, config: TrainConfig, entry: ModelEntry, spec: PreprocessSpec, progress: Progress
    ) -> RecipeContext:
        """Return a job whose images have not been looked at yet."""
        return cls(dataset, [], config, entry, spec, Path(), progress)

    def get_split_rows(self, split: int) -> NDArray[np.int64]:
        """Return the rows of ``split``."""
        return self.dataset.get_split_indices(split)

    def get_labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the class ids of ``rows``."""
        return self.dataset.class_ids[rows].astype(np.int64)

    @property
    def train_rows(self) -> NDArray[np.int64]:
        """The rows to learn from."""
        return self.get_split_rows(TRAIN)

    @property
    def val_rows(self) -> NDArray[np.int64]:
        """The rows to choose by."""
        return self.get_split_rows(VAL)

    @property
    def test_rows(self) -> NDArray[np.int64]:
        """The rows that no training and no choice ever sees."""
        return self.get_split_rows(TEST)


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained model: its logits on the test rows, its figures, and what the report shows of how it came about.

    ``model.onnx`` is written by the recipe; where the test logits are its own, ``trained`` answers inputs
    (N, C, H, W) as the trained network does, so that the two can be compared. ``val_loss`` is the mean log loss in
    nats; ``saliency`` maps inputs (N, C, H, W) and class ids (N,) to Grad-CAM maps (N, h, w) in [0, 1]; ``facts`` feed
    the report's model section.
    """

    recipe: str
    test_logits: NDArray[np.float32]
    train_accuracy: float
    val_accuracy: float
    val_loss: float
    saliency: SaliencyFunction
    facts: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    policy: str = "none"
    reference_predict: PredictFunction | None = None
