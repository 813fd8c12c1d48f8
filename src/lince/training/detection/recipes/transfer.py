"""The recipe ``transfer`` for detectors: all below the head stays, so its maps are computed once; the head learns."""

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
from lince.training import network_fit
from lince.training.detection import defaults
from lince.training.detection.feature_maps import CachedFeatureMaps, FeatureMapStore, compute_feature_maps
from lince.training.detection.loader import DetectionAugmentation, DetectionLoader, DetectionTarget
from lince.training.detection.objective import (
    compute_validation_metrics,
    decode_outputs,
    describe_epoch,
    move_targets,
    sum_losses,
)
from lince.training.detection.recipes.full import VAL_BATCH_SIZE, TrainedDetector, build_with_weights
from lince.training.detection.samples import DetectionSamples, repeat_rare_classes
from lince.training.loop import TrainingSetup
from lince.training.network_fit import HardwareChoice
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext

MAX_VIEWS = 4
MAX_MAP_BYTES = 2 << 30  # of maps, above which fewer views are kept
CACHE_VERSION = 1


@dataclass(frozen=True)
class FeatureMapBatch:
    """Maps of N images, float16 (N, C, H, W) each, and their targets as the trainer of images has them."""

    maps: tuple[NDArray[np.float16], ...]
    targets: tuple[DetectionTarget, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class FeatureMapLoader:
    """The maps of ``rows`` as batches: one of ``views`` views of each, drawn anew every epoch; in order if only one."""

    feature_maps: CachedFeatureMaps
    rows: NDArray[np.int64]
    view_count: int
    batch_size: int
    seed: int = 0

    def __len__(self) -> int:
        """The number of batches of an epoch; training leaves out a last one of a single image."""
        full, rest = divmod(len(self.rows), self.batch_size)
        return full + int(rest > 1 or (rest == 1 and (not full or self.view_count == 1)))

    def iter_batches(self, epoch: int = 0, first_batch: int = 0) -> Iterator[FeatureMapBatch]:
        """Yield the batches of ``epoch`` from number ``first`` on."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.rows) if self.view_count > 1 else self.rows
        views = rng.integers(0, self.view_count, len(order))
        for number in range(first_batch, len(self)):
            part = slice(number * self.batch_size, (number + 1) * self.batch_size)
            items = list(zip(order[part].tolist(), views[part].tolist(), strict=True))
            maps = zip(*(self.feature_maps.read_maps(*item) for item in items), strict=True)
            yield FeatureMapBatch(
                tuple(np.stack(one) for one in maps), tuple(self.feature_maps.make_target(*item) for item in items)
            )


@dataclass(frozen=True)
class FeatureMapObjective:
    """The losses of a detector's head on cached maps, judged as ``Finding`` judges."""

    feature_maps: CachedFeatureMaps
    val_loader: DetectionLoader
    forward_method: str = "compute_head_losses"

    def compute_loss(
        self, network: Detector, batch: FeatureMapBatch, device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each of them."""
        return sum_losses(
            network.compute_head_losses(
                _move_maps(batch, device), self._input_size, move_targets(batch.targets, device), mixing_off
            )
        )

    @torch.inference_mode()
    def validate(self, network: Detector, device: torch.device) -> dict[str, float]:
        """Return mean average precision at an overlap of 0.5, and over 0.5 to 0.95."""
        network.eval()
        found: list[Detections] = []
        for batch in FeatureMapLoader(self.feature_maps, self.val_loader.rows, 1, VAL_BATCH_SIZE).iter_batches():
            rows = self.val_loader.rows[len(found) : len(found) + len(batch)]
            outputs = network.run_head(_move_maps(batch, device), self._input_size)
            found += decode_outputs(
                network, outputs, [self.val_loader.samples.image_sizes[row] for row in rows], self.val_loader.spec
            )
        return compute_validation_metrics(self.val_loader, found)

    def describe_epoch(self, entry: dict[str, Any]) -> str:
        """Return the loss and the average precision."""
        return describe_epoch(entry)

    @property
    def _input_size(self) -> tuple[int, int]:
        return self.val_loader.spec.height, self.val_loader.spec.width


def train_transfer_head(job: RecipeContext, source: WeightsSource) -> TrainedDetector:
    """Train the head of the detector of ``source`` on cached maps of the images and of a few altered copies."""
    network, facts = build_with_weights(job, source)
    network.freeze_before(str(len(network.list_blocks())))
    facts["trainable"] = sum(one.numel() for one in network.parameters() if one.requires_grad)
    samples = DetectionSamples.from_dataset(job.dataset)
    rows = repeat_rare_classes(samples, job.train_rows, job.config.seed)
    policy = Policy.parse(job.config.augment or defaults.DEFAULT_POLICY)
    seen, views = _cache_feature_maps(job, source, network, samples, policy)

    def course(plan: TrainingPlan, machine: HardwareChoice) -> TrainingSetup:
        learnt = FeatureMapLoader(seen, rows, views, plan.batch, plan.seed)
        goal = FeatureMapObjective(seen, DetectionLoader(samples, job.val_rows, job.spec, VAL_BATCH_SIZE))
        return TrainingSetup(
            network, learnt, goal, plan, job.folder / "checkpoints", *machine.device_and_precision, job.progress
        )

    state = network_fit.plan_and_train(job, course, lambda seconds: defaults.plan_transfer(job, len(rows), seconds))
    return TrainedDetector("transfer", network, job.spec, samples, state, DetectionAugmentation(policy), facts)


def _cache_feature_maps(
    job: RecipeContext, source: WeightsSource, network: Detector, samples: DetectionSamples, policy: Policy
) -> tuple[CachedFeatureMaps, int]:
    """Return the maps of the training and validation images, and in how many views the former are there."""
    path = _prepare_frozen_body(job, source, network)
    store = FeatureMapStore(path, job.spec, policy, job.config.seed)
    first = compute_feature_maps(path, samples, job.keys, store, [(int(row), 0) for row in job.val_rows], job.progress)
    size = 2 * sum(int(np.prod(shape)) for shape in first.shapes)
    views = int(np.clip(MAX_MAP_BYTES // (size * max(len(job.train_rows), 1)), 1, MAX_VIEWS)) if len(policy) else 1
    job.progress.show_message(
        _("Views of each image: {views}, {megabytes:,.0f} MB of maps in the cache").format(
            views=views, megabytes=views * len(job.train_rows) * size / 1e6
        )
    )
    items = [(int(row), view) for row in job.train_rows for view in range(views)]
    return compute_feature_maps(path, samples, job.keys, store, items, job.progress), views


def _prepare_frozen_body(job: RecipeContext, source: WeightsSource, network: Detector) -> Path:
    """Return the part of ``network`` below its head as an ONNX file: from the cache, or exported now."""
    weights = source.compute_digest() if source.path is not None else f"random {job.config.seed}"
    key = json.dumps([CACHE_VERSION, weights, job.spec.shape, asdict(source.entry)], sort_keys=True)
    path = fileio.get_cache_folder() / "backbones" / fileio.compute_digest(key.encode()) / "maps.onnx"
    if not path.is_file():
        export_feature_maps(network, job.spec, path)
    return path


def _move_maps(batch: FeatureMapBatch, device: torch.device) -> tuple[Tensor, ...]:
    return tuple(
        torch.from_numpy(one).to(device).float().contiguous(memory_format=torch.channels_last) for one in batch.maps
    )
