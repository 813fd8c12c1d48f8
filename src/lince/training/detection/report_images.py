"""Which photos a detector's report shows: the worst, some good ones, and what the network learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import Classes, Detections
from lince.augmentation.mosaic import LabelledImage
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.report import DetectionReportImage, DetectionReportImages
from lince.i18n import _
from lince.inference import drawing
from lince.inference.drawing import ShapeAnnotation
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.recipes.full import TrainedDetector

IMAGES_PER_GROUP, IMAGE_SIDE = 12, 480  # photos of a kind, and their longer side in pixels
TRAINING_IMAGES, TILE_SIDE = 8, 320


def select_report_images(
    trained: TrainedDetector, test: DetectionLoader, found: Sequence[Detections], metrics: DetectionMetrics
) -> DetectionReportImages:
    """Return the groups of photos for the report."""
    thresholds = np.array(metrics.thresholds, np.float32)
    shown = [_filter_by_threshold(one, thresholds) for one in found]
    worst = [one.image for one in metrics.worst_images[:IMAGES_PER_GROUP]]
    wrong = {one.image for one in metrics.worst_images}
    good = [at for at in range(len(found)) if at not in wrong and len(shown[at])][: IMAGES_PER_GROUP // 2]
    why = {one.image: one.description for one in metrics.worst_images}
    return DetectionReportImages(
        worst=tuple(_make_report_image(test, at, shown[at], why[at]) for at in worst),
        correct=tuple(_make_report_image(test, at, shown[at], "") for at in good),
        augmentation=_render_training_sheet(trained),
        augmentation_policy="\n".join(trained.augmentation.policy.describe()),
    )


def _filter_by_threshold(found: Detections, thresholds: NDArray[np.float32]) -> Detections:
    keep = found.scores >= thresholds[found.class_ids]
    return Detections(found.boxes[keep], found.class_ids[keep], found.scores[keep])


def _make_report_image(test: DetectionLoader, at: int, found: Detections, why: str) -> DetectionReportImage:
    samples, row = test.samples, int(test.rows[at])
    photo = samples.read(row, (IMAGE_SIDE, IMAGE_SIDE))
    size = (photo.image.shape[0], photo.image.shape[1])
    scale = np.tile(np.array(size[::-1]) / np.maximum(samples.image_sizes[row][::-1], 1), 2)
    seen = Detections(found.boxes * scale, found.class_ids, found.scores)
    marked = drawing.draw_shapes(photo.image, _make_truth_shapes(photo, samples.classes), size, IMAGE_SIDE)
    drawn = drawing.draw_shapes(photo.image, _make_detection_shapes(seen, samples.classes), size, IMAGE_SIDE)
    name = samples.dataset.images.get_name(row)
    return DetectionReportImage(
        image=images.encode_jpeg(drawn), truth=images.encode_jpeg(marked), caption=name, detail=why
    )


def _make_truth_shapes(photo: LabelledImage, classes: Classes) -> list[ShapeAnnotation]:
    return [
        ShapeAnnotation(_box_tuple(box), classes.names[class_id], int(class_id))
        for box, class_id in zip(photo.boxes, photo.class_ids, strict=True)
    ]


def _make_detection_shapes(found: Detections, classes: Classes) -> list[ShapeAnnotation]:
    return [
        ShapeAnnotation(_box_tuple(box), f"{classes.names[class_id]} {score:.0%}", int(class_id))
        for box, class_id, score in zip(found.boxes, found.class_ids, found.scores, strict=True)
    ]


def _box_tuple(box: NDArray[np.float64]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


def _render_training_sheet(trained: TrainedDetector) -> bytes:
    """Return one picture of training images as the network got them, mixed and altered, with their boxes."""
    learnt = DetectionLoader(
        trained.samples,
        trained.samples.dataset.get_split_indices(0)[:64],
        trained.spec,
        TRAINING_IMAGES,
        augmentation=trained.augmentation,
    )
    cells = []
    for number in range(TRAINING_IMAGES):
        example = learnt.load_example(number)
        if example is not None:
            shapes = _make_truth_shapes(example, trained.samples.classes)
            picture = drawing.draw_shapes(example.image, shapes, (trained.spec.height, trained.spec.width), TILE_SIDE)
            cells.append(drawing.SheetCell(picture, (_("as learnt from"),)))
    return images.encode_jpeg(drawing.draw_contact_sheet(cells, 4, TILE_SIDE))
