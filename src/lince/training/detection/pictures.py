"""Which photos a detector's report shows: the worst, some good ones, and what the network learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import Classes, Detections
from lince.augmentation.mosaic import Labelled
from lince.evaluation.detection import DetectionMetrics
from lince.evaluation.report import DetectionPicture, DetectionPictures
from lince.messages import _
from lince.runtime import draw
from lince.runtime.draw import Shape
from lince.training.detection.loader import Loader
from lince.training.detection.recipes import Trained

SHOWN, SIDE = 12, 480  # photos of a kind, and their longer side in pixels
LEARNT, TILE = 8, 320


def choose(trained: Trained, test: Loader, found: Sequence[Detections], metrics: DetectionMetrics) -> DetectionPictures:
    """Return the groups of photos for the report."""
    thresholds = np.array(metrics.thresholds, np.float32)
    shown = [_kept(one, thresholds) for one in found]
    worst = [one.image for one in metrics.worst[:SHOWN]]
    wrong = {one.image for one in metrics.worst}
    good = [at for at in range(len(found)) if at not in wrong and len(shown[at])][: SHOWN // 2]
    why = {one.image: one.why for one in metrics.worst}
    return DetectionPictures(
        worst=tuple(_picture(test, at, shown[at], why[at]) for at in worst),
        right=tuple(_picture(test, at, shown[at], "") for at in good),
        augmentation=_sheet(trained),
        augmentation_policy="\n".join(trained.mixing.policy.describe()),
    )


def _kept(found: Detections, thresholds: NDArray[np.float32]) -> Detections:
    keep = found.scores >= thresholds[found.class_ids]
    return Detections(found.boxes[keep], found.class_ids[keep], found.scores[keep])


def _picture(test: Loader, at: int, found: Detections, why: str) -> DetectionPicture:
    samples, row = test.samples, int(test.rows[at])
    photo = samples.read(row, (SIDE, SIDE))
    size = (photo.image.shape[0], photo.image.shape[1])
    scale = np.tile(np.array(size[::-1]) / np.maximum(samples.sizes[row][::-1], 1), 2)
    seen = Detections(found.boxes * scale, found.class_ids, found.scores)
    marked = draw.marked(photo.image, _shapes(photo, samples.classes), size, SIDE)
    drawn = draw.marked(photo.image, _found(seen, samples.classes), size, SIDE)
    name = samples.dataset.images.name(row)
    return DetectionPicture(image=images.encode_jpeg(drawn), truth=images.encode_jpeg(marked), caption=name, detail=why)


def _shapes(photo: Labelled, classes: Classes) -> list[Shape]:
    return [
        Shape(_box(box), classes.names[class_id], int(class_id))
        for box, class_id in zip(photo.boxes, photo.class_ids, strict=True)
    ]


def _found(found: Detections, classes: Classes) -> list[Shape]:
    return [
        Shape(_box(box), f"{classes.names[class_id]} {score:.0%}", int(class_id))
        for box, class_id, score in zip(found.boxes, found.class_ids, found.scores, strict=True)
    ]


def _box(box: NDArray[np.float64]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


def _sheet(trained: Trained) -> bytes:
    """Return one picture of training images as the network got them, mixed and altered, with their boxes."""
    learnt = Loader(
        trained.samples, trained.samples.dataset.indices(0)[:64], trained.spec, LEARNT, mixing=trained.mixing
    )
    cells = []
    for number in range(LEARNT):
        example = learnt.example(number)
        if example is not None:
            shapes = _shapes(example, trained.samples.classes)
            picture = draw.marked(example.image, shapes, (trained.spec.height, trained.spec.width), TILE)
            cells.append(draw.Cell(picture, (_("as learnt from"),)))
    return images.encode_jpeg(draw.contact_sheet(cells, 4, TILE))
