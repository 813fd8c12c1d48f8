"""The recipe ``finetune``: fine-tunes the whole network from the transfer head, and keeps it only if it is better.

Linear probing followed by fine-tuning (Kumar et al. 2022): with a fitted head, the first gradients do not distort the
pretrained layers. Lower layers get lower learning rates, batch-norm statistics stay fixed, and the validation images
decide between the transfer model and the fine-tuned one.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from lince.augmentation import Policy
from lince.i18n import _
from lince.models.blocks import Block
from lince.models.classification.classifier import Classifier
from lince.models.weights_source import WeightsSource
from lince.training.classification import network_recipe
from lince.training.classification.build import build_with_weights, describe_network
from lince.training.classification.heads.logistic import LinearHead
from lince.training.classification.recipes.transfer import fit_head, train_transfer_head
from lince.training.image_labels import ImageHead
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext, TrainedClassifier

DEFAULT_EPOCHS, DEFAULT_BATCH_SIZE, DEFAULT_LEARNING_RATE = 5, 32, 3e-4
DEPTH_DECAY = 0.8
MAX_LOSS_RATIO = 0.98  # at an equal figure, a log loss below this fraction of the other counts as better
DEFAULT_POLICY = "light"


def fine_tune_network(context: RecipeContext, source: WeightsSource) -> TrainedClassifier:
    """Fine-tune the network of ``source`` and write the better of it and the transfer model as ``model.onnx``."""
    fitted_at = time.monotonic()
    head = fit_head(context)
    fit_seconds = time.monotonic() - fitted_at
    network, _facts = build_with_weights(source, context.spec, len(context.dataset.classes), context.config.seed)
    network.head = convert_to_module(head)
    blocks = network.list_blocks()
    first_trainable, reason = (
        (context.config.from_layer, _("as requested"))
        if context.config.from_layer is not None
        else _choose_upper_half(blocks)
    )
    frozen_count = network.freeze_before(first_trainable)
    context.progress.show_message(
        _("Trainable layers: {learning} of {all} ({reason})").format(
            learning=len(blocks) - frozen_count, all=len(blocks), reason=reason
        )
    )
    network.freeze_norms()
    facts = describe_network(network, source, context.spec, [])
    policy = Policy.parse(context.config.augment or DEFAULT_POLICY)
    state = network_recipe.train_network(
        context,
        network,
        policy,
        lambda epoch_seconds: plan_fine_tuning(context, epoch_seconds),
        2 * fit_seconds,  # the transfer model is fitted again, twice, where it is the better one
    )
    return _choose_better(
        context, network, head, network_recipe.export_and_evaluate(context, "finetune", network, state, policy, facts)
    )


def plan_fine_tuning(context: RecipeContext, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the hyper-parameters for fine-tuning: those configured, and defaults.

    ``epoch_seconds`` is how long one epoch takes here: with a time budget it limits the number of epochs.
    """
    config = context.config
    requested = (config.epochs or config.budget, config.batch, config.rate)
    epochs = config.epochs or DEFAULT_EPOCHS
    if config.budget is not None and epoch_seconds:
        epochs = max(1, min(config.epochs or 30, int(context.estimate_training_seconds() / epoch_seconds)))
    return TrainingPlan(
        epochs=epochs,
        batch=config.batch or DEFAULT_BATCH_SIZE,
        rate=config.rate or DEFAULT_LEARNING_RATE,
        seed=config.seed,
        depth_decay=DEPTH_DECAY,
        label_smoothing=context.choose_smoothing(0.1),
        ema=0.98,
        monitor=config.monitor or "val_loss",
        patience=config.patience or 5,
        reasons=tuple(_("as requested") if value else _("default for fine-tuning") for value in requested),
    )


def _choose_upper_half(blocks: list[Block]) -> tuple[str, str]:
    """Return the name of the first block of the upper half, and the reason for it.

    Lower layers detect edges and colours, which are common to all photos (Yosinski et al. 2014), and take most of the
    computation.
    """
    return blocks[len(blocks) // 2][0], _("the upper half; the lower layers are general; --from-layer 0 trains all")


def convert_to_module(head: ImageHead) -> nn.Module:
    """Return a fitted head as torch layers with the same weights."""
    modules: list[nn.Module] = []
    for weight, bias in head.layers:
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [nn.ReLU(), linear]
    return modules[1] if isinstance(head, LinearHead) else nn.Sequential(*modules[1:])


def _choose_better(
    context: RecipeContext, network: Classifier, head: ImageHead, fine_tuned: TrainedClassifier
) -> TrainedClassifier:
    """Return the result of the fine-tuned network, or that of the transfer model when it is not worse on validation.

    A higher figure (accuracy, or mean average precision) decides; where it is equal, the loss must fall below
    ``MAX_LOSS_RATIO`` of the other. Without validation images the fine-tuned network is kept. Choosing the transfer
    model writes ``model.onnx`` again.
    """
    val_features = context.features.embeddings[context.val_rows] if context.features is not None else None
    if val_features is None or not len(val_features):
        return fine_tuned
    loss, figure = context.labels.measure(head.compute_logits(val_features), context.read_truth(context.val_rows))
    comparison = _("Validation: transfer {before:.1%}, fine-tuned {after:.1%}.").format(
        before=figure, after=fine_tuned.val_figure
    )
    is_equal = fine_tuned.val_figure == figure or np.isnan(figure)
    if fine_tuned.val_figure > figure or (is_equal and fine_tuned.val_loss < MAX_LOSS_RATIO * loss):
        return replace(fine_tuned, notes=[*fine_tuned.notes, comparison + " " + _("The fine-tuned network is kept.")])
    note = comparison + " " + _("Fine-tuning did not improve on transfer, so the transfer model is kept.")
    context.progress.show_message(note)
    transfer = train_transfer_head(context)
    return replace(
        transfer, recipe="finetune", history=fine_tuned.history, notes=[*transfer.notes, note], policy=fine_tuned.policy
    )
