"""Finishes a classification run: verifies the model file, writes predictions, model card and report."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.datasets import Dataset
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.report import ClassificationReport
from lince.export.parity import ParityReport, require_parity
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.preprocess import PreprocessSpec, preprocess_images
from lince.sampling import sample_evenly
from lince.tasks import get_task
from lince.training import run_folder
from lince.training.classification.drawing_style import measure_drawings
from lince.training.classification.report_images import select_report_images
from lince.training.leak_measurement import describe_division, measure_leak, show_leak
from lince.training.recipe import RecipeContext, TrainedClassifier
from lince.training.run_folder import TrainingRun
from lince.training.run_report import RunFacts, collect_data_facts, collect_settings, write_report_files

PARITY_SAMPLE_SIZE = 32  # test images on which the exported and the trained network are compared


def finalise_run(
    run: TrainingRun, context: RecipeContext, outcome: TrainedClassifier, stage_seconds: Mapping[str, float]
) -> ClassificationReport:
    """Write predictions, metrics, model card and report of ``outcome`` into ``run``, and return the report.

    ``stage_seconds`` are the durations of the stages so far, one of them ``train``. Raises ``ModelError`` when the
    outputs of ``model.onnx`` differ from those of the trained network.
    """
    started_at = time.perf_counter()
    context.progress.show_message(_("Validating the model file and writing the report"))
    parity_report = _check_parity(run, context, outcome)
    predictions = _make_test_predictions(context, outcome)
    predictions.save(run.folder / run_folder.PREDICTIONS_FILE)
    run_folder.write_metrics(run, outcome.history)
    seed = context.config.seed
    metrics = predictions.compute_metrics(seed)
    leak = measure_leak(
        context,
        _("Test accuracy"),
        metrics.accuracy,
        lambda rows: predictions.select(rows).compute_metrics(seed).accuracy,
    )
    data = collect_data_facts(context.dataset, context.keys)
    settings = collect_settings(run, get_task("classify"), context.config, outcome.policy)
    facts = RunFacts("classify", context.dataset, context.config, context.spec, outcome.facts, data, settings)
    drawing = measure_drawings(context.dataset, context.train_rows, context.spec)
    card = facts.build_card(
        {"accuracy": metrics.accuracy}, parity_report.to_dict(), drawing=drawing, precision=outcome.precision
    )
    card.save(run.model_folder)
    report_images = select_report_images(context, outcome, predictions)
    fit_seconds = stage_seconds["train"] - sum(outcome.timings.values())
    timings = {**stage_seconds, "train": fit_seconds, **outcome.timings, "report": time.perf_counter() - started_at}
    timings["total"] = sum(stage_seconds.values()) + timings["report"]
    report = ClassificationReport(
        **facts.build_report_fields(),
        recipe=outcome.recipe,
        metrics=metrics,
        history=tuple(outcome.history),
        train_accuracy=outcome.train_accuracy,
        val_accuracy=None if np.isnan(outcome.val_accuracy) else outcome.val_accuracy,
        timings=timings,
        images=report_images,
        head=outcome.head,
        leak=leak,
        notes=(*describe_division(context), *outcome.notes),
        run=str(run.folder),
    )
    write_report_files(run, report)
    show_leak(report, context.progress)
    return report


def _make_test_predictions(context: RecipeContext, outcome: TrainedClassifier) -> ClassificationPredictions:
    """Return the probabilities of the test images with their names, content digests and true classes."""
    rows = context.test_rows.tolist()
    return ClassificationPredictions(
        keys=tuple(context.keys[row] for row in rows),
        names=tuple(context.dataset.images.get_name(row) for row in rows),
        truth=context.dataset.class_ids[context.test_rows],
        probabilities=postprocess.softmax(outcome.test_logits),
        classes=context.dataset.classes,
        groups=context.test_groups,
    )


def _check_parity(run: TrainingRun, context: RecipeContext, outcome: TrainedClassifier) -> ParityReport:
    """Compare ``model.onnx`` with the trained network on test images that are prepared as for prediction.

    Raises ``ModelError`` when they differ.
    """
    sample = sample_evenly(len(context.test_rows), PARITY_SAMPLE_SIZE)
    inputs = _read_inputs(context.dataset, context.test_rows[sample], context.spec)
    backend = OnnxRuntimeBackend(run.model_folder / NETWORK_FILE)
    reference = outcome.test_logits[sample] if outcome.reference_predict is None else outcome.reference_predict(inputs)
    return require_parity(lambda batch: backend.run(batch)[0], reference, inputs)


def _read_inputs(dataset: Dataset, rows: NDArray[np.int64], spec: PreprocessSpec) -> NDArray[np.float32]:
    """Return the images of ``rows`` as network inputs, float32 (N, C, H, W).

    They are read and preprocessed by the same functions as for prediction.
    """
    return preprocess_images([dataset.images.read_image(int(row), (spec.height, spec.width)) for row in rows], spec)
