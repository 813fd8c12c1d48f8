"""The recipe ``finetune``: from the transfer head on, the whole network learns; kept only if it is better.

Linear probing, then fine-tuning (Kumar et al. 2022): a fitted head sends no wild gradients into the pretrained
layers. Lower layers get lower rates, batch-norm statistics stay, and the validation images decide at the end.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from lince.augmentation import Policy
from lince.i18n import _
from lince.models.blocks import Block
from lince.models.classification.classifier import Classifier
from lince.models.weights_source import WeightsSource
from lince.training.classification import fit
from lince.training.classification.build import build_with_weights, describe_network
from lince.training.classification.heads.logistic import LinearHead
from lince.training.classification.recipes.transfer import (
    ClassifierHead,
    compute_loss_and_accuracy,
    fit_head,
    train_transfer_head,
)
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext, TrainedClassifier

DEFAULT_EPOCHS, DEFAULT_BATCH_SIZE, DEFAULT_LEARNING_RATE = 5, 32, 3e-4
DEPTH_DECAY = 0.8
MAX_LOSS_RATIO = 0.98  # at equal accuracy, a log loss below this share of the other is better and not just luck
DEFAULT_POLICY = "light"


def fine_tune_network(job: RecipeContext, source: WeightsSource) -> TrainedClassifier:
    """Fine-tune the network of ``source`` from the transfer head and write the better of the two as ``model.onnx``."""
    head = fit_head(job)
    network, _facts = build_with_weights(source, job.spec, len(job.dataset.classes), job.config.seed)
    network.head = convert_to_module(head)
    blocks = network.list_blocks()
    first, why = (
        (job.config.from_layer, _("as asked")) if job.config.from_layer is not None else _choose_upper_half(blocks)
    )
    count = network.freeze_before(first)
    job.progress.show_message(
        _("Layers that learn: {learning} of {all} ({reason})").format(
            learning=len(blocks) - count, all=len(blocks), reason=why
        )
    )
    network.freeze_norms()
    described = describe_network(network, source, job.spec, [])
    policy = Policy.parse(job.config.augment or DEFAULT_POLICY)
    state = fit.train_network(job, network, policy, lambda epoch_seconds: plan_fine_tuning(job, epoch_seconds))
    return _choose_better(
        job, network, head, fit.export_and_evaluate(job, "finetune", network, state, policy, described)
    )


def plan_fine_tuning(job: RecipeContext, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the plan of a fine-tuning; a budget caps its epochs when the time of one is known."""
    config = job.config
    asked = (config.epochs or config.budget, config.batch, config.rate)
    epochs = config.epochs or DEFAULT_EPOCHS
    if config.budget is not None and epoch_seconds:
        epochs = max(1, min(config.epochs or 30, int(config.budget / epoch_seconds)))
    return TrainingPlan(
        epochs=epochs,
        batch=config.batch or DEFAULT_BATCH_SIZE,
        rate=config.rate or DEFAULT_LEARNING_RATE,
        seed=config.seed,
        depth_decay=DEPTH_DECAY,
        label_smoothing=0.1 if config.label_smoothing is None else config.label_smoothing,
        ema=0.98,
        monitor=config.monitor or "val_loss",
        patience=config.patience or 5,
        reasons=tuple(_("as asked") if value else _("suits fine-tuning") for value in asked),
    )


def _choose_upper_half(blocks: list[Block]) -> tuple[str, str]:
    # Lower layers see edges and colours, which photos of anything share (Yosinski et al. 2014), and cost the most.
    return blocks[len(blocks) // 2][0], _("the upper half: the lower one suits any photo; --from-layer 0 means all")


def convert_to_module(head: ClassifierHead) -> nn.Module:
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
    job: RecipeContext, network: Classifier, head: ClassifierHead, tuned: TrainedClassifier
) -> TrainedClassifier:
    features = job.features.embeddings[job.val_rows] if job.features is not None else None
    if features is None or not len(features):
        return tuned
    loss, accuracy = compute_loss_and_accuracy(head.compute_logits(features), job.get_labels(job.val_rows))
    told = _("Validation: transfer {before:.1%}, fine-tuned {after:.1%}.").format(
        before=accuracy, after=tuned.val_accuracy
    )
    equal = tuned.val_accuracy == accuracy and tuned.val_loss < MAX_LOSS_RATIO * loss
    if tuned.val_accuracy > accuracy or equal:
        return replace(tuned, notes=[*tuned.notes, told + " " + _("The fine-tuned network is kept.")])
    kept = told + " " + _("Fine-tuning did not beat transfer, so the transfer model is kept.")
    job.progress.show_message(kept)
    base = train_transfer_head(job)
    return replace(base, recipe="finetune", history=tuned.history, notes=[*base.notes, kept], policy=tuned.policy)
