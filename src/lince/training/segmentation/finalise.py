"""Closes the run of a segmentation model: its predictions, its card, its report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.augmentation.mosaic import LabelledImage
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report import SegmentationReport
from lince.evaluation.segmentation.metrics import compute_mean_iou
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.sampling import sample_evenly
from lince.training.recipe import RecipeContext
from lince.training.run_completion import RunClosing
from lince.training.run_folder import TrainingRun
from lince.training.segmentation.loader import SegmentationLoader
from lince.training.segmentation.pixel_evaluation import predict_pixels
from lince.training.segmentation.report_images import draw_labels, select_example_images
from lince.training.segmentation.trained_segmenter import TrainedSegmenter
from lince.training.training_sheet import TRAINING_IMAGES, render_training_sheet

TRAIN_SAMPLE_SIZE = 60  # training images on which the training figure is measured


class SegmentationClosing(RunClosing[TrainedSegmenter, SegmentationPredictions]):
    """How predictions, card and report are made of a trained segmentation model."""

    task = "segment"

    def make_predictions(self, context: RecipeContext, outcome: TrainedSegmenter) -> SegmentationPredictions:
        """Return the counts of pixels of the test images, by the model file."""
        rows = context.test_rows
        predicted = predict_pixels(open_network(context), outcome.samples, rows, context.spec, context.progress)
        return SegmentationPredictions(
            keys=tuple(context.keys[row] for row in rows.tolist()),
            names=tuple(context.dataset.images.get_name(row) for row in rows.tolist()),
            counts=predicted.counts,
            classes=context.dataset.classes,
            groups=context.test_groups,
            maps=predicted.maps,
        )

    def describe_headline(self) -> str:
        """Return the name of the mean IoU on the test images."""
        return _("Mean IoU on the test images")

    def measure_headline(
        self, predictions: SegmentationPredictions, rows: NDArray[np.int64], seed: int
    ) -> ConfidenceInterval:
        """Return the mean IoU on the test images at ``rows``."""
        return predictions.select(rows).compute_metrics(seed).miou

    def list_card_fields(self, context: RecipeContext, predictions: SegmentationPredictions) -> dict[str, Any]:
        """Return nothing: the class of a pixel is the most probable one."""
        del context, predictions
        return {}

    def build_report(
        self,
        context: RecipeContext,
        outcome: TrainedSegmenter,
        predictions: SegmentationPredictions,
        metrics: Any,
        fields: dict[str, Any],
    ) -> SegmentationReport:
        """Return the report, with the figures on training and validation images and its pictures."""
        backend = open_network(context)

        def measure(rows: NDArray[np.int64]) -> float | None:
            counts = predict_pixels(backend, outcome.samples, rows, context.spec).counts
            miou = compute_mean_iou(counts, len(context.dataset.classes)) if counts else np.nan
            return None if np.isnan(miou) else miou

        sample = context.train_rows[sample_evenly(len(context.train_rows), TRAIN_SAMPLE_SIZE)]
        pictures = select_example_images(context.dataset, context.test_rows, predictions)
        policy = outcome.augmentation.policy
        if len(policy):
            sheet = render_training_sheet(_make_sheet_loader(context, outcome), _draw_example)
            pictures = replace(pictures, augmentation=sheet, augmentation_policy="\n".join(policy.describe()))
        return SegmentationReport(
            **fields, train_miou=measure(sample), val_miou=measure(context.val_rows), images=pictures
        )


def open_network(context: RecipeContext) -> OnnxRuntimeBackend:
    """Return the model file of the run of ``context``, opened."""
    return OnnxRuntimeBackend(TrainingRun(context.folder).model_folder / NETWORK_FILE)


def _draw_example(example: LabelledImage) -> NDArray[np.uint8]:
    """Return a training image with its classes drawn on it."""
    return example.image if example.class_map is None else draw_labels(example.image, example.class_map)


def _make_sheet_loader(context: RecipeContext, outcome: TrainedSegmenter) -> SegmentationLoader:
    """Return a loader of some training images as the network gets them."""
    return SegmentationLoader(
        outcome.samples,
        context.train_rows[:64],
        context.spec,
        TRAINING_IMAGES,
        context.config.seed,
        outcome.augmentation,
    )
