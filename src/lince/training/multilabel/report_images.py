"""Selects and renders the images of the report of a multilabel model: errors, right ones, Grad-CAM, augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.datasets import Dataset
from lince.evaluation.multilabel.predictions import MultilabelPredictions
from lince.evaluation.report import MultilabelReportImage, MultilabelReportImages
from lince.inference import drawing
from lince.preprocess import preprocess_images
from lince.training.classification.report_images import (
    IMAGES_PER_GROUP,
    THUMBNAIL_SIDE,
    encode_thumbnail,
    read_fitted_image,
    render_policy_sheet,
)
from lince.training.recipe import RecipeContext, TrainedClassifier

SALIENCY_IMAGES = 8


def select_report_images(
    context: RecipeContext, outcome: TrainedClassifier, predictions: MultilabelPredictions
) -> MultilabelReportImages:
    """Return the image groups for the report of ``outcome`` on the test images.

    Groups: those of ``select_example_images``, Grad-CAM overlays of the most probable image of each class, and a sheet
    of augmented training images where there is a policy.
    """
    augmentation, policy = render_policy_sheet(context, outcome.policy)
    return replace(
        select_example_images(context.dataset, context.test_rows, predictions),
        saliency=_make_saliency_images(context, outcome, predictions),
        augmentation=augmentation,
        augmentation_policy=policy,
    )


def select_example_images(
    dataset: Dataset, rows: NDArray[np.int64], predictions: MultilabelPredictions
) -> MultilabelReportImages:
    """Return the images with most wrong answers, and images with all classes right.

    ``rows`` int64 (N,) are those of ``dataset`` that the N ``predictions`` are for.
    """

    def make(indices: NDArray[np.int64]) -> tuple[MultilabelReportImage, ...]:
        """Return the images at ``indices`` (into the predictions) as thumbnails."""
        thumbnails = (encode_thumbnail(dataset, int(rows[i]), THUMBNAIL_SIDE) for i in indices.tolist())
        return tuple(
            _make_report_image(predictions, i, one) for i, one in zip(indices.tolist(), thumbnails, strict=True)
        )

    return MultilabelReportImages(
        worst=make(select_worst_images(predictions, IMAGES_PER_GROUP)),
        correct=make(select_correct_images(predictions, IMAGES_PER_GROUP)),
    )


def select_worst_images(predictions: MultilabelPredictions, count: int) -> NDArray[np.int64]:
    """Return at most ``count`` rows with wrong answers, those with most first, of equals those furthest from right."""
    wrong = predictions.predicted != predictions.truth
    distances = np.abs(predictions.probabilities - predictions.thresholds)
    order = np.lexsort((-(distances * wrong).sum(axis=1), -wrong.sum(axis=1)))
    return np.asarray(order[wrong.any(axis=1)[order]][:count], np.int64)


def select_correct_images(predictions: MultilabelPredictions, count: int) -> NDArray[np.int64]:
    """Return at most ``count`` rows with all classes right: those with most classes first, each set of classes once."""
    right = np.flatnonzero((predictions.predicted == predictions.truth).all(axis=1))
    order = right[np.argsort(-predictions.truth[right].sum(axis=1), kind="stable")]
    _sets, firsts = np.unique(predictions.truth[order], axis=0, return_index=True)
    return np.asarray(order[np.sort(firsts)][:count], np.int64)


def select_saliency_answers(predictions: MultilabelPredictions, count: int) -> list[tuple[int, int]]:
    """Return at most ``count`` (row, class id): of each class, the most frequent first, its most probable image."""
    said = predictions.predicted
    frequent = np.argsort(-said.sum(axis=0), kind="stable")
    class_ids = [int(class_id) for class_id in frequent if said[:, class_id].any()][:count]
    return [(int(predictions.probabilities[:, class_id].argmax()), class_id) for class_id in class_ids]


def _make_saliency_images(
    context: RecipeContext, outcome: TrainedClassifier, predictions: MultilabelPredictions
) -> tuple[MultilabelReportImage, ...]:
    """Return test images as the network sees them, each with the Grad-CAM map of one of its classes."""
    answers = select_saliency_answers(predictions, SALIENCY_IMAGES)
    if not answers:
        return ()
    rows = [int(context.test_rows[row]) for row, _id in answers]
    fitted_images = [read_fitted_image(context.dataset, row, context.spec) for row in rows]
    class_ids = np.array([class_id for _row, class_id in answers], np.int64)
    heatmaps = outcome.saliency(preprocess_images(fitted_images, context.spec), class_ids)
    return tuple(
        _make_report_image(
            predictions,
            row,
            images.encode_jpeg(image),
            images.encode_jpeg(drawing.draw_heatmap(image, heatmap)),
            predictions.classes.names[class_id],
        )
        for (row, class_id), image, heatmap in zip(answers, fitted_images, heatmaps, strict=True)
    )


def _make_report_image(
    predictions: MultilabelPredictions, row: int, jpeg: bytes, overlay: bytes | None = None, focus: str = ""
) -> MultilabelReportImage:
    """Return the prediction at ``row`` with its encoded image, and a second one of the same size where there is one."""
    truth, predicted = predictions.truth[row], predictions.predicted[row]

    def list_names(members: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(predictions.classes.names[i] for i in np.flatnonzero(members))

    return MultilabelReportImage(
        jpeg,
        predictions.names[row],
        list_names(truth & predicted),
        list_names(truth & ~predicted),
        list_names(predicted & ~truth),
        overlay,
        focus,
    )
