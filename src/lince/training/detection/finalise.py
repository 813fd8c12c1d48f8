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
from lince.evaluation.detection.metrics import DetectionMetrics, compute_detection_metrics
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.evaluation.detection.thresholds import choose_thresholds
from lince.evaluation.report import DataSummary, DetectionReport
from lince.export import parity
from lince.export.torch_to_onnx import export_detector
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, count_cores
from lince.model_card import NETWORK_FILE, ModelCard
from lince.models.detection.detector import Detector, FeatureMaps
from lince.postprocess import DetectionFilter
from lince.splits import TRAIN
from lince.training import run_folder
from lince.training.classification.finalise import collect_data_facts, collect_model_facts, write_report_files
from lince.training.detection import report_images
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.network_outputs import make_evaluation_filter, predict_with_backend, select_ground_truth
from lince.training.detection.objective import predict_detections
from lince.training.detection.recipes.full import TrainedDetector
from lince.training.environment import collect_environment
from lince.training.recipe import RecipeContext
from lince.training.run_folder import TrainingRun
from lince.version import __version__

PARITY_SAMPLE_SIZE = 32  # test images on which the exported network must find what the trained one finds
BATCH_SIZE = 8


def finalise_run(
    target: TrainingRun, job: RecipeContext, trained: TrainedDetector, laps: Mapping[str, float]
) -> DetectionReport:
    """Write network, findings, card and report of ``trained`` into ``target`` and return the report.

    Raises ``ModelError`` when ``model.onnx`` finds other objects than the trained network.
    """
    began = time.perf_counter()
    job.progress.show_message(_("Checking the model file and writing the report"))
    path = target.model_folder / NETWORK_FILE
    export_detector(trained.network, trained.spec, path)
    session, kind = OnnxRuntimeBackend(path), trained.network.decoding
    val, test = (
        DetectionLoader(trained.samples, rows, trained.spec, BATCH_SIZE, workers=count_cores())
        for rows in (job.val_rows, job.test_rows)
    )
    same = _check_parity(session, trained, job.test_rows)
    exported = time.perf_counter()
    thresholds = choose_thresholds(
        select_ground_truth(val), predict_with_backend(session, kind, val), len(job.dataset.classes)
    )
    found = predict_with_backend(session, kind, test)
    metrics = compute_detection_metrics(
        select_ground_truth(test), found, job.dataset.classes, job.config.seed, thresholds
    )
    _save_predictions(target, job, test, found)
    run_folder.write_metrics(target, trained.state.history)
    facts = collect_data_facts(job.dataset, job.keys)
    _make_card(job, trained, metrics, facts, same).save(target.model_folder)
    done = time.perf_counter()
    timings = {**laps, "export": exported - began, "evaluate": done - exported}
    timings["total"] = sum(timings.values())
    shown = report_images.select_report_images(trained, test, found, metrics)
    content = DetectionReport(
        title=job.dataset.root.name or str(job.dataset.root),
        task="detect",
        recipe=trained.recipe,
        metrics=metrics,
        data=facts,
        model=collect_model_facts(trained.facts, trained.spec),
        train_boxes=job.dataset.select(job.dataset.get_split_indices(TRAIN)).count_per_class(),
        history=tuple(trained.state.history),
        timings=timings,
        config={key: value for key, value in asdict(job.config).items() if value is not None},
        environment=collect_environment(),
        images=shown,
        notes=trained.notes,
        run=str(target.folder),
    )
    write_report_files(target, content)
    return content


def make_detection_filter(decoding: str, thresholds: Sequence[float]) -> DetectionFilter:
    """Return which answers count for people: those of at least their class's threshold, judged as in evaluation."""
    return replace(make_evaluation_filter(decoding), score_threshold=tuple(thresholds))


def _check_parity(
    session: OnnxRuntimeBackend, trained: TrainedDetector, rows: NDArray[np.int64]
) -> parity.DetectionParityReport:
    spread = np.unique(np.linspace(0, len(rows) - 1, min(PARITY_SAMPLE_SIZE, len(rows))).astype(np.int64))
    some = DetectionLoader(trained.samples, rows[spread], trained.spec, BATCH_SIZE)
    ours, theirs = (
        predict_with_backend(session, trained.network.decoding, some),
        predict_detections(trained.network, some),
    )
    # The others look at every place, so no last digit chooses among these.
    choosing = trained.network.decoding == "queries"
    return parity.require_detection_parity(
        ours, theirs, run_in_double=partial(_predict_in_float64, trained, some) if choosing else None
    )


def _predict_in_float64(trained: TrainedDetector, some: DetectionLoader) -> list[Detections]:
    return predict_detections(Float64Detector(trained.network), some)


class Float64Detector(Detector):
    """A copy of ``network`` on the CPU that computes in double precision."""

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = deepcopy(network).cpu().double()
        self.decoding, self.classes = network.decoding, network.classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return what the head reads of ``images`` (N, 3, H, W)."""
        return self.network.extract_features(images.double())

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return what the decoder reads, given ``maps`` of images of ``size``."""
        return self.network.run_head(maps, size)


def _save_predictions(
    target: TrainingRun, job: RecipeContext, test: DetectionLoader, found: Sequence[Detections]
) -> None:
    names = tuple(job.dataset.images.get_name(int(row)) for row in test.rows)
    keys = tuple(job.keys[row] for row in test.rows.tolist())
    DetectionPredictions(keys, names, select_ground_truth(test), tuple(found), job.dataset.classes).save(
        target.folder / run_folder.PREDICTIONS_FILE
    )


def _make_card(
    job: RecipeContext,
    trained: TrainedDetector,
    metrics: DetectionMetrics,
    facts: DataSummary,
    same: parity.DetectionParityReport,
) -> ModelCard:
    return ModelCard(
        task="detect",
        classes=job.dataset.classes,
        preprocess=trained.spec,
        model=trained.facts["name"],
        licence=trained.facts["licence"],
        source=trained.facts["source"],
        data={
            "fingerprint": facts.fingerprint,
            "used": facts.used_count,
            "total": facts.total_count,
            "splits": facts.splits,
        },
        metrics={"map50": metrics.map50.to_dict(), "map50_95": metrics.map50_95.to_dict()},
        parity=same.to_dict(),
        lince=__version__,
        decoder=trained.network.decoding,
        detection_filter=make_detection_filter(trained.network.decoding, metrics.thresholds),
    )
