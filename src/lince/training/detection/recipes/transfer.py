"""The recipe ``transfer`` of detectors: trains the head on feature maps of the frozen body, computed once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lince import fileio
from lince.annotations import Detections
from lince.augmentation import Policy
from lince.export.torch_to_onnx import export_feature_maps
from lince.i18n import _
from lince.models.detection.detector import Detector
from lince.models.weights_source import WeightsSource
from lince.training import plan_runner
from lince.training.detection import defaults
from lince.training.detection.feature_maps import CachedFeatureMaps, FeatureMapStore, compute_feature_maps
from lince.training.detection.loader import DetectionAugmentation, DetectionLoader, DetectionTarget
from lince.training.detection.network_recipe import (
    VAL_BATCH_SIZE,
    TrainedDetector,
    build_with_weights,
    rehearse_closing,
)
from lince.training.detection.objective import (
    LossMean,
    compute_validation_metrics,
    decode_outputs,
    describe_epoch,
    move_targets,
    sum_losses,
)
from lince.training.detection.samples import DetectionSamples, repeat_rare_classes
from lince.training.loop import TrainingSetup
from lince.training.plan import TrainingPlan
from lince.training.plan_runner import HardwareChoice
from lince.training.recipe import RecipeContext
from lince.training.run_folder import TrainingRun

MAX_VIEWS = 4
MAX_MAP_BYTES = 2 << 30  # of cached maps; above it, fewer views are used
CACHE_VERSION = 1


@dataclass(frozen=True)
class FeatureMapBatch:
    """Feature maps of N images, each level float16 (N, C, H, W), and one target per image, as in ``DetectionBatch``."""

    maps: tuple[NDArray[np.float16], ...]
    targets: tuple[DetectionTarget, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class FeatureMapLoader:
    """Yields cached feature maps of ``rows`` as batches.

    With several views, the rows are shuffled and a view of each is drawn at random every epoch; with one view they keep
    their order.
    """

    feature_maps: CachedFeatureMaps
    rows: NDArray[np.int64]
    view_count: int
    batch_size: int
    seed: int = 0

    def __len__(self) -> int:
        """The number of batches of an epoch.

        In training a last batch of a single image is dropped, since batch norm needs two, unless it is the only batch.
        """
        full, rest = divmod(len(self.rows), self.batch_size)
        return full + int(rest > 1 or (rest == 1 and (not full or self.view_count == 1)))

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[FeatureMapBatch]:
        """Yield the batches of ``epoch`` (from 0), starting with batch number ``first_batch`` (from 0)."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.rows) if self.view_count > 1 else self.rows
        views = rng.integers(0, self.view_count, len(order))
        for number in range(first_batch, len(self)):
            batch_slice = slice(number * self.batch_size, (number + 1) * self.batch_size)
            items = list(zip(order[batch_slice].tolist(), views[batch_slice].tolist(), strict=True))
            maps = zip(*(self.feature_maps.read_maps(*item) for item in items), strict=True)
            yield FeatureMapBatch(
                tuple(np.stack(level) for level in maps), tuple(self.feature_maps.make_target(*item) for item in items)
            )


