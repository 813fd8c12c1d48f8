"""The recipe ``finetune`` of segmentation: trains the head as ``transfer`` does, then all, and keeps the better one."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace

from lince.i18n import _
from lince.models.weights_source import WeightsSource
from lince.training import plan_runner
from lince.training.checkpoint import TrainingState
from lince.training.recipe import RecipeContext
from lince.training.segmentation import defaults
from lince.training.segmentation.network_recipe import (
    export_result,
    make_augmentation,
    prepare_network,
    train_all_layers,
    train_head,
)
from lince.training.segmentation.trained_segmenter import TrainedSegmenter

HEAD_FOLDER = "head"  # within the run: plan and checkpoints of the head's training
HEAD_SHARE = 0.4  # of a time budget


def fine_tune_network(context: RecipeContext, source: WeightsSource) -> TrainedSegmenter:
    """Train the head of the network of ``source`` on its frozen body, then all layers at low rates.

    The statistics of the batch norms stay those of the published weights. The network of the first step is kept where
    the second is not better on the validation images.
    """
    training = prepare_network(context, source)
    network = training.network
    head_state = train_head(make_head_context(context), source, training)
    head_weights = deepcopy(network.state_dict())
    network.unfreeze()
    if context.config.from_layer is not None:
        network.freeze_before(context.config.from_layer)
    network.freeze_norms()
    state = train_all_layers(context, training, defaults.plan_fine_tuning)
    before, after = get_best_miou(head_state), get_best_miou(state)
    is_better = math.isnan(before) or after > before
    if not is_better:
        network.load_state_dict(head_weights)
    note = describe_choice(before, after, is_better)
    context.progress.show_message(note)
    augmentation = make_augmentation(context, plan_runner.load_plan(context))
    return export_result(context, "finetune", training, state.history, augmentation, [note])


def make_head_context(context: RecipeContext) -> RecipeContext:
    """Return ``context`` for the training of the head: in a folder of its own, by the defaults of ``transfer``.

    Epochs, rate and patience are those of the second step; of a time budget the head has its part.
    """
    config = context.config
    budget = None if config.budget is None else max(1.0, HEAD_SHARE * config.budget)
    config = config.with_changes(epochs=None, rate=None, patience=None, budget=budget)
    return replace(context, folder=context.folder / HEAD_FOLDER, config=config, is_rate_test=False)


def get_best_miou(state: TrainingState) -> float:
    """Return the validation mean IoU of the epoch whose weights were kept; NaN where it was not measured."""
    miou: float = state.history[state.best - 1]["val_miou"]
    return miou


def describe_choice(before: float, after: float, is_better: bool) -> str:
    """Return the sentence that says which of the two networks was kept, and why."""
    if math.isnan(before):
        return _("Without validation pixels nothing compares the two networks: the fine-tuned one is kept.")
    text = (
        _("Fine-tuning is kept: validation mean IoU {after:.1%}, {before:.1%} with the frozen network.")
        if is_better
        else _("Fine-tuning did not help (validation mean IoU {after:.1%}): the frozen network is kept ({before:.1%}).")
    )
    return text.format(before=before, after=after)
