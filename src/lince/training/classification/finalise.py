"""The end of a run: the model checked against the trained network, its answers, its card, and the report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.datasets import Dataset
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.report import (
    ClassificationReport,
    DataSummary,
    DetectionReport,
    ModelSummary,
    write_html,
    write_json,
    write_markdown,
)
from lince.export import parity
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE, ModelCard
from lince.preprocess import PreprocessSpec, preprocess_images
from lince.splits import SPLITS
from lince.training import run_folder
from lince.training.classification import report_images
from lince.training.environment import collect_environment
from lince.training.recipe import RecipeContext, TrainedClassifier
from lince.training.run_folder import TrainingRun
from lince.version import __version__

PARITY_SAMPLE_SIZE = 32  # test images on which the exported network must answer as the trained one


def finalise_run(
    target: TrainingRun, job: RecipeContext, outcome: TrainedClassifier, laps: Mapping[str, float]
) -> ClassificationReport:
    """Write predictions, card and report of ``outcome`` into ``target`` and return the report.

    Raises ``ModelError`` when ``model.onnx`` answers otherwise than the trained network.
    """
    began = time.perf_counter()
    job.progress.show_message(_("Checking the model file and writing the report"))
    same = check_parity(target, job, outcome)
    predictions = make_test_predictions(job, outcome)
    predictions.save(target.folder / run_folder.PREDICTIONS_FILE)
    run_folder.write_metrics(target, outcome.history)
    metrics = predictions.compute_metrics(job.config.seed)
    facts = collect_data_facts(job.dataset, job.keys)
    ModelCard(
        task="classify",
        classes=job.dataset.classes,
        preprocess=job.spec,
        model=outcome.facts["name"],
        licence=outcome.facts["licence"],
        source=outcome.facts["source"],
        data={
            "fingerprint": facts.fingerprint,
            "used": facts.used_count,
            "total": facts.total_count,
            "splits": facts.splits,
        },
        metrics={"accuracy": metrics.accuracy.to_dict()},
        parity=same,
        lince=__version__,
    ).save(target.model_folder)
    shown = report_images.select_report_images(job, outcome, predictions)
    learning = laps["train"] - sum(outcome.timings.values())
    timings = {**laps, "train": learning, **outcome.timings, "report": time.perf_counter() - began}
    timings["total"] = sum(laps.values()) + timings["report"]
    content = build_report(job, outcome, metrics, facts, shown, timings)
    write_report_files(target, content)
    return content


def build_report(
    job: RecipeContext,
    outcome: TrainedClassifier,
    metrics: Any,
    facts: DataSummary,
    shown: Any,
    timings: Mapping[str, float],
) -> ClassificationReport:
    """Return the record that the report's writers show."""
    return ClassificationReport(
        title=job.dataset.root.name or str(job.dataset.root),
        task="classify",
        recipe=outcome.recipe,
        metrics=metrics,
        data=facts,
        model=collect_model_facts(outcome.facts, job.spec),
        history=tuple(outcome.history),
        train_accuracy=outcome.train_accuracy,
        val_accuracy=None if np.isnan(outcome.val_accuracy) else outcome.val_accuracy,
        timings=timings,
        config={key: value for key, value in asdict(job.config).items() if value is not None},
        environment=collect_environment(),
        images=shown,
        notes=tuple(outcome.notes),
    )


def write_report_files(target: TrainingRun, content: ClassificationReport | DetectionReport) -> None:
    """Write the report in its three forms; the JSON comes last and marks the run as finished."""
    write_html(content, target.report_page)
    write_markdown(content, target.folder / f"{run_folder.REPORT_STEM}.md")
    write_json(content, target.folder / f"{run_folder.REPORT_STEM}.json")


def make_test_predictions(job: RecipeContext, outcome: TrainedClassifier) -> ClassificationPredictions:
    """Return the probabilities of the test images with their names, keys and true classes."""
    rows = job.test_rows.tolist()
    return ClassificationPredictions(
        keys=tuple(job.keys[row] for row in rows),
        names=tuple(job.dataset.images.get_name(row) for row in rows),
        truth=job.dataset.class_ids[job.test_rows],
        probabilities=postprocess.softmax(outcome.test_logits),
        classes=job.dataset.classes,
    )


def check_parity(target: TrainingRun, job: RecipeContext, outcome: TrainedClassifier) -> dict[str, Any]:
    """Compare ``model.onnx``, fed as when predicting, with the trained network on real test images."""
    spread = np.unique(
        np.linspace(0, len(job.test_rows) - 1, min(PARITY_SAMPLE_SIZE, len(job.test_rows))).astype(np.int64)
    )
    inputs = read_inputs(job.dataset, job.test_rows[spread], job.spec)
    session = OnnxRuntimeBackend(target.model_folder / NETWORK_FILE)
    reference = outcome.test_logits[spread] if outcome.reference_predict is None else outcome.reference_predict(inputs)
    found = parity.require_parity(lambda batch: session.run(batch)[0], reference, inputs)
    return asdict(found)


def read_inputs(dataset: Dataset, rows: NDArray[np.int64], spec: PreprocessSpec) -> NDArray[np.float32]:
    """Return the network's inputs (N, C, H, W) for ``rows``, by the lines that prediction uses."""
    return preprocess_images([dataset.images.read_image(int(row), (spec.height, spec.width)) for row in rows], spec)


def collect_data_facts(dataset: Dataset, keys: list[str]) -> DataSummary:
    """Return what the report tells of the data."""
    parts = {name: dataset.get_split_indices(number) for name, number in SPLITS.items()}
    return DataSummary(
        root=str(dataset.root),
        format=dataset.format,
        used_count=len(dataset),
        total_count=dataset.total_count,
        splits={name: len(rows) for name, rows in parts.items()},
        counts={name: dataset.select(rows).count_per_class() for name, rows in parts.items()},
        fingerprint=dataset.compute_fingerprint(keys),
        rejected=dataset.rejected,
    )


def collect_model_facts(facts: Mapping[str, Any], spec: PreprocessSpec) -> ModelSummary:
    """Return what the report tells of the network."""
    return ModelSummary(
        name=facts["name"],
        source=facts["source"],
        licence=facts["licence"],
        params=facts["params"],
        trainable=facts["trainable"],
        macs=facts["macs"],
        input=f"{spec.width} × {spec.height} × {spec.channel_count}",
        layers=tuple(facts["layers"]),
    )
