"""The end of a run: the model checked against the trained network, its answers, its card, and the report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import decode
from lince.card import NETWORK_FILE, ModelCard
from lince.data import SPLITS, Dataset
from lince.evaluation.predictions import Predictions
from lince.evaluation.report import (
    DataFacts,
    DetectionReport,
    ModelFacts,
    Report,
    write_html,
    write_json,
    write_markdown,
)
from lince.exporting import parity
from lince.messages import _
from lince.preprocess import Preprocess, prepare
from lince.runtime.session import Session
from lince.training import pictures, run
from lince.training.environment import environment
from lince.training.job import Job, Outcome
from lince.training.run import Run
from lince.version import __version__

CHECKED = 32  # test images on which the exported network must answer as the trained one


def finish(target: Run, job: Job, outcome: Outcome, laps: Mapping[str, float]) -> Report:
    """Write predictions, card and report of ``outcome`` into ``target`` and return the report.

    Raises ``ModelError`` when ``model.onnx`` answers otherwise than the trained network.
    """
    began = time.perf_counter()
    job.progress.say(_("Checking the model file and writing the report"))
    same = check(target, job, outcome)
    predictions = answers(job, outcome)
    predictions.save(target.folder / run.PREDICTIONS)
    run.write_metrics(target, outcome.history)
    metrics = predictions.metrics(job.config.seed)
    facts = data_facts(job.dataset, job.keys)
    ModelCard(
        task="classify",
        classes=job.dataset.classes,
        preprocess=job.spec,
        model=outcome.facts["name"],
        licence=outcome.facts["licence"],
        source=outcome.facts["source"],
        data={"fingerprint": facts.fingerprint, "used": facts.used, "total": facts.total, "splits": facts.splits},
        metrics={"accuracy": metrics.accuracy.record()},
        parity=same,
        lince=__version__,
    ).save(target.model)
    shown = pictures.choose(job, outcome, predictions)
    learning = laps["train"] - sum(outcome.timings.values())
    timings = {**laps, "train": learning, **outcome.timings, "report": time.perf_counter() - began}
    timings["total"] = sum(laps.values()) + timings["report"]
    content = report(job, outcome, metrics, facts, shown, timings)
    write(target, content)
    return content


def report(
    job: Job,
    outcome: Outcome,
    metrics: Any,
    facts: DataFacts,
    shown: Any,
    timings: Mapping[str, float],
) -> Report:
    """Return the record that the report's writers show."""
    return Report(
        title=job.dataset.root.name or str(job.dataset.root),
        task="classify",
        recipe=outcome.recipe,
        metrics=metrics,
        data=facts,
        model=model_facts(outcome.facts, job.spec),
        history=tuple(outcome.history),
        train_accuracy=outcome.train_accuracy,
        val_accuracy=None if np.isnan(outcome.val_accuracy) else outcome.val_accuracy,
        timings=timings,
        config={key: value for key, value in asdict(job.config).items() if value is not None},
        environment=environment(),
        pictures=shown,
        notes=tuple(outcome.notes),
    )


def write(target: Run, content: Report | DetectionReport) -> None:
    """Write the report in its three forms; the JSON comes last and marks the run as finished."""
    write_html(content, target.report_page)
    write_markdown(content, target.folder / f"{run.REPORT}.md")
    write_json(content, target.folder / f"{run.REPORT}.json")


def answers(job: Job, outcome: Outcome) -> Predictions:
    """Return the probabilities of the test images with their names, keys and true classes."""
    rows = job.test.tolist()
    return Predictions(
        keys=tuple(job.keys[row] for row in rows),
        names=tuple(job.dataset.images.name(row) for row in rows),
        truth=job.dataset.class_ids[job.test],
        probabilities=decode.probabilities(outcome.test_logits),
        classes=job.dataset.classes,
    )


def check(target: Run, job: Job, outcome: Outcome) -> dict[str, Any]:
    """Compare ``model.onnx``, fed as when predicting, with the trained network on real test images."""
    spread = np.unique(np.linspace(0, len(job.test) - 1, min(CHECKED, len(job.test))).astype(np.int64))
    inputs = read(job.dataset, job.test[spread], job.spec)
    session = Session(target.model / NETWORK_FILE)
    reference = outcome.test_logits[spread] if outcome.trained is None else outcome.trained(inputs)
    found = parity.check(lambda batch: session.run(batch)[0], reference, inputs)
    return asdict(found)


def read(dataset: Dataset, rows: NDArray[np.int64], spec: Preprocess) -> NDArray[np.float32]:
    """Return the network's inputs (N, C, H, W) for ``rows``, by the lines that prediction uses."""
    return prepare([dataset.images.read(int(row), (spec.height, spec.width)) for row in rows], spec)


def data_facts(dataset: Dataset, keys: list[str]) -> DataFacts:
    """Return what the report tells of the data."""
    parts = {name: dataset.indices(number) for name, number in SPLITS.items()}
    return DataFacts(
        root=str(dataset.root),
        format=dataset.format,
        used=len(dataset),
        total=dataset.total,
        splits={name: len(rows) for name, rows in parts.items()},
        counts={name: dataset.select(rows).counts() for name, rows in parts.items()},
        fingerprint=dataset.fingerprint(keys),
        rejected=dataset.rejected,
    )


def model_facts(facts: Mapping[str, Any], spec: Preprocess) -> ModelFacts:
    """Return what the report tells of the network."""
    return ModelFacts(
        name=facts["name"],
        source=facts["source"],
        licence=facts["licence"],
        params=facts["params"],
        trainable=facts["trainable"],
        macs=facts["macs"],
        input=f"{spec.width} × {spec.height} × {spec.depth}",
        layers=tuple(facts["layers"]),
    )
