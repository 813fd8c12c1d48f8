"""The recipe ``scratch``: a network that has seen nothing before learns from the training photos alone."""

from __future__ import annotations

from lince.augmentation import Policy
from lince.i18n import _
from lince.models.blocks import has_norm_layers
from lince.models.weights_source import resolve_weights
from lince.training.classification import defaults, fit
from lince.training.classification.build import build_with_weights
from lince.training.classification.frozen_backbone import describe_cost
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext, TrainedClassifier


def train_from_scratch(job: RecipeContext) -> TrainedClassifier:
    """Train the network of ``job`` from random weights and write ``model.onnx``."""
    network, facts = build_with_weights(
        resolve_weights(job.entry, "none"), job.spec, len(job.dataset.classes), job.config.seed
    )
    job.progress.show_message(describe_cost(facts, job.entry))
    count = job.config.epochs or defaults.choose_epochs(len(job.train_rows))[0]
    policy = Policy.parse(defaults.choose_policy(job.dataset, job.config, job.spec.height, count))
    norms = has_norm_layers(network)
    state = fit.train_network(job, network, policy, lambda epoch_seconds: plan_from_scratch(job, norms, epoch_seconds))
    return fit.export_and_evaluate(job, "scratch", network, state, policy, facts)


def plan_from_scratch(job: RecipeContext, norms: bool, epoch_seconds: float | None = None) -> TrainingPlan:
    """Return the plan of a training from scratch, of a network with norms or without.

    A budget caps its epochs when the time of one is known.
    """
    config, images = job.config, len(job.train_rows)
    epochs, why_epochs = defaults.choose_epochs(images) if config.epochs is None else (config.epochs, _("as asked"))
    batch, why_batch = defaults.choose_batch_size(images) if config.batch is None else (config.batch, _("as asked"))
    rate, why_rate = (
        defaults.choose_learning_rate(batch, norms) if config.rate is None else (config.rate, _("as asked"))
    )
    if config.budget is not None and epoch_seconds:
        epochs = max(1, min(config.epochs or 1000, int(config.budget / epoch_seconds)))
        why_epochs = _("{seconds:.0f} s each, in the budget").format(seconds=epoch_seconds)
    return TrainingPlan(
        epochs=epochs,
        batch=batch,
        rate=rate,
        warmup=0.15,
        decay=0.05,
        seed=config.seed,
        label_smoothing=defaults.choose_label_smoothing(norms)
        if config.label_smoothing is None
        else config.label_smoothing,
        ema=0.998,
        monitor=config.monitor or "val_loss",
        patience=config.patience or epochs,
        reasons=(why_epochs, why_batch, why_rate),
    )
