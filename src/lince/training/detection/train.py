"""From boxes and choices to a finished detector, read from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lince import number_format
from lince.annotations import ObjectTable
from lince.config import TrainConfig
from lince.datasets import Dataset, compute_content_keys, require_usable_dataset, verify_images
from lince.errors import DataError, UsageError
from lince.evaluation.report import DetectionReport
from lince.i18n import _
from lince.models.detection import registry as detection_registry
from lince.models.detection.registry import DetectorEntry
from lince.models.weights_source import WeightsSource, make_preprocess, resolve_weights
from lince.splits import SPLITS
from lince.training.detection.finalise import finalise_run
from lince.training.detection.recipes import full
from lince.training.detection.recipes.full import TrainedDetector
from lince.training.detection.recipes.transfer import train_transfer_head
from lince.training.recipe import RecipeContext
from lince.training.request import StageTimer, TrainingRequest, assign_splits
from lince.training.run_folder import TrainingRun

DEFAULT_MODEL = "nano"
RECIPES: dict[str, Callable[[RecipeContext, WeightsSource], TrainedDetector]] = {
    "scratch": full.train_from_scratch,
    "transfer": train_transfer_head,
    "finetune": full.fine_tune_network,
}


def train_detector(request: TrainingRequest, target: TrainingRun) -> DetectionReport:
    """Train a detector as ``request`` says into ``target``, write its model and its report, and return the report.

    Raises what training a classifier raises.
    """
    clock, config, progress = StageTimer(), request.config, request.progress
    _require_supported_config(config)
    # The network and its input.
    entry = detection_registry.get_detector_entry(config.model or DEFAULT_MODEL)
    source = resolve_weights(entry, "none" if config.recipe == "scratch" else config.weights, progress)
    spec = make_preprocess(source, config.size, config.resize)
    progress.show_message(_describe_network(entry, spec.height))
    if entry.copyleft_notice:
        progress.show_message(entry.copyleft_notice)
    clock.record_stage("model")
    # The images: those that can be read, each in its part.
    dataset = verify_images(request.dataset, progress)
    require_usable_dataset(dataset, request.allow_unusable)
    found = compute_content_keys(dataset, progress)
    dataset = assign_splits(request, target, dataset, found)
    _require_objects(dataset)
    job = replace(RecipeContext.create(dataset, config, source.entry, spec, progress), keys=found, folder=target.folder)
    clock.record_stage("images")
    # The training itself, and then what people want to know of it.
    trained = RECIPES[config.recipe](job, source)
    clock.record_stage("train")
    return finalise_run(target, job, trained, clock.stage_seconds)


def _describe_network(entry: DetectorEntry, side: int) -> str:
    facts = [_("{side} pixels").format(side=side), entry.licence]
    if entry.params is not None:
        facts.append(_("{params} parameters").format(params=number_format.format_si_suffix(entry.params)))
    return _("Network: {name} ({parts})").format(name=entry.name, parts=", ".join(facts))


def _require_supported_config(config: TrainConfig) -> None:
    """Raise ``UsageError`` for choices that mean nothing where objects are to be found."""
    unfit = {"mix cutmix": config.mix == "cutmix", "standardise": config.standardise != "none"}
    asked = [name for name, chosen in {**unfit, "resize crop": config.resize == "crop"}.items() if chosen]
    if asked:
        raise UsageError(
            _("'{name}' does not suit objects in boxes.").format(name=asked[0]),
            _("Expected choices that keep whole images and their colours."),
            _("Leave it out."),
        )


def _require_objects(dataset: Dataset) -> None:
    """Raise ``DataError`` when there is nothing to learn from, or nothing to test on."""
    marked = ObjectTable.empty(len(dataset)) if dataset.objects is None else dataset.objects
    counts = {name: len(marked.select_images(dataset.get_split_indices(number))) for name, number in SPLITS.items()}
    if counts["train"] and counts["test"]:
        return
    raise DataError(
        _("There are {train:,} objects to learn from and {test:,} to test on.").format(**counts),
        _("Expected boxes on images of both parts."),
        _("Label more images, or change the shares with --val and --test."),
    )
