"""What the recipes ``scratch`` and ``finetune`` over whole images share: training, export, evaluation and Grad-CAM."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
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
from lince.sampling import sample_evenly
from lince.training.checkpoint import TrainingState
from lince.training.classification import objective
from lince.training.classification.loader import ClassificationLoader
from lince.training.loop import TrainingSetup
from lince.training.plan import TrainingPlan
from lince.training.plan_runner import HardwareChoice, PlanFactory, load_plan, plan_and_train
from lince.training.recipe import RecipeContext, SaliencyFunction, TrainedClassifier
from lince.training.run_folder import TrainingRun
from lince.training.time_budget import ClosingTimes

REHEARSED_IMAGES, REPORT_IMAGES = 32, 100
BUDGETED_TRAIN_SAMPLE_SIZE = 250  # the same with a time budget
TRAIN_SAMPLE_SIZE = 1000  # training images on which the training figure is measured


def train_network(
    context: RecipeContext, network: Classifier, policy: Policy, make_plan: PlanFactory, more_seconds: float = 0.0
) -> TrainingState:
    """Train ``network`` on the training rows of ``context`` and leave it with its best weights.

    ``make_plan`` returns the plan, given the seconds that one epoch takes here when there is a time budget and ``None``
    otherwise. ``more_seconds`` are those of the recipe's own work after the training and its evaluation.
    """

    def make_setup(plan: TrainingPlan, hardware: HardwareChoice) -> TrainingSetup:
        val_loader = make_loader(context, context.val_rows, plan, hardware.workers, None)
        val_objective = context.labels.make_objective(val_loader, plan.label_smoothing)
        train_loader = make_loader(context, context.train_rows, plan, hardware.workers, policy)
        return TrainingSetup(
            network,
            train_loader,
            val_objective,
            plan,
            TrainingRun(context.folder).checkpoint_folder,
            *hardware.device_and_precision,
            context.progress,
        )

    return plan_and_train(context, make_setup, make_plan, lambda: rehearse_closing(context, network, more_seconds))


def rehearse_closing(context: RecipeContext, network: Classifier, more_seconds: float) -> ClosingTimes:
    """Return about how many seconds export, evaluation and report of ``network`` will take, ``more_seconds`` with them.

    The export is done once as it will be, and a few test images are read and run; the report draws some of them and
    their saliency, which takes as long as some ``REPORT_IMAGES`` more.
    """
    rows = np.concatenate([context.test_rows, context.val_rows, context.train_rows])[:REHEARSED_IMAGES]
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lince-rehearsal-") as folder:
        path = Path(folder) / NETWORK_FILE
        export_classifier(network, context.spec, path)
        compute_logits = _make_logits_function(context, OnnxRuntimeBackend(path))
        exported_at = time.monotonic()
        compute_logits(rows)
        image_seconds = (time.monotonic() - exported_at) / max(1, len(rows))
    count = min(len(context.train_rows), _count_train_sample(context)) + len(context.val_rows) + len(context.test_rows)
    closing_seconds = exported_at - started_at + image_seconds * (count + REPORT_IMAGES) + more_seconds
    return ClosingTimes(closing_seconds, 2 * image_seconds * len(context.val_rows))  # torch is slower than ONNX Runtime


def make_loader(
    context: RecipeContext, rows: NDArray[np.int64], plan: TrainingPlan, workers: int, policy: Policy | None
) -> ClassificationLoader:
    """Return the loader of ``rows`` with the batch size and seed of ``plan``.

    With a ``policy`` the rows are shuffled, augmented and mixed; without, they are in order and unaltered.
    """
    mixing = context.config.mix if policy is not None else "none"
    return ClassificationLoader(
        context.dataset, rows, context.spec, plan.batch, plan.seed, policy, mixing, workers, context.labels
    )


def export_and_evaluate(
    context: RecipeContext,
    recipe: str,
    network: Classifier,
    state: TrainingState,
    policy: Policy,
    facts: dict[str, Any],
) -> TrainedClassifier:
    """Write ``model.onnx`` and return the recipe's result, whose figures are measured on that file.

    ONNX Runtime is faster than torch here, and the figures are then those of the delivered model. The training figure
    is measured on an evenly spread sample of about ``TRAIN_SAMPLE_SIZE`` images.
    """
    started_at = time.perf_counter()
    path = TrainingRun(context.folder).model_folder / NETWORK_FILE
    export_classifier(network, context.spec, path)
    exported_at = time.perf_counter()
    compute_logits = _make_logits_function(context, OnnxRuntimeBackend(path))
    sample_rows = context.train_rows[sample_evenly(len(context.train_rows), _count_train_sample(context))]
    _train_loss, train_figure = context.labels.measure(compute_logits(sample_rows), context.read_truth(sample_rows))
    val_logits = compute_logits(context.val_rows)
    val_loss, val_figure = context.labels.measure(val_logits, context.read_truth(context.val_rows))
    return TrainedClassifier(
        recipe=recipe,
        test_logits=compute_logits(context.test_rows),
        val_logits=val_logits,
        train_figure=train_figure,
        val_figure=val_figure,
        val_loss=val_loss,
        saliency=make_grad_cam(network),
        facts=facts,
        history=state.history,
        timings={"export": exported_at - started_at, "evaluate": time.perf_counter() - exported_at},
        policy=str(policy),
        reference_predict=lambda inputs: objective.predict_batch(network, inputs),
    )


def _count_train_sample(context: RecipeContext) -> int:
    """Return on how many training images the training figure is measured: fewer when the time is limited."""
    return TRAIN_SAMPLE_SIZE if context.config.budget is None else BUDGETED_TRAIN_SAMPLE_SIZE


def _make_logits_function(
    context: RecipeContext, backend: OnnxRuntimeBackend
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Return a function from rows (N,) to the logits float32 (N, C) that ``backend`` computes for their images."""
    plan = load_plan(context)

    def compute_logits(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        batches = [backend.run(batch.inputs)[0] for batch in make_loader(context, rows, plan, 1, None).iter_batches()]
        return np.concatenate([np.empty((0, len(context.dataset.classes)), np.float32), *batches])

    return compute_logits


def make_grad_cam(network: Classifier) -> SaliencyFunction:
    """Return Grad-CAM (Selvaraju et al. 2017) for a network whose ``embed`` returns the embedding and the last map.

    The gradient of each class's logit, averaged over positions, weighs the channels of the map; negative sums become 0,
    and every map is divided by its maximum. Maps that are 0 everywhere stay 0.
    """

    def explain(inputs: NDArray[np.float32], class_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        network.eval()
        embedding, maps = network.embed(torch.from_numpy(inputs).requires_grad_())
        logits: Tensor = network.head(embedding)
        class_logits = logits.gather(1, torch.from_numpy(class_ids)[:, None]).sum()
        (gradients,) = torch.autograd.grad(class_logits, maps)
        heatmaps = (gradients.mean((2, 3), keepdim=True) * maps).sum(1).clamp_min(0)
        peak = heatmaps.amax((1, 2), keepdim=True)
        return np.asarray((heatmaps / torch.where(peak > 0, peak, 1.0)).detach().numpy(), np.float32)

    return explain
