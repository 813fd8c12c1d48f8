"""The verb: from a dataset and choices to a finished run, read from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lince.annotations import UNLABELLED
from lince.config import TrainConfig
from lince.data import SPLITS, TRAIN, Dataset, keys, require_usable, verify
from lince.errors import DataError, UsageError
from lince.evaluation.report import DetectionReport, Report
from lince.messages import _
from lince.models import registry
from lince.models.registry import ModelEntry
from lince.models.sources import Source, locate, preprocess_for
from lince.progress import Progress
from lince.training import defaults, features
from lince.training.backbones import frozen
from lince.training.finish import finish
from lince.training.job import Job, Outcome
from lince.training.request import Clock, Request, divide
from lince.training.run import Run
from lince.training.statistics import featurewise
from lince.training.transfer import transfer

PRETRAINED = ("transfer", "finetune")


def train(request: Request, target: Run) -> Report | DetectionReport:
    """Train what the labels of ``request`` call for into ``target``: a detector where they mark objects."""
    if finds_objects(request.dataset):
        # torch takes seconds to load: only where it is needed.
        from lince.training.detection.train import train as find  # noqa: PLC0415

        return find(request, target)
    return classify(request, target)


def finds_objects(dataset: Dataset) -> bool:
    """Return whether the labels of ``dataset`` mark objects on its images and no image as a whole has a class."""
    return dataset.objects is not None and not (dataset.class_ids != UNLABELLED).any()


def classify(request: Request, target: Run) -> Report:
    """Train a classifier as ``request`` says into ``target``, write its model and its report, and return the report.

    Raises ``DataError`` when the images do not suffice, ``WeightsError`` when the weights do not, ``DivergedError``
    when the loss is no longer a number. A run that was interrupted goes on from its last checkpoint.
    """
    clock = Clock()
    config = request.config
    # The network and its input.
    chosen = defaults.network(request.dataset, config)
    for reason in chosen.reasons:
        request.progress.say(reason)
    source = _source(chosen.entry, config, request.progress)
    spec = preprocess_for(source, chosen.size, config.resize, config.standardise, request.dataset.images.grey)
    clock.lap("model")
    # The images: those that can be read, each in its part.
    job = _prepared(request, target, source, Job.start(request.dataset, config, source.entry, spec, request.progress))
    clock.lap("images")
    # The training itself, and then what people want to know of it.
    outcome = _recipe(config.recipe)(job, source)
    clock.lap("train")
    return finish(target, job, outcome, clock.laps)


def _source(entry: ModelEntry, config: TrainConfig, progress: Progress) -> Source:
    if config.recipe not in PRETRAINED:
        return locate(entry, "none", progress)
    if entry.architecture == registry.CNN and config.weights == "auto":
        raise UsageError(
            _("A network declared layer by layer has no pretrained weights, which '{recipe}' starts from.").format(
                recipe=config.recipe
            ),
            _("Expected a pretrained model, or weights of your own."),
            _("Use --recipe scratch, or --weights FILE."),
        )
    if config.standardise != "none":
        raise UsageError(
            _("Pretrained weights want their images as they were made with, not standardised {how}.").format(
                how=config.standardise
            ),
            _("Expected --standardise none with the recipe '{recipe}'.").format(recipe=config.recipe),
        )
    return locate(entry, config.weights, progress)


def _prepared(request: Request, target: Run, source: Source, job: Job) -> Job:
    """Return ``job`` with unusable images set aside, every row in a split, and features where the recipe needs them."""
    config, progress = request.config, request.progress
    if config.recipe in PRETRAINED:
        backbone = frozen(source, job.spec, config.seed, progress)
        found = features.compute(job.dataset, backbone.network, job.spec, progress)
        dataset = job.dataset.without(found.refused)
        job = replace(job, backbone=backbone, features=found, keys=found.keys)
    else:
        dataset = verify(job.dataset, progress)
        job = replace(job, keys=keys(dataset, progress))
    require_usable(dataset, request.allow_unusable)
    dataset = divide(request, target, dataset, job.keys)
    _require_parts(dataset)
    return replace(job, dataset=dataset, folder=target.folder, spec=featurewise(dataset, job.spec))


def _require_parts(dataset: Dataset) -> None:
    """Raise ``DataError`` when there is nothing to train on, nothing to test on, or only one class to tell."""
    sizes = {name: len(dataset.indices(number)) for name, number in SPLITS.items()}
    known = np.unique(dataset.class_ids[dataset.indices(TRAIN)])
    if len(known) >= 2 and sizes["test"]:
        return
    raise DataError(
        _("The images divide into {train} to train on, {val} to validate and {test} to test.").format(**sizes)
        + " "
        + _("Classes to learn: {count}.").format(count=len(known)),
        _("Expected at least two classes with several images each."),
        _("Add images, or change the shares with --val and --test."),
    )


def _recipe(name: str) -> Callable[[Job, Source], Outcome]:
    # torch takes seconds to load: a warm transfer run never needs it.
    if name == "transfer":
        return lambda job, _source: transfer(job)
    if name == "finetune":
        from lince.training.finetune import finetune  # noqa: PLC0415

        return finetune
    from lince.training.scratch import scratch  # noqa: PLC0415

    return lambda job, _source: scratch(job)
