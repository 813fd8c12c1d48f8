"""The recipe ``transfer`` of detectors: trains the head on feature maps of the frozen body, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lince.annotations import Detections
from lince.augmentation import Policy
from lince.augmentation.apply import augment_boxes
from lince.augmentation.object_masks import move_masks
from lince.export.torch_to_onnx import export_feature_maps
from lince.models.detection.detector import Detector
from lince.models.weights_source import WeightsSource
from lince.training import plan_runner
from lince.training.augmented_loader import TrainingAugmentation
from lince.training.detection import defaults
from lince.training.detection.loader import DetectionLoader, DetectionTarget, make_target
from lince.training.detection.network_recipe import (
    VAL_BATCH_SIZE,
    TrainedDetector,
    build_with_weights,
    rehearse_closing,
)
from lince.training.detection.objective import (
    compute_validation_metrics,
    decode_outputs,
    describe_epoch,
    move_targets,
)
from lince.training.detection.samples import DetectionSamples, repeat_rare_classes
from lince.training.feature_maps import (
    CachedFeatureMaps,
    FeatureMapBatch,
    FeatureMapLoader,
    cache_feature_maps,
    prepare_frozen_body,
)
from lince.training.loop import TrainingSetup
from lince.training.objective import LossMean, move_maps, sum_losses
from lince.training.plan import TrainingPlan
from lince.training.plan_runner import HardwareChoice
from lince.training.recipe import RecipeContext


@dataclass(frozen=True)
class DetectionViews:
    """The labels of the views of ``samples`` whose maps are in ``feature_maps``."""

    samples: DetectionSamples
    feature_maps: CachedFeatureMaps

    def make_target(self, row: int, view: int) -> DetectionTarget:
        """Return the target of ``view`` of the image of ``row``, as in ``DetectionBatch``.

        The boxes undergo the same random geometry as the view; those that leave the image are dropped.
        """
        samples, store, object_rows = self.samples, self.feature_maps.store, self.samples.objects.slice_of_image(row)
        image_size = (int(samples.image_sizes[row][0]), int(samples.image_sizes[row][1]))
        rng = store.make_rng(self.feature_maps.keys[row], view)
        boxes, kept, matrix = augment_boxes(
            image_size, store.get_view_policy(view), rng, store.spec, samples.objects.boxes[object_rows]
        )
        masks = None
        if samples.with_masks:
            scale = min(1.0, 2 * max(store.spec.height / image_size[0], store.spec.width / image_size[1]))
            enlarged = np.diag([1 / scale, 1 / scale, 1.0])
            masks = move_masks(samples.read_masks(row, np.full(2, scale)), kept, matrix @ enlarged)
        return make_target(boxes, samples.objects.class_ids[object_rows][kept], masks, store.spec)


@dataclass(frozen=True)
class FeatureMapObjective:
    """The losses of a detector's head on cached feature maps, validated as in ``DetectionObjective``."""

    views: DetectionViews
    val_loader: DetectionLoader
    forward_method: str = "compute_head_losses"

    def compute_loss(
        self, network: Detector, batch: FeatureMapBatch[DetectionTarget], device: torch.device, mixing_off: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of the losses of ``batch``, and each loss by name for the log."""
        return sum_losses(
            network.compute_head_losses(
                move_maps(batch.maps, device), self._input_size, move_targets(batch.targets, device), mixing_off
            )
        )

    @torch.inference_mode()
    def validate(self, network: Detector, device: torch.device) -> dict[str, float]:
        """Return ``val_loss`` and the figures of ``compute_validation_metrics``, computed from the maps of view 0."""
        network.eval()
        detections: list[Detections] = []
        losses = LossMean()
        torch.manual_seed(0)  # for losses that choose at random; the loop seeds every step anew
        loader = FeatureMapLoader(
            self.views.feature_maps, self.views.make_target, self.val_loader.rows, 1, VAL_BATCH_SIZE
        )
        for batch in loader.iter_batches():
            rows = self.val_loader.rows[len(detections) : len(detections) + len(batch)]
            maps = move_maps(batch.maps, device)
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
    path = prepare_frozen_body(context, source, lambda path: export_feature_maps(network, context.spec, path))
    feature_maps, view_count = cache_feature_maps(context, path, policy)
    views = DetectionViews(samples, feature_maps)

    def make_setup(plan: TrainingPlan, hardware: HardwareChoice) -> TrainingSetup:
        train_loader = FeatureMapLoader(feature_maps, views.make_target, rows, view_count, plan.batch, plan.seed)
        objective = FeatureMapObjective(views, DetectionLoader(samples, context.val_rows, context.spec, VAL_BATCH_SIZE))
        return plan_runner.make_training_setup(context, network, train_loader, objective, plan, hardware)

    state = plan_runner.plan_and_train(
        context,
        make_setup,
        lambda epoch_seconds: defaults.plan_transfer(context, len(rows), epoch_seconds),
        lambda: rehearse_closing(context, network, samples),
    )
    return TrainedDetector("transfer", network, context.spec, samples, state, TrainingAugmentation(policy), facts)
