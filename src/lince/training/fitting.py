"""What ``scratch`` and ``finetune`` share: the loop around a network, and the trained network made into an outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lince.augmentation import Policy
from lince.card import NETWORK_FILE
from lince.exporting.onnx import export_classifier
from lince.models.classifier import Classifier
from lince.runtime.session import Session
from lince.training import naming
from lince.training.checkpoint import State
from lince.training.job import Job, Outcome, Saliency
from lince.training.learning import Machine, Make, learn, plan_of
from lince.training.loader import Loader
from lince.training.loop import Course
from lince.training.naming import Naming
from lince.training.plan import Plan
from lince.training.transfer import score

SAMPLE = 1000  # training images on which the training accuracy is measured


def train(job: Job, network: Classifier, policy: Policy, decide: Make) -> State:
    """Train ``network`` on the job's training rows and leave it with its best weights.

    ``decide`` makes the plan, given the seconds that one epoch takes here when there is a budget.
    """

    def course(plan: Plan, machine: Machine) -> Course:
        goal = Naming(loader(job, job.val, plan, machine.workers, None), plan.label_smoothing)
        learnt = loader(job, job.train, plan, machine.workers, policy)
        return Course(network, learnt, goal, plan, job.folder / "checkpoints", *machine.arithmetic, job.progress)

    return learn(job, course, decide)


def loader(job: Job, rows: NDArray[np.int64], plan: Plan, workers: int, policy: Policy | None) -> Loader:
    """Return the loader of ``rows``; with a ``policy`` they are shuffled, altered and mixed."""
    mixing = job.config.mix if policy is not None else "none"
    return Loader(job.dataset, rows, job.spec, plan.batch, plan.seed, policy, mixing, workers)


def outcome(job: Job, recipe: str, network: Classifier, state: State, policy: Policy, facts: dict[str, Any]) -> Outcome:
    """Write ``model.onnx`` and return the outcome; its figures are those of that file, which runs faster than torch."""
    started = time.perf_counter()
    path = job.folder / "model" / NETWORK_FILE
    export_classifier(network, job.spec, path)
    exported = time.perf_counter()
    logits = _answers(job, Session(path))
    sample = job.train[:: max(1, len(job.train) // SAMPLE)]
    _train_loss, train_accuracy = score(logits(sample), job.labels(sample))
    val_loss, val_accuracy = score(logits(job.val), job.labels(job.val))
    return Outcome(
        recipe=recipe,
        test_logits=logits(job.test),
        train_accuracy=train_accuracy,
        val_accuracy=val_accuracy,
        val_loss=val_loss,
        saliency=grad_cam(network),
        facts=facts,
        history=state.history,
        timings={"export": exported - started, "evaluate": time.perf_counter() - exported},
        policy=str(policy),
        trained=lambda inputs: naming.answers(network, inputs),
    )


def _answers(job: Job, session: Session) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Return the function from rows to the logits (N, K) that ``session`` answers."""
    plan = plan_of(job)

    def logits(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = [session.run(batch.inputs)[0] for batch in loader(job, rows, plan, 1, None).batches()]
        return np.concatenate([np.empty((0, len(job.dataset.classes)), np.float32), *parts])

    return logits


def grad_cam(network: Classifier) -> Saliency:
    """Return Grad-CAM (Selvaraju et al. 2017) for any network that embeds by way of a map."""

    def explain(inputs: NDArray[np.float32], class_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        network.eval()
        embedding, maps = network.embed(torch.from_numpy(inputs).requires_grad_())
        logits: Tensor = network.head(embedding)
        chosen = logits.gather(1, torch.from_numpy(class_ids)[:, None]).sum()
        (slopes,) = torch.autograd.grad(chosen, maps)
        heat = (slopes.mean((2, 3), keepdim=True) * maps).sum(1).clamp_min(0)
        peak = heat.amax((1, 2), keepdim=True)
        return np.asarray((heat / torch.where(peak > 0, peak, 1.0)).detach().numpy(), np.float32)

    return explain
