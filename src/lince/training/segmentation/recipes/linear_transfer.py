"""The recipe ``transfer`` without torch: a linear head on the feature maps of a frozen body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lince.augmentation import Policy
from lince.errors import UsageError
from lince.export.pixel_head import attach_pixel_head
from lince.fileio import make_install_line
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.models.weights_source import WeightsSource
from lince.training.augmented_loader import TrainingAugmentation
from lince.training.feature_maps import cache_feature_maps
from lince.training.recipe import RecipeContext
from lince.training.recipe_options import format_flags
from lince.training.run_folder import TrainingRun
from lince.training.run_report import collect_network_facts
from lince.training.segmentation.defaults import DEFAULT_POLICY
from lince.training.segmentation.frozen_body import prepare_pyramid_body
from lince.training.segmentation.pixel_head import fit_pixel_head
from lince.training.segmentation.samples import SegmentationSamples, SegmentationViews
from lince.training.segmentation.trained_segmenter import TrainedSegmenter

_LOOP_OPTIONS = ("epochs", "batch", "rate", "monitor", "patience")  # of heads that are trained in steps


def fit_linear_head(context: RecipeContext, source: WeightsSource) -> TrainedSegmenter:
    """Fit a linear head on sampled pixels of the training images, write ``model.onnx`` and return the result.

    Raises ``UsageError`` for options of a training in epochs, of which there are none.
    """
    _require_no_loop_options(context)
    samples = SegmentationSamples.from_dataset(context.dataset)
    policy = Policy.parse(context.config.augment or DEFAULT_POLICY)
    body = prepare_pyramid_body(context, source)
    feature_maps, view_count = cache_feature_maps(context, body.path, policy)
    items = [(int(row), view) for row in context.train_rows for view in range(view_count)]
    head = fit_pixel_head(
        SegmentationViews(samples, feature_maps),
        items,
        len(context.dataset.classes),
        context.config.seed,
        context.progress,
    )
    attach_pixel_head(
        body.path, head.weights, head.scene, head.bias, TrainingRun(context.folder).model_folder / NETWORK_FILE
    )
    backend = OnnxRuntimeBackend(body.path)

    def predict(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        maps: Sequence[NDArray[np.float32]] = backend.run(inputs, list(backend.outputs))
        return head.compute_logits(maps)

    macs = body.macs + head.count_macs(feature_maps.shapes)
    params = body.params + head.param_count
    return TrainedSegmenter(
        recipe="transfer",
        facts=collect_network_facts(source, params, head.param_count, macs),
        notes=[
            _("Linear head on {count:,} pixels, penalty {penalty:g} chosen by cross-validation over images").format(
                count=head.pixel_count, penalty=head.l2_penalty
            )
        ],
        policy=str(policy),
        samples=samples,
        reference_predict=predict,
        augmentation=TrainingAugmentation(policy),
    )


def _require_no_loop_options(context: RecipeContext) -> None:
    """Raise ``UsageError`` where options were given that a head without epochs does not use."""
    given = [name for name in _LOOP_OPTIONS if getattr(context.config, name) is not None]
    if given:
        raise UsageError(
            _("The linear head, which is fitted without PyTorch, does not use {options}.").format(
                options=format_flags(given)
            ),
            _("Expected only options that change the result."),
            _("Leave it out, or install PyTorch. In lince's own folder, type: {line}").format(
                line=make_install_line("train")
            ),
        )
