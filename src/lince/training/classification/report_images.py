"""Selects and renders the images of a classification report: errors, correct examples, Grad-CAM, augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.augmentation import Policy, preview
from lince.datasets import Dataset
from lince.evaluation import example_selection
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.report import ClassificationReportImage, ClassificationReportImages
from lince.inference import drawing
from lince.preprocess import PreprocessSpec, preprocess_images, resize_to_input
from lince.sampling import sample_evenly
from lince.training.classification.matrix_photos import select_matrix_cells
from lince.training.recipe import RecipeContext, TrainedClassifier

IMAGES_PER_GROUP = 8
SALIENCY_IMAGES = 6
THUMBNAIL_SIDE = 384  # pixels of a thumbnail's longer side: a click enlarges it
MATRIX_SIDE = 192  # pixels of those in the confusion matrix, of which there are many
SHEET_ROWS, SHEET_COPIES = 4, 6


def select_report_images(
    context: RecipeContext, outcome: TrainedClassifier, predictions: ClassificationPredictions
) -> ClassificationReportImages:
    """Return the image groups for the report of ``outcome`` on the test images.

    Groups: those of ``select_example_images``, Grad-CAM overlays of half errors and half correct images, and a sheet of
    augmented training images where there is a policy.
    """
    truth, probabilities = predictions.truth, predictions.probabilities
    worst = example_selection.select_confident_errors(truth, probabilities, IMAGES_PER_GROUP)
    correct = example_selection.select_correct_images(truth, probabilities, IMAGES_PER_GROUP)
    saliency_indices = np.concatenate(
        [worst[: SALIENCY_IMAGES // 2], correct[: SALIENCY_IMAGES - SALIENCY_IMAGES // 2]]
    )
    augmentation, policy = render_policy_sheet(context, outcome.policy)
    return replace(
        select_example_images(context.dataset, context.test_rows, predictions),
        saliency=_make_saliency_images(context, outcome, predictions, saliency_indices),
        augmentation=augmentation,
        augmentation_policy=policy,
    )


def select_example_images(
    dataset: Dataset, rows: NDArray[np.int64], predictions: ClassificationPredictions
) -> ClassificationReportImages:
    """Return the most confident errors, the least certain predictions, correct ones, and the cells of the confusions.

    ``rows`` int64 (N,) are those of ``dataset`` that the N ``predictions`` are for.
    """
    truth, probabilities = predictions.truth, predictions.probabilities

    def encode(i: int, side: int) -> bytes:
        """Return image ``i`` of the predictions as a JPEG with ``side`` pixels on its longer side at most."""
        return encode_thumbnail(dataset, int(rows[i]), side)

    def make(indices: NDArray[np.int64]) -> tuple[ClassificationReportImage, ...]:
        """Return the images at ``indices`` (into the predictions), as thumbnails with their predictions."""
        return tuple(_make_report_image(predictions, i, encode(i, THUMBNAIL_SIDE)) for i in indices.tolist())

    return ClassificationReportImages(
        worst=make(example_selection.select_confident_errors(truth, probabilities, IMAGES_PER_GROUP)),
        uncertain=make(example_selection.select_uncertain_images(truth, probabilities, IMAGES_PER_GROUP)),
        correct=make(example_selection.select_correct_images(truth, probabilities, IMAGES_PER_GROUP)),
        cells=select_matrix_cells(predictions, lambda i: encode(i, MATRIX_SIDE)),
    )


def encode_thumbnail(dataset: Dataset, row: int, side: int) -> bytes:
    """Return the image at ``row`` as a JPEG with ``side`` pixels on its longer side at most."""
    return drawing.encode_thumbnail(dataset.images.read_image(row, (side, side)), side)


def _make_saliency_images(
    context: RecipeContext,
    outcome: TrainedClassifier,
    predictions: ClassificationPredictions,
    indices: NDArray[np.int64],
) -> tuple[ClassificationReportImage, ...]:
    """Return the test images at ``indices`` as the network sees them, with the Grad-CAM map of the predicted class."""
    if not len(indices):
        return ()
    fitted_images = [read_fitted_image(context.dataset, int(context.test_rows[i]), context.spec) for i in indices]
    heatmaps = outcome.saliency(
        preprocess_images(fitted_images, context.spec), predictions.predicted_class_ids[indices]
    )
    return tuple(
        _make_report_image(
            predictions, int(i), images.encode_jpeg(image), images.encode_jpeg(drawing.draw_heatmap(image, heatmap))
        )
        for i, image, heatmap in zip(indices, fitted_images, heatmaps, strict=True)
    )


def read_fitted_image(dataset: Dataset, row: int, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Return the image of ``row`` resized, cropped or padded to the network's input, uint8 (H, W, 3) RGB."""
    return resize_to_input(dataset.images.read_image(row, (spec.height, spec.width)), spec)


def _make_report_image(
    predictions: ClassificationPredictions, i: int, jpeg: bytes, overlay: bytes | None = None
) -> ClassificationReportImage:
    """Return prediction ``i`` with its encoded image, and a second image of the same size where there is one."""
    names, predicted = predictions.classes.names, int(predictions.predicted_class_ids[i])
    return ClassificationReportImage(
        image=jpeg,
        caption=predictions.names[i],
        truth=names[int(predictions.truth[i])],
        predicted=names[predicted],
        probability=float(predictions.probabilities[i, predicted]),
        overlay=overlay,
        truth_probability=float(predictions.probabilities[i, int(predictions.truth[i])]),
    )


def render_policy_sheet(context: RecipeContext, text: str) -> tuple[bytes | None, str]:
    """Return a JPEG of some training images with augmented copies beside each, and the policy ``text`` in words.

    ``None`` and an empty text where the policy changes nothing.
    """
    policy = Policy.parse(text)
    if not len(policy):
        return None, ""
    rows = context.train_rows[sample_evenly(len(context.train_rows), SHEET_ROWS)]
    originals = [context.dataset.images.read_image(int(row), (context.spec.height, context.spec.width)) for row in rows]
    sheet = preview.render_preview_sheet(originals, policy, context.config.seed, SHEET_COPIES, context.spec)
    return images.encode_jpeg(sheet), "\n".join(policy.describe())
