"""Defines the input and the result of a training recipe."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.datasets.division import Division
from lince.evaluation.report.classification.head_charts import HeadCurves
from lince.models.classification.registry import ModelEntry
from lince.preprocess import PreprocessSpec
from lince.progress import Progress
from lince.splits import TEST, TRAIN, VAL
from lince.training.classification.features import ImageFeatures
from lince.training.classification.labels import ClassLabels
from lince.training.image_labels import ImageLabels, Truth

BUDGET_SHARE = 0.85  # of a time budget goes to training, the rest to evaluation, export and the report, about
PredictFunction = Callable[[NDArray[np.float32]], NDArray[np.float32]]
SaliencyFunction = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True)
class FrozenBackbone:
    """A frozen network on disk: its ONNX file and its facts for the report (name, weights, licence, cost; JSON).

    ``int8_path`` is the same network in int8, where there is one; ``precision`` is that of ``network_path``, and
    ``notes`` are lines for the report that say why it is used.
    """

    network_path: Path
    facts: dict[str, Any]
    int8_path: Path | None = None
    precision: str = "fp32"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecipeContext:
    """Everything a recipe works with: data, configuration, network, input and output folder.

    ``dataset`` has only usable images, every one in a split; ``keys`` are their content digests, by row. ``spec``
    describes the network's input, ``folder`` is the run's folder. ``features`` (of all rows) and ``backbone`` are set
    for the recipes that start from a frozen network. ``division`` tells which images were kept together. ``started_at``
    is the ``time.monotonic()`` at which the run began, from which a time budget counts. ``is_rate_test`` asks for a
    test of learning rates in place of the training. ``labels`` are what recipes over whole images learn from.
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
    division: Division | None = None
    started_at: float = field(default_factory=time.monotonic)
    is_rate_test: bool = False
    labels: ImageLabels = field(default_factory=ClassLabels)

    def estimate_training_seconds(self) -> float:
        """Return about how many seconds of the time budget are left for training; infinity without one."""
        if self.config.budget is None:
            return math.inf
        return max(0.0, BUDGET_SHARE * self.config.budget - (time.monotonic() - self.started_at))

    @classmethod
    def create(
        cls,
        dataset: Dataset,
        config: TrainConfig,
        entry: ModelEntry,
        spec: PreprocessSpec,
        progress: Progress,
        labels: ImageLabels | None = None,
    ) -> RecipeContext:
        """Return a context for images that have not been read yet: no content keys and no run folder.

        ``labels`` are what whole images are learned from, by default one class each.
        """
        return cls(dataset, [], config, entry, spec, Path(), progress, labels=labels or ClassLabels())

    def get_split_rows(self, split: int) -> NDArray[np.int64]:
        """Return the rows (N,) of a split, one of ``TRAIN``, ``VAL`` and ``TEST``."""
        return self.dataset.get_split_indices(split)

    def read_truth(self, rows: NDArray[np.int64]) -> Truth:
        """Return the labels of the whole images ``rows`` (N,), an array of N."""
        return self.labels.read_truth(self.dataset, rows)

    def choose_smoothing(self, default: float) -> float:
        """Return the label smoothing that is configured, else ``default``; 0 where the labels allow none."""
        if not self.labels.allows_smoothing:
            return 0.0
        return default if self.config.label_smoothing is None else self.config.label_smoothing

    @property
    def train_rows(self) -> NDArray[np.int64]:
        """The rows that the weights are fitted on."""
        return self.get_split_rows(TRAIN)

    @property
    def val_rows(self) -> NDArray[np.int64]:
        """The rows by which epochs, thresholds and recipes are chosen."""
        return self.get_split_rows(VAL)

    @property
    def test_groups(self) -> NDArray[np.int64] | None:
        """The group, (N,), of each test image: those of one group show the same; ``None`` where it is not known."""
        return None if self.division is None else self.division.groups.related_ids[self.test_rows]

    @property
    def test_rows(self) -> NDArray[np.int64]:
        """The rows that neither training nor any choice may use."""
        return self.get_split_rows(TEST)


@dataclass(frozen=True, kw_only=True)
class TrainedModel(ABC):
    """Result of a recipe that has written ``model.onnx`` itself, whatever the task.

    - ``facts`` feed the report's model section; ``history`` has one record per epoch; ``notes`` are lines for the
      report; ``timings`` are seconds by stage; ``policy`` is the augmentation policy in text form; ``precision`` is
      that of ``model.onnx``, for its card.
    """

    recipe: str
    facts: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    policy: str = "none"
    precision: str = "fp32"

    @abstractmethod
    def compute_reference(self, sample: NDArray[np.int64], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the trained network's logits for ``inputs`` (N, C, H, W), the test images at ``sample`` (N,)."""


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier(TrainedModel):
    """Result of a recipe over whole images.

    - ``test_logits``, ``val_logits``: float32 (N, C) on the test and validation rows, in their order; those on
      validation are of a network that was not fitted on these rows.
    - ``val_loss``: mean log loss on the validation rows, in nats; ``train_figure`` and ``val_figure`` are those by
      which models are chosen (``ImageLabels.figure``), in [0, 1]. NaN without rows.
    - ``saliency``: maps inputs (N, C, H, W) and class ids (N,) to Grad-CAM maps (N, h, w) in [0, 1].
    - ``reference_predict``: maps inputs (N, C, H, W) to the logits of the trained torch network, for the parity check
      of the exported file; ``None`` where ``test_logits`` do not come from that file and serve as the reference.
    - ``head`` are the curves of a head on frozen features.
    - ``held_out``: probabilities float32 (N, C) of the training rows by networks that were not fitted on them; ``None``
      where there are none.
    """

    test_logits: NDArray[np.float32]
    val_logits: NDArray[np.float32]
    train_figure: float
    val_figure: float
    val_loss: float
    saliency: SaliencyFunction
    reference_predict: PredictFunction | None = None
    head: HeadCurves | None = None
    held_out: NDArray[np.float32] | None = None

    def compute_reference(self, sample: NDArray[np.int64], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of ``inputs`` by torch, or those that the recipe has for the test images at ``sample``."""
        return self.test_logits[sample] if self.reference_predict is None else self.reference_predict(inputs)
