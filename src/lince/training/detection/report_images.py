"""Selects and renders the images of a detection report: most errors, correct ones, and augmented training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import Classes, Detections
from lince.augmentation.mosaic import LabelledImage
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.report import DetectionReportImage, DetectionReportImages
from lince.inference import drawing, mask_drawing
from lince.inference.drawing import ShapeAnnotation
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.matrix_photos import select_matrix_cells
from lince.training.training_sheet import TILE_SIDE, TRAINING_IMAGES, render_training_sheet

if TYPE_CHECKING:
    from lince.training.detection.network_recipe import TrainedDetector

IMAGES_PER_GROUP, IMAGE_SIDE = 12, 600  # images of a group, and their longer side in pixels
_HALF_COVERED = 127  # of a pixel by an object, from 0 to 255


def select_report_images(
    trained: TrainedDetector, test_loader: DetectionLoader, detections: Sequence[Detections], metrics: DetectionMetrics
) -> DetectionReportImages:
    """Return the image groups for the report of ``trained``: ``select_example_images``, and training images."""
    return replace(
        select_example_images(test_loader, detections, metrics),
        augmentation=_render_training_sheet(trained),
        augmentation_policy="\n".join(trained.augmentation.policy.describe()),
    )


def select_example_images(
    test_loader: DetectionLoader, detections: Sequence[Detections], metrics: DetectionMetrics
) -> DetectionReportImages:
    """Return the images with most errors, correct ones, and the cells of the confusion matrix.

    ``detections`` are those on the images of ``test_loader``, in its order; only those above the thresholds of
    ``metrics`` are drawn. Correct images are those without errors and with at least one detection.
    """
    thresholds = np.array(metrics.thresholds, np.float32)
    kept_detections = [_filter_by_threshold(item, thresholds) for item in detections]
    worst_indices = [item.image for item in metrics.worst_images[:IMAGES_PER_GROUP]]
    images_with_errors = {item.image for item in metrics.worst_images}
    correct_indices = [
        index for index in range(len(detections)) if index not in images_with_errors and len(kept_detections[index])
    ][: IMAGES_PER_GROUP // 2]
    descriptions = {item.image: item.description for item in metrics.worst_images}
    return DetectionReportImages(
        worst=tuple(
            _make_report_image(test_loader, index, kept_detections[index], descriptions[index])
            for index in worst_indices
        ),
        correct=tuple(_make_report_image(test_loader, index, kept_detections[index], "") for index in correct_indices),
        cells=select_matrix_cells(test_loader, metrics),
    )


def _filter_by_threshold(detections: Detections, thresholds: NDArray[np.float32]) -> Detections:
    """Return the detections that reach the threshold of their class; ``thresholds`` is float32 (C,)."""
    keep = detections.scores >= thresholds[detections.class_ids]
    return detections.select(keep)


def _make_report_image(
    test_loader: DetectionLoader, index: int, detections: Detections, detail: str
) -> DetectionReportImage:
    """Return image ``index`` of ``test_loader``, drawn once with its labels and once with ``detections``."""
    samples, row = test_loader.samples, int(test_loader.rows[index])
    sample = samples.read(row, (IMAGE_SIDE, IMAGE_SIDE))
    size = (sample.image.shape[0], sample.image.shape[1])
    scale = np.tile(np.array(size[::-1]) / np.maximum(samples.image_sizes[row][::-1], 1), 2)
    scaled_detections = replace(detections, boxes=detections.boxes * scale)
    with_masks = mask_drawing.draw_object_masks(sample.image, detections, tuple(samples.image_sizes[row].tolist()))
    truth_image = drawing.draw_shapes(sample.image, _make_truth_shapes(sample, samples.classes), size, IMAGE_SIDE)
    detection_image = drawing.draw_shapes(
        with_masks, _make_detection_shapes(scaled_detections, samples.classes), size, IMAGE_SIDE
    )
    name = samples.dataset.images.get_name(row)
    return DetectionReportImage(
        image=images.encode_jpeg(detection_image), truth=images.encode_jpeg(truth_image), caption=name, detail=detail
    )


def _make_truth_shapes(image: LabelledImage, classes: Classes) -> list[ShapeAnnotation]:
    """Return the labelled boxes of ``image``, with class names and the masks that were read, for drawing."""
    masks = [None if mask is None else mask.draw(image.image.shape[:2]) > _HALF_COVERED for mask in image.masks]
    return [
        ShapeAnnotation(_box_tuple(box), classes.names[class_id], int(class_id), mask=mask)
        for box, class_id, mask in zip(image.boxes, image.class_ids, masks or [None] * len(image.boxes), strict=True)
    ]


def _make_detection_shapes(detections: Detections, classes: Classes) -> list[ShapeAnnotation]:
    """Return the detected boxes, with class names and scores, for drawing."""
    return [
        ShapeAnnotation(
            _box_tuple(box),
            f"{classes.names[class_id]} {drawing.format_score(float(score))}",
            int(class_id),
        )
        for box, class_id, score in zip(detections.boxes, detections.class_ids, detections.scores, strict=True)
    ]


def _box_tuple(box: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return a box (4,) as Python floats."""
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


def _render_training_sheet(trained: TrainedDetector) -> bytes:
    """Return a JPEG contact sheet of training images as the network gets them, augmented and mixed, with boxes."""
    loader = DetectionLoader(
        trained.samples,
        trained.samples.dataset.get_split_indices(0)[:64],
        trained.spec,
        TRAINING_IMAGES,
        augmentation=trained.augmentation,
    )
    size = (trained.spec.height, trained.spec.width)
    return render_training_sheet(
        loader,
        lambda example: drawing.draw_shapes(
            example.image, _make_truth_shapes(example, trained.samples.classes), size, TILE_SIDE
        ),
    )
