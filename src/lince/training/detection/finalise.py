"""Finishes a detection run: exports and verifies the network, chooses thresholds, writes model card and report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lince.annotations import Detections
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.evaluation.report import DetectionReport
from lince.export.parity import DetectionParityReport, require_detection_parity
from lince.export.torch_to_onnx import export_detector
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend, count_cores
from lince.model_card import NETWORK_FILE
from lince.models.detection.detector import Detector, FeatureMaps
from lince.postprocess import DetectionFilter, make_evaluation_filter
from lince.sampling import sample_evenly
from lince.splits import TRAIN
from lince.tasks import get_task
from lince.training import run_folder
from lince.training.detection.kind import DetectorKind
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.network_outputs import predict_with_backend, select_ground_truth
from lince.training.detection.network_recipe import TrainedDetector
from lince.training.detection.objective import predict_detections
from lince.training.detection.report_images import select_report_images
from lince.training.leak_measurement import describe_division, measure_leak, show_leak
from lince.training.recipe import RecipeContext
from lince.training.run_folder import TrainingRun
from lince.training.run_report import RunFacts, collect_data_facts, collect_settings, write_report_files

PARITY_SAMPLE_SIZE = 32  # test images on which the exported and the trained network are compared
BATCH_SIZE = 8  # images per call of the network


def finalise_run(
    run: TrainingRun,
    context: RecipeContext,
    trained: TrainedDetector,
    stage_seconds: Mapping[str, float],
    kind: DetectorKind,
) -> DetectionReport:
    """Write network, predictions, metrics, model card and report of ``trained`` into ``run``, and return the report.

    The score thresholds are chosen on the validation images. ``stage_seconds`` are the durations of the stages so far.
    Raises ``ModelError`` when the detections of ``model.onnx`` differ from those of the trained network.
    """
    started_at = time.perf_counter()
    context.progress.show_message(_("Validating the model file and writing the report"))
    path, decoder = run.model_folder / NETWORK_FILE, trained.network.decoder_name
    export_detector(trained.network, trained.spec, path)
    backend = OnnxRuntimeBackend(path)
    val_loader, test_loader = (
        DetectionLoader(trained.samples, rows, trained.spec, BATCH_SIZE, workers=count_cores())
        for rows in (context.val_rows, context.test_rows)
    )
    parity_report = _check_parity(backend, trained, context.test_rows)
    exported_at = time.perf_counter()
    val_predictions, predictions = (
        _make_predictions(context, loader, predict_with_backend(backend, decoder, loader), kind)
        for loader in (val_loader, test_loader)
    )
    metrics = predictions.compute_metrics(context.config.seed, val_predictions.choose_thresholds())
    leak = measure_leak(
        context,
        _("Test {metric}").format(metric=metrics.name_map("50-95")),
        metrics.map50_95,
        lambda rows: predictions.select(rows).compute_metrics(context.config.seed).map50_95,
    )
    predictions.save(run.folder / run_folder.PREDICTIONS_FILE)
    run_folder.write_metrics(run, trained.state.history)
    data = collect_data_facts(context.dataset, context.keys)
    settings = collect_settings(run, get_task(kind.task), context.config, str(trained.augmentation.policy))
    facts = RunFacts(kind.task, context.dataset, context.config, trained.spec, trained.facts, data, settings)
    facts.build_card(
        metrics.list_means(),
        parity_report.to_dict(),
        decoder=decoder,
        detection_filter=make_detection_filter(decoder, metrics.thresholds),
    ).save(run.model_folder)
    timings = {
        **stage_seconds,
        "export": exported_at - started_at,
        "evaluate": time.perf_counter() - exported_at,
    }
    timings["total"] = sum(timings.values())
    report = kind.report(
        **facts.build_report_fields(),
        recipe=trained.recipe,
        metrics=metrics,
        train_boxes=context.dataset.select(context.dataset.get_split_indices(TRAIN)).count_per_class(),
        history=tuple(trained.state.history),
        timings=timings,
        images=select_report_images(trained, test_loader, predictions.detections, metrics),
        leak=leak,
        notes=(*describe_division(context), *kind.describe_data(context.dataset), *trained.notes),
        run=str(run.folder),
    )
    write_report_files(run, report)
    show_leak(report, context.progress)
    return report


def make_detection_filter(decoder: str, thresholds: Sequence[float]) -> DetectionFilter:
    """Return the filter of the model card: as in evaluation, but with a score threshold for each class.

    ``decoder`` is the name of the decoder; ``thresholds`` has one value in 0..1 for each class.
    """
    return replace(make_evaluation_filter(decoder), score_threshold=tuple(thresholds))


def _check_parity(
    backend: OnnxRuntimeBackend, trained: TrainedDetector, rows: NDArray[np.int64]
) -> DetectionParityReport:
    """Compare the exported with the trained network on test images; raise ``ModelError`` when they differ."""
    sample = sample_evenly(len(rows), PARITY_SAMPLE_SIZE)
    loader = DetectionLoader(trained.samples, rows[sample], trained.spec, BATCH_SIZE)
    # Networks with queries select the best positions of the feature maps by score, where rounding may decide between
    # two; the others keep all positions. Only for the former is double precision needed as a reference.
    selects_queries = trained.network.decoder_name == "queries"
    return require_detection_parity(
        predict_with_backend(backend, trained.network.decoder_name, loader),
        predict_detections(trained.network, loader),
        run_in_double=partial(_predict_in_float64, trained, loader) if selects_queries else None,
    )


def _predict_in_float64(trained: TrainedDetector, loader: DetectionLoader) -> list[Detections]:
    """Return the detections of the trained network when it computes in double precision on the CPU."""
    return predict_detections(Float64Detector(trained.network), loader)


class Float64Detector(Detector):
    """A copy of ``network`` on the CPU that computes in double precision.

    Its results are the reference where the float32 results of two libraries differ by rounding.
    """

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = deepcopy(network).cpu().double()
        self.decoder_name, self.num_classes = network.decoder_name, network.num_classes

    def extract_features(self, images: Tensor) -> FeatureMaps:
        """Return the feature maps, float64, of ``images`` (N, 3, H, W)."""
        return self.network.extract_features(images.double())

    def run_head(self, maps: FeatureMaps, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Return the outputs that the decoder reads from ``maps`` of images of ``size`` (height, width)."""
        return self.network.run_head(maps, size)


def _make_predictions(
    context: RecipeContext, loader: DetectionLoader, detections: Sequence[Detections], kind: DetectorKind
) -> DetectionPredictions:
    """Return the detections on the images of ``loader`` with their names, content digests and true objects."""
    names = tuple(context.dataset.images.get_name(int(row)) for row in loader.rows)
    keys = tuple(context.keys[row] for row in loader.rows.tolist())
    truth, classes = select_ground_truth(loader), context.dataset.classes
    is_test = np.array_equal(loader.rows, context.test_rows)
    groups = context.test_groups if is_test else None
    fields = kind.collect_fields(loader.samples, loader.rows)
    return kind.predictions(keys, names, truth, tuple(detections), classes, groups, **fields)
