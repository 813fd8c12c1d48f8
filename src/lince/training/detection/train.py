"""From boxes and choices to a finished detector, read from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lince.annotations import Objects
from lince.config import TrainConfig
from lince.data import SPLITS, Dataset, keys, require_usable, verify
from lince.errors import DataError, UsageError
from lince.evaluation import figures
from lince.evaluation.report import DetectionReport
from lince.messages import _
from lince.models import detectors
from lince.models.detectors import DetectorEntry
from lince.models.sources import Source, locate, preprocess_for
from lince.training.detection import recipes
from lince.training.detection.finish import finish
from lince.training.detection.recipes import Trained
from lince.training.detection.transfer import transfer
from lince.training.job import Job
from lince.training.request import Clock, Request, divide
from lince.training.run import Run

DEFAULT = "nano"
RECIPES: dict[str, Callable[[Job, Source], Trained]] = {
    "scratch": recipes.scratch,
    "transfer": transfer,
    "finetune": recipes.finetune,
}


def train(request: Request, target: Run) -> DetectionReport:
    """Train a detector as ``request`` says into ``target``, write its model and its report, and return the report.

    Raises what training a classifier raises.
    """
    clock, config, progress = Clock(), request.config, request.progress
    _require_choices(config)
    # The network and its input.
    entry = detectors.find(config.model or DEFAULT)
    source = locate(entry, "none" if config.recipe == "scratch" else config.weights, progress)
    spec = preprocess_for(source, config.size, config.resize)
    progress.say(_tell(entry, spec.height))
    if entry.copyleft:
        progress.say(entry.copyleft)
    clock.lap("model")
    # The images: those that can be read, each in its part.
    dataset = verify(request.dataset, progress)
    require_usable(dataset, request.allow_unusable)
    found = keys(dataset, progress)
    dataset = divide(request, target, dataset, found)
    _require_objects(dataset)
    job = replace(Job.start(dataset, config, source.entry, spec, progress), keys=found, folder=target.folder)
    clock.lap("images")
    # The training itself, and then what people want to know of it.
    trained = RECIPES[config.recipe](job, source)
    clock.lap("train")
    return finish(target, job, trained, clock.laps)


def _tell(entry: DetectorEntry, side: int) -> str:
    facts = [_("{side} pixels").format(side=side), entry.licence]
    if entry.params is not None:
        facts.append(_("{params} parameters").format(params=figures.magnitude(entry.params)))
    return _("Network: {name} ({parts})").format(name=entry.name, parts=", ".join(facts))


def _require_choices(config: TrainConfig) -> None:
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
    marked = Objects.none(len(dataset)) if dataset.objects is None else dataset.objects
    counts = {name: len(marked.select(dataset.indices(number))) for name, number in SPLITS.items()}
    if counts["train"] and counts["test"]:
        return
    raise DataError(
        _("There are {train:,} objects to learn from and {test:,} to test on.").format(**counts),
        _("Expected boxes on images of both parts."),
        _("Label more images, or change the shares with --val and --test."),
    )
