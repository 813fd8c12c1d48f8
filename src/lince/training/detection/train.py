"""Trains a detector: from a request to a finished run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lince import number_format
from lince.annotations import ObjectTable
from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.errors import DataError, UsageError
from lince.evaluation.report import DetectionReport
from lince.i18n import _
from lince.models.detection.registry import DetectorEntry
from lince.models.weights_source import WeightsSource, make_preprocess_spec, resolve_weights
from lince.splits import SPLITS
from lince.tasks import get_task
from lince.training.data_preparation import prepare_context
from lince.training.detection.finalise import finalise_run
from lince.training.detection.kind import BOXES, DetectorKind
from lince.training.detection.network_recipe import TrainedDetector
from lince.training.detection.recipes.finetune import fine_tune_network
from lince.training.detection.recipes.scratch import train_from_scratch
from lince.training.detection.recipes.transfer import train_transfer_head
from lince.training.recipe import RecipeContext
from lince.training.request import StageTimer, TrainingRequest
from lince.training.run_folder import TrainingRun

DEFAULT_MODEL = "nano"
RECIPES: dict[str, Callable[[RecipeContext, WeightsSource], TrainedDetector]] = {
    "scratch": train_from_scratch,
    "transfer": train_transfer_head,
    "finetune": fine_tune_network,
}


def train_detector(request: TrainingRequest, run: TrainingRun) -> DetectionReport:
    """Train a detector of boxes as ``train_on_objects`` does."""
    return train_on_objects(request, run, BOXES)


def train_on_objects(request: TrainingRequest, run: TrainingRun, kind: DetectorKind) -> DetectionReport:
    """Train a detector of ``kind`` as ``request`` asks, write model and report into ``run``, and return the report.

    An interrupted run continues from its last checkpoint. Raises ``UsageError`` for options that do not apply to
    detectors, ``DataError`` when images or objects do not suffice, ``WeightsError`` when pretrained weights are missing
    or do not fit, and ``DivergedError`` when the loss becomes NaN.
    """
    timer, config, progress = StageTimer(), request.config, request.progress
    _require_supported_config(config)
    # Network and input.
    entry = kind.get_entry(config.model or DEFAULT_MODEL)
    source = resolve_weights(entry, "none" if config.recipe == "scratch" else config.weights, progress)
    spec = make_preprocess_spec(source, config.size, config.resize)
    progress.show_message(_describe_network(entry, spec.height))
    if entry.copyleft_notice:
        progress.show_message(entry.copyleft_notice)
    timer.record_stage("model")
    # Readable images, each in a split.
    context = prepare_context(request, run, source, spec, partial(_require_objects, kind=kind), kind.describe_data)
    timer.record_stage("images")
    # Training, then evaluation, model card and report.
    trained = RECIPES[config.recipe](context, source)
    timer.record_stage("train")
    return finalise_run(run, context, trained, timer.stage_seconds, kind)


def _describe_network(entry: DetectorEntry, side: int) -> str:
    """Return the line that names the network with its input size, licence and number of parameters."""
    facts = [_("{side} pixels").format(side=side), entry.licence]
    if entry.params is not None:
        facts.append(_("{params} parameters").format(params=number_format.format_si_suffix(entry.params)))
    return _("Network: {name} ({parts})").format(name=entry.name, parts=", ".join(facts))


def _require_supported_config(config: TrainConfig) -> None:
    """Raise ``UsageError`` for options that do not apply to detectors: cutmix, standardisation and cropping."""
    unsupported = {"mix cutmix": config.mix == "cutmix", "standardise": config.standardise != "none"}
    requested = [name for name, is_set in {**unsupported, "resize crop": config.resize == "crop"}.items() if is_set]
    if requested:
        raise UsageError(
            _("'{name}' cannot be used for object detection.").format(name=requested[0]),
            _("Expected settings that keep the whole image and its colours."),
            _("Remove it."),
        )


def _require_objects(dataset: Dataset, kind: DetectorKind) -> None:
    """Raise ``DataError`` when the training or the test images have no objects of ``kind``."""
    objects = ObjectTable.empty(len(dataset)) if dataset.objects is None else kind.select_learnable(dataset.objects)
    counts = {name: len(objects.select_images(dataset.get_split_indices(number))) for name, number in SPLITS.items()}
    if counts["train"] and counts["test"]:
        return
    raise DataError(
        _("There are {train:,} training objects and {test:,} test objects.").format(**counts),
        _("Expected {what} in both splits.").format(what=get_task(kind.task).label_name),
        _("Label more images, or change the fractions with --val and --test."),
    )
