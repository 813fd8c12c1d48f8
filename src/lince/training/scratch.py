"""The recipe ``scratch``: a network that has seen nothing before learns from the training photos alone."""

from __future__ import annotations

from lince.augmentation import Policy
from lince.messages import _
from lince.models.blocks import has_norms
from lince.models.sources import locate
from lince.training import defaults, fitting
from lince.training.backbones import cost
from lince.training.job import Job, Outcome
from lince.training.networks import loaded
from lince.training.plan import Plan


def scratch(job: Job) -> Outcome:
    """Train the network of ``job`` from random weights and write ``model.onnx``."""
    network, facts = loaded(locate(job.entry, "none"), job.spec, len(job.dataset.classes), job.config.seed)
    job.progress.say(cost(facts, job.entry))
    count = job.config.epochs or defaults.epochs(len(job.train))[0]
    policy = Policy.parse(defaults.policy(job.dataset, job.config, job.spec.height, count))
    norms = has_norms(network)
    state = fitting.train(job, network, policy, lambda epoch_seconds: plan(job, norms, epoch_seconds))
    return fitting.outcome(job, "scratch", network, state, policy, facts)


def plan(job: Job, norms: bool, epoch_seconds: float | None = None) -> Plan:
    """Return the plan of a training from scratch, of a network with norms or without.

    A budget caps its epochs when the time of one is known.
    """
    config, images = job.config, len(job.train)
    epochs, why_epochs = defaults.epochs(images) if config.epochs is None else (config.epochs, _("as asked"))
    batch, why_batch = defaults.batch(images) if config.batch is None else (config.batch, _("as asked"))
    rate, why_rate = defaults.rate(batch, norms) if config.rate is None else (config.rate, _("as asked"))
    if config.budget is not None and epoch_seconds:
        epochs = max(1, min(config.epochs or 1000, int(config.budget / epoch_seconds)))
        why_epochs = _("{seconds:.0f} s each, in the budget").format(seconds=epoch_seconds)
    return Plan(
        epochs=epochs,
        batch=batch,
        rate=rate,
        warmup=0.15,
        decay=0.05,
        seed=config.seed,
        label_smoothing=defaults.label_smoothing(norms) if config.label_smoothing is None else config.label_smoothing,
        ema=0.998,
        monitor=config.monitor or "val_loss",
        patience=config.patience or epochs,
        reasons=(why_epochs, why_batch, why_rate),
    )
