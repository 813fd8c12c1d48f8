"""Small objects in large photos: the photo is looked at in pieces too, which a network sees at their full size.

After slicing-aided inference (SAHI: Akyon et al. 2022): overlapping tiles of the input's size and the whole photo,
and what they find is put together by how much of the smaller box the larger one holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import Detections, Rejected
from lince.errors import ImageError
from lince.progress import SILENT, Progress
from lince.runtime import reading
from lince.runtime.detection import BATCH, DetectionPredictor, Found
from lince.runtime.reading import Image, Seen
from lince.runtime.sources import Photo, Source

OVERLAP = 0.25  # share of a tile that the next one shows again
SAME = 0.5  # share of the smaller of two boxes that the other holds, above which they are one object
_CUT = 2.0  # pixels from an inner edge at which a box counts as cut
Box = NDArray[np.float64]


def tiles(height: int, width: int, side: tuple[int, int], overlap: float = OVERLAP) -> Box:
    """Return tiles (T, 4), left, top, right, bottom in pixels, that cover a photo; none if it fits into one.

    ``side`` is the (height, width) of a tile. The tiles are spread evenly, so neighbours share ``overlap`` of a tile
    or more, and none leaves the photo.
    """
    if height <= side[0] and width <= side[1]:
        return np.empty((0, 4))
    tops, lefts = _starts(height, side[0], overlap), _starts(width, side[1], overlap)
    return np.array(
        [[x, y, min(x + side[1], width), min(y + side[0], height)] for y in tops for x in lefts], np.float64
    )


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / max(1.0, side * (1 - overlap))))
    return [round(start) for start in np.linspace(0, length - side, count).tolist()]


@dataclass(frozen=True, eq=False)
class View:
    """What was found in one view of a photo: boxes in the photo's pixels, and the view's own ``frame`` (4,)."""

    detections: Detections
    frame: Box

    def cut(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Tell which boxes (K,) end at an edge of the view that is none of the photo of ``size`` (height, width)."""
        boxes = self.detections.boxes
        inner = self.frame != np.array([0.0, 0.0, size[1], size[0]])
        return np.asarray(((np.abs(boxes - self.frame) <= _CUT) & inner).any(axis=1))


def merge(views: Sequence[View], size: tuple[int, int]) -> Detections:
    """Return what ``views`` found on a photo of ``size`` (height, width), every object once.

    Boxes of one class in different views are one object when either holds more than ``SAME`` of the other; the surest
    one that no inner edge cuts stands for it. Pieces that no view shows whole become the box around them. What a
    single view tells apart stays apart.
    """
    boxes = np.concatenate([view.detections.boxes for view in views])
    class_ids = np.concatenate([view.detections.class_ids for view in views])
    scores = np.concatenate([view.detections.scores for view in views])
    origin = np.repeat(np.arange(len(views)), [len(view.detections) for view in views])
    cut = np.concatenate([view.cut(size) for view in views])
    left = np.ones(len(boxes), np.bool_)
    kept: list[int] = []
    boxes = boxes.copy()
    for row in np.lexsort((-scores, cut)).tolist():
        if not left[row]:
            continue
        left[row] = False
        kept.append(row)
        mates = np.flatnonzero(left & (class_ids == class_ids[row]) & (origin != origin[row]))
        if cut[row]:
            _gather(boxes, row, mates, left)
        else:
            left[mates[_held(boxes[row], boxes[mates]) > SAME]] = False
    order = np.array(kept, np.int64)[np.argsort(-scores[kept], kind="stable")] if kept else np.empty(0, np.int64)
    return Detections(boxes[order], class_ids[order], scores[order])


def _gather(boxes: Box, row: int, mates: NDArray[np.int64], left: NDArray[np.bool_]) -> None:
    """Grow the box ``row`` around the pieces of its object among ``mates`` until none is left over."""
    while True:
        pieces = mates[left[mates] & (_held(boxes[row], boxes[mates]) > SAME)]
        if not len(pieces):
            return
        left[pieces] = False
        group = boxes[[row, *pieces]]
        boxes[row] = [*group[:, :2].min(axis=0), *group[:, 2:].max(axis=0)]


def _held(box: Box, others: Box) -> Box:
    """Return the share (K,) of the smaller of ``box`` (4,) and each of ``others`` (K, 4) that both cover."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    least = np.minimum(geometry.area(box[None]), geometry.area(others))
    return np.asarray(shared / np.maximum(least, np.finfo(np.float64).tiny))


class SlicingPredictor(DetectionPredictor):
    """A detector that looks at large photos in tiles too; on photos that fit into one it answers as without."""

    @classmethod
    def of(cls, model: DetectionPredictor) -> SlicingPredictor:
        """Return ``model``, looking in tiles."""
        return cls(model.card, model.session, model.urls)

    def with_threshold(self, threshold: float | Mapping[str, float]) -> SlicingPredictor:
        """Return the same model with another threshold, as ``DetectionPredictor`` does."""
        return self.of(super().with_threshold(threshold))

    def beside(self, threads: int | None = None) -> SlicingPredictor:
        """Return the same model for work beside that of others, as ``DetectionPredictor`` does."""
        return self.of(super().beside(threads))

    def look(self, source: Source) -> Seen:
        """Return a photo with all its pixels: the tiles are cut from them. Raises ``ImageError``."""
        image = reading.pixels(source, self.urls)
        return Seen(image, image.shape[:2])

    def look_at(self, photo: Photo) -> Seen | Rejected:
        """Return a photo with all its pixels, or why it cannot be read."""
        try:
            return self.look(photo.source)
        except ImageError as error:
            return Rejected(photo.name, error.found, error.remedy or error.expected)

    def predict_photos(
        self, photos: Iterable[Photo], batch: int = BATCH, progress: Progress = SILENT
    ) -> Iterator[Found | Rejected]:
        """Yield what is on each of ``photos``, or its rejection; no more than a few are held in memory."""
        return super().predict_photos(photos, 1, progress)

    def _detect(self, seen: Sequence[Seen]) -> list[Detections]:
        return [self._sliced(one.image) for one in seen]

    def _sliced(self, image: Image) -> Detections:
        height, width = image.shape[:2]
        (whole,) = self._fitted([image])
        spec = self.card.preprocess
        frames = tiles(height, width, (spec.height, spec.width))
        if not len(frames):
            return whole
        views = [View(whole, np.array([0.0, 0.0, width, height]))]
        for start in range(0, len(frames), BATCH):
            some = frames[start : start + BATCH]
            parts = [image[int(y) : int(bottom), int(x) : int(right)] for x, y, right, bottom in some]
            for frame, found in zip(some, self._fitted(parts), strict=True):
                moved = found.boxes + np.tile(frame[:2], 2)
                views.append(View(Detections(moved, found.class_ids, found.scores), frame))
        return merge(views, (height, width))

    def _fitted(self, images: Sequence[Image]) -> list[Detections]:
        """Return what is on each of ``images`` when it is brought to the network's size as a whole."""
        look, detect = super().look, super()._detect
        return detect([look(image) for image in images])
