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
from lince.export.torch_to_onnx import export_classifier
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.models.classification.classifier import Classifier
from lince.training.checkpoint import TrainingState
from lince.training.classification import objective
from lince.training.classification.loader import ClassificationLoader
from lince.training.classification.objective import ClassificationObjective
from lince.training.classification.recipes.transfer import compute_loss_and_accuracy
from lince.training.loop import TrainingSetup
from lince.training.network_fit import HardwareChoice, PlanFactory, load_plan, plan_and_train
from lince.training.plan import TrainingPlan
from lince.training.recipe import RecipeContext, SaliencyFunction, TrainedClassifier

TRAIN_SAMPLE_SIZE = 1000  # training images on which the training accuracy is measured


def train_network(job: RecipeContext, network: Classifier, policy: Policy, decide: PlanFactory) -> TrainingState:
    """Train ``network`` on the job's training rows and leave it with its best weights.

    ``decide`` makes the plan, given the seconds that one epoch takes here when there is a budget.
    """

    def course(plan: TrainingPlan, machine: HardwareChoice) -> TrainingSetup:
        goal = ClassificationObjective(
            make_loader(job, job.val_rows, plan, machine.workers, None), plan.label_smoothing
        )
        learnt = make_loader(job, job.train_rows, plan, machine.workers, policy)
        return TrainingSetup(
            network, learnt, goal, plan, job.folder / "checkpoints", *machine.device_and_precision, job.progress
        )

    return plan_and_train(job, course, decide)


def make_loader(
    job: RecipeContext, rows: NDArray[np.int64], plan: TrainingPlan, workers: int, policy: Policy | None
) -> ClassificationLoader:
    """Return the loader of ``rows``; with a ``policy`` they are shuffled, altered and mixed."""
    mixing = job.config.mix if policy is not None else "none"
    return ClassificationLoader(job.dataset, rows, job.spec, plan.batch, plan.seed, policy, mixing, workers)


def export_and_evaluate(
    job: RecipeContext, recipe: str, network: Classifier, state: TrainingState, policy: Policy, facts: dict[str, Any]
) -> TrainedClassifier:
    """Write ``model.onnx`` and return the outcome; its figures are those of that file, which runs faster than torch."""
    started = time.perf_counter()
    path = job.folder / "model" / NETWORK_FILE
    export_classifier(network, job.spec, path)
    exported = time.perf_counter()
    logits = _make_logits_function(job, OnnxRuntimeBackend(path))
    sample = job.train_rows[:: max(1, len(job.train_rows) // TRAIN_SAMPLE_SIZE)]
    _train_loss, train_accuracy = compute_loss_and_accuracy(logits(sample), job.get_labels(sample))
    val_loss, val_accuracy = compute_loss_and_accuracy(logits(job.val_rows), job.get_labels(job.val_rows))
    return TrainedClassifier(
        recipe=recipe,
        test_logits=logits(job.test_rows),
        train_accuracy=train_accuracy,
        val_accuracy=val_accuracy,
        val_loss=val_loss,
        saliency=make_grad_cam(network),
        facts=facts,
        history=state.history,
        timings={"export": exported - started, "evaluate": time.perf_counter() - exported},
        policy=str(policy),
        reference_predict=lambda inputs: objective.predict_batch(network, inputs),
    )


def _make_logits_function(
    job: RecipeContext, session: OnnxRuntimeBackend
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Return the function from rows to the logits (N, K) that ``session`` answers."""
    plan = load_plan(job)

    def logits(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = [session.run(batch.inputs)[0] for batch in make_loader(job, rows, plan, 1, None).iter_batches()]
        return np.concatenate([np.empty((0, len(job.dataset.classes)), np.float32), *parts])

    return logits


def make_grad_cam(network: Classifier) -> SaliencyFunction:
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
