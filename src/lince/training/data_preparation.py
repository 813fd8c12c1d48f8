"""Reads and divides the images of a run whose recipes learn from parts of images: objects or pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lince.datasets import Dataset, compute_content_keys, require_usable_dataset, verify_images
from lince.models.weights_source import WeightsSource
from lince.preprocess import PreprocessSpec
from lince.training.recipe import RecipeContext
from lince.training.request import TrainingRequest, assign_splits
from lince.training.run_folder import TrainingRun
from lince.training.split_warnings import list_box_warnings, list_split_warnings


def prepare_context(
    request: TrainingRequest,
    run: TrainingRun,
    source: WeightsSource,
    spec: PreprocessSpec,
    require_labels: Callable[[Dataset], None],
    describe_labels: Callable[[Dataset], Sequence[str]] = lambda _dataset: (),
) -> RecipeContext:
    """Return the context of a recipe: readable images, each in a split.

    ``require_labels`` raises ``DataError`` where the labels of a divided dataset do not suffice; ``describe_labels``
    returns lines on them. Warns of what the
    split or the boxes make impossible.
    """
    progress = request.progress
    dataset = verify_images(request.dataset, progress)
    require_usable_dataset(dataset, request.allow_unusable)
    keys = compute_content_keys(dataset, progress)
    division = assign_splits(request, run, dataset, keys)
    require_labels(division.dataset)
    for line in describe_labels(division.dataset):
        progress.show_message(line)
    for warning in (*list_split_warnings(division.dataset), *list_box_warnings(division.dataset, progress)):
        progress.show_message(warning)
    return replace(
        RecipeContext.create(division.dataset, request.config, source.entry, spec, progress),
        keys=keys,
        folder=run.folder,
        division=division,
        started_at=request.started_at,
        is_rate_test=request.is_rate_test,
    )
