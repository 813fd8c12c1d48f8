"""The recipe ``scratch``: trains a network from random weights on the training images alone."""

from __future__ import annotations

from lince.augmentation import Policy
from lince.i18n import _
from lince.models.blocks import has_norm_layers
from lince.models.weights_source import resolve_weights
from lince.training.classification import defaults, network_recipe
from lince.training.classification.build import build_with_weights
from lince.training.classification.frozen_backbone import describe_cost
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext, TrainedClassifier


def train_from_scratch(context: RecipeContext) -> TrainedClassifier:
    """Train the network of ``context`` from random weights, write ``model.onnx`` and return the result."""
    network, facts = build_with_weights(
        resolve_weights(context.entry, "none"), context.spec, len(context.dataset.classes), context.config.seed
    )
    context.progress.show_message(describe_cost(facts, context.entry))
    epochs = context.config.epochs or defaults.choose_epochs(len(context.train_rows))[0]
    policy = Policy.parse(defaults.choose_policy(context.dataset, context.config, context.spec.height, epochs))
    has_norms = has_norm_layers(network)
    state = network_recipe.train_network(
        context, network, policy, lambda epoch_seconds: plan_from_scratch(context, has_norms, epoch_seconds)
    )
    return network_recipe.export_and_evaluate(context, "scratch", network, state, policy, facts)


def plan_from_scratch(context: RecipeContext, has_norms: bool, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the hyper-parameters for training from scratch: those configured, and defaults from the data.

    ``has_norms`` tells whether the network has normalisation layers. ``epoch_seconds`` is how long one epoch takes
    here: with a time budget it limits the number of epochs.
    """
    config, images = context.config, len(context.train_rows)
    epochs, epochs_reason = (
        defaults.choose_epochs(images) if config.epochs is None else (config.epochs, _("as requested"))
    )
    batch, batch_reason = (
        defaults.choose_batch_size(images) if config.batch is None else (config.batch, _("as requested"))
    )
    rate, rate_reason = (
        defaults.choose_learning_rate(batch, has_norms) if config.rate is None else (config.rate, _("as requested"))
    )
    if config.budget is not None and epoch_seconds:
        epochs = max(1, min(config.epochs or 1000, int(context.estimate_training_seconds() / epoch_seconds)))
        epochs_reason = _("{seconds:.0f} s each, within the time budget").format(seconds=epoch_seconds)
    return TrainingPlan(
        epochs=epochs,
        batch=batch,
        rate=rate,
        warmup=0.15,
        decay=0.05,
        seed=config.seed,
        label_smoothing=context.choose_smoothing(defaults.choose_label_smoothing(has_norms)),
        ema=0.998,
        monitor=config.monitor or "val_loss",
        patience=config.patience or epochs,
        reasons=(epochs_reason, batch_reason, rate_reason),
    )
