"""Closes a run: verifies the model file, writes predictions, model card and report."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lince.datasets import Dataset
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report import Report
from lince.export.parity import ParityReport, RunFunction, require_parity
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.preprocess import PreprocessSpec, preprocess_images
from lince.sampling import sample_evenly
from lince.tasks import get_task
from lince.training import run_folder
from lince.training.image_labels import ImageLabels
from lince.training.leak_measurement import describe_division, measure_leak, show_leak
from lince.training.recipe import RecipeContext, TrainedClassifier, TrainedModel
from lince.training.run_folder import TrainingRun
from lince.training.run_report import RunFacts, collect_data_facts, collect_settings, write_report_files

PARITY_SAMPLE_SIZE = 32  # test images on which the exported and the trained network are compared
M = TypeVar("M", bound=TrainedModel)
P = TypeVar("P")


class RunClosing(ABC, Generic[M, P]):
    """How predictions (of the class ``P``), card and report are made of what a recipe has trained (``M``)."""

    @property
    @abstractmethod
    def task(self) -> str:
        """The name of the task."""

    @abstractmethod
    def make_predictions(self, context: RecipeContext, outcome: M) -> P:
        """Return the predictions for the test images."""

    @abstractmethod
    def describe_headline(self) -> str:
        """Return the name of the headline figure on the test images, in the current language."""

    @abstractmethod
    def measure_headline(self, predictions: P, rows: NDArray[np.int64], seed: int) -> ConfidenceInterval:
        """Return the headline figure on the test images at ``rows``; raise ``DataError`` where there is none."""

    @abstractmethod
    def list_card_fields(self, context: RecipeContext, predictions: P) -> dict[str, Any]:
        """Return those fields of the model card that only the task knows."""

    def require_parity(
        self, predictions: P, run: RunFunction, reference: NDArray[Any], images: NDArray[Any]
    ) -> ParityReport:
        """Return how far the model file is from the trained network, as ``export.parity.require_parity`` does.

        A task whose logits become probabilities by something else than softmax overrides this.
        """
        del predictions
        return require_parity(run, reference, images)

    @abstractmethod
    def build_report(
        self, context: RecipeContext, outcome: M, predictions: P, metrics: Any, fields: dict[str, Any]
    ) -> Report:
        """Return the report with the common ``fields``, and those of the task."""


class ImageClosing(RunClosing[TrainedClassifier, P]):
    """The closing of a run over whole images; ``labels`` are what the recipe learns from."""

    labels: ImageLabels

    @property
    def task(self) -> str:
        """The name of the task of the labels."""
        return self.labels.task


def close_run(
    run: TrainingRun,
    context: RecipeContext,
    outcome: M,
    stage_seconds: Mapping[str, float],
    closing: RunClosing[M, Any],
) -> Report:
    """Write predictions, metrics, model card and report of ``outcome`` into ``run``, and return the report.

    ``stage_seconds`` are the durations of the stages so far, one of them ``train``. Raises ``ModelError`` when the
    outputs of ``model.onnx`` differ from those of the trained network.
    """
    started_at = time.perf_counter()
    context.progress.show_message(_("Validating the model file and writing the report"))
    predictions = closing.make_predictions(context, outcome)
    parity_report = _check_parity(run, context, outcome, partial(closing.require_parity, predictions))
    predictions.save(run.folder / run_folder.PREDICTIONS_FILE)
    run_folder.write_metrics(run, outcome.history)
    seed = context.config.seed
    metrics = predictions.compute_metrics(seed)
    task = get_task(closing.task)
    headline = getattr(metrics, task.headline)
    leak = measure_leak(
        context,
        closing.describe_headline(),
        headline,
        lambda rows: closing.measure_headline(predictions, rows, seed),
    )
    data = collect_data_facts(context.dataset, context.keys)
    settings = collect_settings(run, task, context.config, outcome.policy)
    facts = RunFacts(task.name, context.dataset, context.config, context.spec, outcome.facts, data, settings)
    card = facts.build_card(
        {task.headline: headline},
        parity_report.to_dict(),
        precision=outcome.precision,
        **closing.list_card_fields(context, predictions),
    )
    card.save(run.model_folder)
    fields = {
        **facts.build_report_fields(),
        "recipe": outcome.recipe,
        "metrics": metrics,
        "history": tuple(outcome.history),
        "leak": leak,
        "notes": (*describe_division(context), *outcome.notes),
        "run": str(run.folder),
    }
    report = closing.build_report(context, outcome, predictions, metrics, fields)
    report = replace(report, timings=_sum_timings(stage_seconds, outcome, started_at))
    write_report_files(run, report)
    show_leak(report, context.progress)
    return report


def _sum_timings(stage_seconds: Mapping[str, float], outcome: TrainedModel, started_at: float) -> dict[str, float]:
    """Return the seconds by stage; the closing began at ``started_at``."""
    fit_seconds = stage_seconds["train"] - sum(outcome.timings.values())
    timings = {**stage_seconds, "train": fit_seconds, **outcome.timings, "report": time.perf_counter() - started_at}
    timings["total"] = sum(stage_seconds.values()) + timings["report"]
    return timings


def _check_parity(
    run: TrainingRun,
    context: RecipeContext,
    outcome: TrainedModel,
    compare: Callable[[RunFunction, NDArray[Any], NDArray[Any]], ParityReport],
) -> ParityReport:
    """Compare ``model.onnx`` with the trained network on test images that are prepared as for prediction.

    Raises ``ModelError`` when they differ.
    """
    sample = sample_evenly(len(context.test_rows), PARITY_SAMPLE_SIZE)
    inputs = _read_inputs(context.dataset, context.test_rows[sample], context.spec)
    backend = OnnxRuntimeBackend(run.model_folder / NETWORK_FILE)
    return compare(lambda batch: backend.run(batch)[0], outcome.compute_reference(sample, inputs), inputs)


def _read_inputs(dataset: Dataset, rows: NDArray[np.int64], spec: PreprocessSpec) -> NDArray[np.float32]:
    """Return the images of ``rows`` as network inputs, float32 (N, C, H, W).

    They are read and preprocessed by the same functions as for prediction.
    """
    return preprocess_images([dataset.images.read_image(int(row), (spec.height, spec.width)) for row in rows], spec)
