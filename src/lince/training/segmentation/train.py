"""Trains a segmentation model: from a request to a finished run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lince import number_format
from lince.class_maps import require_class_count
from lince.datasets import Dataset
from lince.errors import DataError, UsageError
from lince.evaluation.report import Report
from lince.i18n import _
from lince.models.classification.registry import ModelEntry
from lince.models.segmentation import registry as segmentation_registry
from lince.models.weights_source import WeightsSource, make_preprocess_spec, resolve_weights
from lince.preprocess import PreprocessSpec
from lince.splits import SPLITS
from lince.training.data_preparation import prepare_context
from lince.training.recipe import RecipeContext
from lince.training.request import StageTimer, TrainingRequest
from lince.training.run_completion import close_run
from lince.training.run_folder import TrainingRun
from lince.training.segmentation.finalise import SegmentationClosing
from lince.training.segmentation.recipes.transfer import train_transfer_head
from lince.training.segmentation.trained_segmenter import TrainedSegmenter


def train_segmenter(request: TrainingRequest, run: TrainingRun) -> Report:
    """Train a segmentation model as ``request`` asks, write model and report into ``run``, and return the report.

    An interrupted run continues from its last checkpoint. Raises ``UsageError`` for options that do not apply,
    ``DataError`` when images or labels do not suffice, ``WeightsError`` when pretrained weights are missing or do not
    fit, and ``DivergedError`` when the loss becomes NaN.
    """
    timer, config, progress = StageTimer(), request.config, request.progress
    train_recipe = _get_recipe(config.recipe)  # before the images are read: its libraries may be missing
    entry = segmentation_registry.get_segmenter_entry(config.model or segmentation_registry.DEFAULT_MODEL)
    source = resolve_weights(entry, "none" if config.recipe == "scratch" else config.weights, progress)
    spec = make_preprocess_spec(source, config.size, config.resize)
    _require_supported_input(entry, spec)
    progress.show_message(_describe_network(entry, spec.height))
    timer.record_stage("model")
    context = prepare_context(request, run, source, spec, _require_labels)
    timer.record_stage("images")
    outcome = train_recipe(context, source)
    timer.record_stage("train")
    return close_run(run, context, outcome, timer.stage_seconds, SegmentationClosing())


def _get_recipe(name: str) -> Callable[[RecipeContext, WeightsSource], TrainedSegmenter]:
    """Return the training function of the recipe ``name``."""
    # torch takes seconds to load, and a linear transfer head does not need it.
    if name == "transfer":
        return train_transfer_head
    if name == "finetune":
        from lince.training.segmentation.recipes.finetune import fine_tune_network  # noqa: PLC0415

        return fine_tune_network
    from lince.training.segmentation.recipes.scratch import train_from_scratch  # noqa: PLC0415

    return train_from_scratch


def _describe_network(entry: ModelEntry, side: int) -> str:
    """Return the line that names the network with its input size and number of parameters."""
    facts = [_("{side} pixels").format(side=side)]
    if entry.params is not None:
        facts.append(_("{params} parameters").format(params=number_format.format_si_suffix(entry.params)))
    return _("Network: {name} ({parts})").format(name=entry.name, parts=", ".join(facts))


def _require_supported_input(entry: ModelEntry, spec: PreprocessSpec) -> None:
    """Raise ``UsageError`` for an input that leaves out a part of the photo, or has a side that does not fit."""
    if spec.resize == "crop":
        raise UsageError(
            _("'{name}' cannot be used for semantic segmentation.").format(name="resize crop"),
            _("Expected an input that shows the whole photo: squash, letterbox or corner."),
            _("Remove it."),
        )
    segmentation_registry.require_input_sides(entry, spec)


def _require_labels(dataset: Dataset) -> None:
    """Raise ``DataError`` when no training or no test image has an outline or a mask, or there are too many classes."""
    require_class_count(dataset.classes)
    counts = {name: _count_shaped_images(dataset, number) for name, number in SPLITS.items()}
    if counts["train"] and counts["test"]:
        return
    raise DataError(
        _("{train:,} training images and {test:,} test images have an outline or a mask.").format(**counts),
        _("Expected some in both splits."),
        _("Label more images, or change the fractions with --val and --test."),
    )


def _count_shaped_images(dataset: Dataset, split: int) -> int:
    """Return how many images of ``split`` have an object with an outline or a mask."""
    objects = dataset.select(dataset.get_split_indices(split)).objects
    if objects is None:
        return 0
    return len(np.unique(objects.image_ids[objects.has_mask | objects.has_polygons]))
