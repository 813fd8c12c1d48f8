"""The end of a detector's run: the model file checked, its thresholds, its answers, its card, and the report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lince.annotations import Detections
from lince.card import NETWORK_FILE, ModelCard
from lince.data import TRAIN
from lince.decode import Keeping
from lince.evaluation.detection import DetectionMetrics, evaluate_detections
from lince.evaluation.found import FoundObjects
from lince.evaluation.report import DataFacts, DetectionReport
from lince.evaluation.thresholds import choose
from lince.exporting import parity
from lince.exporting.onnx import export_detector
from lince.messages import _
from lince.models.detector import Detector, Maps
from lince.runtime.session import Session, cores
from lince.training import run
from lince.training.detection import pictures
from lince.training.detection.answering import answers, curve, truth
from lince.training.detection.finding import detections
from lince.training.detection.loader import Loader
from lince.training.detection.recipes import Trained
from lince.training.environment import environment
from lince.training.finish import data_facts, model_facts, write
from lince.training.job import Job
from lince.training.run import Run
from lince.version import __version__

CHECKED = 32  # test images on which the exported network must find what the trained one finds
BATCH = 8


def finish(target: Run, job: Job, trained: Trained, laps: Mapping[str, float]) -> DetectionReport:
    """Write network, findings, card and report of ``trained`` into ``target`` and return the report.

    Raises ``ModelError`` when ``model.onnx`` finds other objects than the trained network.
    """
    began = time.perf_counter()
    job.progress.say(_("Checking the model file and writing the report"))
    path = target.model / NETWORK_FILE
    export_detector(trained.network, trained.spec, path)
    session, kind = Session(path), trained.network.decoding
    val, test = (Loader(trained.samples, rows, trained.spec, BATCH, workers=cores()) for rows in (job.val, job.test))
    same = _check(session, trained, job.test)
    exported = time.perf_counter()
    thresholds = choose(truth(val), answers(session, kind, val), len(job.dataset.classes))
    found = answers(session, kind, test)
    metrics = evaluate_detections(truth(test), found, job.dataset.classes, job.config.seed, thresholds)
    _save(target, job, test, found)
    run.write_metrics(target, trained.state.history)
    facts = data_facts(job.dataset, job.keys)
    _card(job, trained, metrics, facts, same).save(target.model)
    done = time.perf_counter()
    timings = {**laps, "export": exported - began, "evaluate": done - exported}
    timings["total"] = sum(timings.values())
    shown = pictures.choose(trained, test, found, metrics)
    content = DetectionReport(
        title=job.dataset.root.name or str(job.dataset.root),
        task="detect",
        recipe=trained.recipe,
        metrics=metrics,
        data=facts,
        model=model_facts(trained.facts, trained.spec),
        train_boxes=job.dataset.select(job.dataset.indices(TRAIN)).counts(),
        history=tuple(trained.state.history),
        timings=timings,
        config={key: value for key, value in asdict(job.config).items() if value is not None},
        environment=environment(),
        pictures=shown,
        notes=trained.notes,
        run=str(target.folder),
    )
    write(target, content)
    return content


def keeping(decoding: str, thresholds: Sequence[float]) -> Keeping:
    """Return which answers count for people: those of at least their class's threshold, judged as in evaluation."""
    return replace(curve(decoding), threshold=tuple(thresholds))


def _check(session: Session, trained: Trained, rows: NDArray[np.int64]) -> parity.DetectionParity:
    spread = np.unique(np.linspace(0, len(rows) - 1, min(CHECKED, len(rows))).astype(np.int64))
    some = Loader(trained.samples, rows[spread], trained.spec, BATCH)
    ours, theirs = answers(session, trained.network.decoding, some), detections(trained.network, some)
    # The others look at every place, so no last digit chooses among these.
    choosing = trained.network.decoding == "queries"
    return parity.check_detections(ours, theirs, exact=partial(_exactly, trained, some) if choosing else None)


def _exactly(trained: Trained, some: Loader) -> list[Detections]:
    return detections(Exact(trained.network), some)


class Exact(Detector):
    """A copy of ``network`` on the CPU that computes in double precision."""

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = deepcopy(network).cpu().double()
        self.decoding, self.classes = network.decoding, network.classes

    def maps(self, images: Tensor) -> Maps:
        """Return what the head reads of ``images`` (N, 3, H, W)."""
        return self.network.maps(images.double())

    def answers(self, maps: Maps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return what the decoder reads, given ``maps`` of images of ``size``."""
        return self.network.answers(maps, size)


def _save(target: Run, job: Job, test: Loader, found: Sequence[Detections]) -> None:
    names = tuple(job.dataset.images.name(int(row)) for row in test.rows)
    keys = tuple(job.keys[row] for row in test.rows.tolist())
    FoundObjects(keys, names, truth(test), tuple(found), job.dataset.classes).save(target.folder / run.PREDICTIONS)


def _card(
    job: Job, trained: Trained, metrics: DetectionMetrics, facts: DataFacts, same: parity.DetectionParity
) -> ModelCard:
    return ModelCard(
        task="detect",
        classes=job.dataset.classes,
        preprocess=trained.spec,
        model=trained.facts["name"],
        licence=trained.facts["licence"],
        source=trained.facts["source"],
        data={"fingerprint": facts.fingerprint, "used": facts.used, "total": facts.total, "splits": facts.splits},
        metrics={"map50": metrics.map50.record(), "map50_95": metrics.map50_95.record()},
        parity=same.record(),
        lince=__version__,
        decoding=trained.network.decoding,
        keeping=keeping(trained.network.decoding, metrics.thresholds),
    )
