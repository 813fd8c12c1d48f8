"""The recipe ``scratch``: a network that has seen nothing before learns from the training photos alone."""

from __future__ import annotations

from lince.augmentation import Policy
from lince.models.sources import locate
from lince.training import fitting
from lince.training.job import Job, Outcome
from lince.training.networks import loaded
from lince.training.plan import Plan

EPOCHS, BATCH, RATE = 30, 32, 3e-3
AUGMENT = "medium"


def scratch(job: Job) -> Outcome:
    """Train the network of ``job`` from random weights and write ``model.onnx``."""
    network, facts = loaded(locate(job.entry, "none"), job.spec, len(job.dataset.classes), job.config.seed)
    policy = Policy.parse(job.config.augment or AUGMENT)
    state = fitting.train(job, network, policy, lambda epoch_seconds: plan(job, epoch_seconds))
    return fitting.outcome(job, "scratch", network, state, policy, facts)


def plan(job: Job, epoch_seconds: float | None = None) -> Plan:
    """Return the plan of a training from scratch; a budget caps its epochs when the time of one is known."""
    config = job.config
    epochs = config.epochs or EPOCHS
    if config.budget is not None and epoch_seconds:
        epochs = max(1, min(config.epochs or 1000, int(config.budget / epoch_seconds)))
    return Plan(
        epochs=epochs,
        batch=config.batch or BATCH,
        rate=config.rate or RATE,
        seed=config.seed,
        label_smoothing=0.1 if config.label_smoothing is None else config.label_smoothing,
        ema=0.99 if epochs >= 10 else 0.0,
        monitor=config.monitor,
        patience=config.patience or max(5, epochs),
    )
