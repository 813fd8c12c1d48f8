"""Which photos a report shows: the worst mistakes, the most doubtful, some right ones, and where the network looked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.augmentation import Policy, preview
from lince.datasets import Dataset
from lince.evaluation import example_selection
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.report import ReportImage, ReportImages
from lince.inference import drawing
from lince.preprocess import PreprocessSpec, preprocess_images, resize_to_input
from lince.training.recipe import RecipeContext, TrainedClassifier

IMAGES_PER_GROUP = 8
SALIENCY_IMAGES = 6
THUMBNAIL_SIDE = 224  # pixels of a thumbnail's longer side
SHEET_ROWS, SHEET_COPIES = 4, 6


def select_report_images(
    job: RecipeContext, outcome: TrainedClassifier, predictions: ClassificationPredictions
) -> ReportImages:
    """Return the groups of photos for the report of ``outcome`` on the test images."""
    truth, probabilities = predictions.truth, predictions.probabilities
    worst = example_selection.select_confident_errors(truth, probabilities, IMAGES_PER_GROUP)
    right = example_selection.select_correct_images(truth, probabilities, IMAGES_PER_GROUP)
    explained = np.concatenate([worst[: SALIENCY_IMAGES // 2], right[: SALIENCY_IMAGES - SALIENCY_IMAGES // 2]])
    policy = Policy.parse(outcome.policy)
    return ReportImages(
        worst=_make_thumbnails(job, predictions, worst),
        uncertain=_make_thumbnails(
            job, predictions, example_selection.select_uncertain_images(truth, probabilities, IMAGES_PER_GROUP)
        ),
        correct=_make_thumbnails(job, predictions, right),
        saliency=_make_saliency_images(job, outcome, predictions, explained),
        augmentation=_render_augmentation_sheet(job, policy) if len(policy) else None,
        augmentation_policy="\n".join(policy.describe()) if len(policy) else "",
    )


def _make_thumbnails(
    job: RecipeContext, predictions: ClassificationPredictions, chosen: NDArray[np.int64]
) -> tuple[ReportImage, ...]:
    return tuple(
        _make_report_image(
            predictions,
            int(i),
            drawing.encode_thumbnail(
                job.dataset.images.read_image(int(job.test_rows[i]), (THUMBNAIL_SIDE, THUMBNAIL_SIDE)), THUMBNAIL_SIDE
            ),
        )
        for i in chosen
    )


def _make_saliency_images(
    job: RecipeContext, outcome: TrainedClassifier, predictions: ClassificationPredictions, chosen: NDArray[np.int64]
) -> tuple[ReportImage, ...]:
    if not len(chosen):
        return ()
    shown = [read_fitted_image(job.dataset, int(job.test_rows[i]), job.spec) for i in chosen]
    heats = outcome.saliency(preprocess_images(shown, job.spec), predictions.predicted_class_ids[chosen])
    return tuple(
        _make_report_image(
            predictions, int(i), images.encode_jpeg(image), images.encode_jpeg(drawing.draw_heatmap(image, heat))
        )
        for i, image, heat in zip(chosen, shown, heats, strict=True)
    )


def read_fitted_image(dataset: Dataset, row: int, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Return the image of ``row`` as the network sees it, uint8 (H, W, 3)."""
    return resize_to_input(dataset.images.read_image(row, (spec.height, spec.width)), spec)


def _make_report_image(
    predictions: ClassificationPredictions, i: int, jpeg: bytes, overlay: bytes | None = None
) -> ReportImage:
    names, predicted = predictions.classes.names, int(predictions.predicted_class_ids[i])
    return ReportImage(
        image=jpeg,
        caption=predictions.names[i],
        truth=names[int(predictions.truth[i])],
        predicted=names[predicted],
        probability=float(predictions.probabilities[i, predicted]),
        overlay=overlay,
    )


def _render_augmentation_sheet(job: RecipeContext, policy: Policy) -> bytes:
    rows = job.train_rows[
        np.linspace(0, len(job.train_rows) - 1, min(SHEET_ROWS, len(job.train_rows))).astype(np.int64)
    ]
    originals = [job.dataset.images.read_image(int(row), (job.spec.height, job.spec.width)) for row in rows]
    return images.encode_jpeg(preview.render_preview_sheet(originals, policy, job.config.seed, SHEET_COPIES, job.spec))