@dataclass(frozen=True)
class FeatureMapObjective:
    """The losses of a detector's head on cached feature maps, validated as in ``DetectionObjective``."""

    feature_maps: CachedFeatureMaps
    val_loader: DetectionLoader
    forward_method: str = "compute_head_losses"

    def compute_loss(
        self, network: Detector, batch: FeatureMapBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each loss by name for the log."""
        return sum_losses(
            network.compute_head_losses(
                _move_maps(batch, device), self._input_size, move_targets(batch.targets, device), mixing_off
            )
        )

    @torch.inference_mode()
    def validate(self, network: Detector, device: torch.device) -> dict[str, float]:
        """Return ``val_loss`` and the figures of ``compute_validation_metrics``, computed from the maps of view 0."""
        network.eval()
        detections: list[Detections] = []
        losses = LossMean()
        torch.manual_seed(0)  # for losses that choose at random; the loop seeds every step anew
        for batch in FeatureMapLoader(self.feature_maps, self.val_loader.rows, 1, VAL_BATCH_SIZE).iter_batches():
            rows = self.val_loader.rows[len(detections) : len(detections) + len(batch)]
            maps = _move_maps(batch, device)
            outputs = network.run_head(maps, self._input_size)
            detections += decode_outputs(
                network, outputs, [self.val_loader.samples.image_sizes[row] for row in rows], self.val_loader.spec
            )
            targets = move_targets(batch.targets, device)
            losses.add(network.compute_head_losses(maps, self._input_size, targets, False), len(batch))
        return {"val_loss": losses.mean, **compute_validation_metrics(self.val_loader, detections)}

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the log line of an epoch."""
        return describe_epoch(entry)

    @property
    def _input_size(self) -> tuple[int, int]:
        """The network's input (height, width) in pixels."""
        return self.val_loader.spec.height, self.val_loader.spec.width


def train_transfer_head(context: RecipeContext, source: WeightsSource) -> TrainedDetector:
    """Train the head of the detector of ``source`` on cached feature maps of the images and of augmented views."""
    network, facts = build_with_weights(context, source)
    network.freeze_before(str(len(network.list_blocks())))
    facts["trainable"] = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    samples = DetectionSamples.from_dataset(context.dataset, network.learns_masks)
    rows = repeat_rare_classes(samples, context.train_rows, context.config.seed)
    policy = Policy.parse(context.config.augment or defaults.DEFAULT_POLICY)
    feature_maps, view_count = _cache_feature_maps(context, source, network, samples, policy)

    def make_setup(plan: TrainingPlan, hardware: HardwareChoice) -> TrainingSetup:
        train_loader = FeatureMapLoader(feature_maps, rows, view_count, plan.batch, plan.seed)
        objective = FeatureMapObjective(
            feature_maps, DetectionLoader(samples, context.val_rows, context.spec, VAL_BATCH_SIZE)
        )
        return TrainingSetup(
            network,
            train_loader,
            objective,
            plan,
            TrainingRun(context.folder).checkpoint_folder,
            *hardware.device_and_precision,
            context.progress,
        )

    state = plan_runner.plan_and_train(
        context,
        make_setup,
        lambda epoch_seconds: defaults.plan_transfer(context, len(rows), epoch_seconds),
        lambda: rehearse_closing(context, network, samples),
    )
    return TrainedDetector("transfer", network, context.spec, samples, state, DetectionAugmentation(policy), facts)


def _cache_feature_maps(
    context: RecipeContext, source: WeightsSource, network: Detector, samples: DetectionSamples, policy: Policy
) -> tuple[CachedFeatureMaps, int]:
    """Return the maps of the training and validation images, and the number of views of each training image.

    Validation images have one view. Training images have up to ``MAX_VIEWS``, fewer where the maps would exceed
    ``MAX_MAP_BYTES``, and one without an augmentation policy.
    """
    path = _prepare_frozen_body(context, source, network)
    store = FeatureMapStore(path, context.spec, policy, context.config.seed)
    workers = context.config.workers
    val_maps = compute_feature_maps(
        path, samples, context.keys, store, [(int(row), 0) for row in context.val_rows], context.progress, workers
    )
    image_bytes = 2 * sum(int(np.prod(shape)) for shape in val_maps.shapes)
    view_count = (
        int(np.clip(MAX_MAP_BYTES // (image_bytes * max(len(context.train_rows), 1)), 1, MAX_VIEWS))
        if len(policy)
        else 1
    )
    context.progress.show_message(
        _("Augmented views per image: {views}; {megabytes:,.0f} MB of cached feature maps").format(
            views=view_count, megabytes=view_count * len(context.train_rows) * image_bytes / 1e6
        )
    )
    items = [(int(row), view) for row in context.train_rows for view in range(view_count)]
    return compute_feature_maps(path, samples, context.keys, store, items, context.progress, workers), view_count


def _prepare_frozen_body(context: RecipeContext, source: WeightsSource, network: Detector) -> Path:
    """Return the part of ``network`` below its head as an ONNX file, from the cache or exported now."""
    weights = source.compute_digest() if source.path is not None else f"random {context.config.seed}"
    key = json.dumps([CACHE_VERSION, weights, context.spec.shape, asdict(source.entry)], sort_keys=True)
    path = fileio.get_cache_folder() / "backbones" / fileio.compute_digest(key.encode()) / "maps.onnx"
    if not path.is_file():
        export_feature_maps(network, context.spec, path)
    return path


def _move_maps(batch: FeatureMapBatch, device: torch.device) -> tuple[Tensor, ...]:
    """Return the maps of ``batch`` as float32 tensors on ``device``, channels last."""
    return tuple(
        torch.from_numpy(level).to(device).float().contiguous(memory_format=torch.channels_last) for level in batch.maps
    )
