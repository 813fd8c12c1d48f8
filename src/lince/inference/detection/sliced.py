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
from lince.annotations import Detections, RejectedItem
from lince.errors import ImageError
from lince.inference import batch_runner
from lince.inference.batch_runner import Image, PreparedImage
from lince.inference.detection.predictor import BATCH_SIZE, DetectionPredictor, DetectionResult
from lince.inference.sources import ImageInput, ImageItem
from lince.progress import SILENT, Progress

TILE_OVERLAP = 0.25  # share of a tile that the next one shows again
MERGE_THRESHOLD = 0.5  # share of the smaller of two boxes that the other holds, above which they are one object
_EDGE_TOLERANCE = 2.0  # pixels from an inner edge at which a box counts as cut
BoxArray = NDArray[np.float64]


def compute_tiles(height: int, width: int, side: tuple[int, int], overlap: float = TILE_OVERLAP) -> BoxArray:
    """Return tiles (T, 4), left, top, right, bottom in pixels, that cover a photo; none if it fits into one.

    ``side`` is the (height, width) of a tile. The tiles are spread evenly, so neighbours share ``overlap`` of a tile
    or more, and none leaves the photo.
    """
    if height <= side[0] and width <= side[1]:
        return np.empty((0, 4))
    tops, lefts = _tile_starts(height, side[0], overlap), _tile_starts(width, side[1], overlap)
    return np.array(
        [[x, y, min(x + side[1], width), min(y + side[0], height)] for y in tops for x in lefts], np.float64
    )


def _tile_starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / max(1.0, side * (1 - overlap))))
    return [round(start) for start in np.linspace(0, length - side, count).tolist()]


@dataclass(frozen=True, eq=False)
class TileDetections:
    """What was found in one view of a photo: boxes in the photo's pixels, and the view's own ``frame`` (4,)."""

    detections: Detections
    frame: BoxArray

    def find_cut_boxes(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Tell which boxes (K,) end at an edge of the view that is none of the photo of ``size`` (height, width)."""
        boxes = self.detections.boxes
        inner = self.frame != np.array([0.0, 0.0, size[1], size[0]])
        return np.asarray(((np.abs(boxes - self.frame) <= _EDGE_TOLERANCE) & inner).any(axis=1))


def merge_tiles(tile_detections: Sequence[TileDetections], size: tuple[int, int]) -> Detections:
    """Return what ``views`` found on a photo of ``size`` (height, width), every object once.

    Boxes of one class in different views are one object when either holds more than ``SAME`` of the other; the surest
    one that no inner edge cuts stands for it. Pieces that no view shows whole become the box around them. What a
    single view tells apart stays apart.
    """
    boxes = np.concatenate([view.detections.boxes for view in tile_detections])
    class_ids = np.concatenate([view.detections.class_ids for view in tile_detections])
    scores = np.concatenate([view.detections.scores for view in tile_detections])
    origin = np.repeat(np.arange(len(tile_detections)), [len(view.detections) for view in tile_detections])
    cut = np.concatenate([view.find_cut_boxes(size) for view in tile_detections])
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
            _merge_fragments(boxes, row, mates, left)
        else:
            left[mates[_intersection_over_smaller(boxes[row], boxes[mates]) > MERGE_THRESHOLD]] = False
    order = np.array(kept, np.int64)[np.argsort(-scores[kept], kind="stable")] if kept else np.empty(0, np.int64)
    return Detections(boxes[order], class_ids[order], scores[order])


def _merge_fragments(boxes: BoxArray, row: int, mates: NDArray[np.int64], left: NDArray[np.bool_]) -> None:
    """Grow the box ``row`` around the pieces of its object among ``mates`` until none is left over."""
    while True:
        pieces = mates[left[mates] & (_intersection_over_smaller(boxes[row], boxes[mates]) > MERGE_THRESHOLD)]
        if not len(pieces):
            return
        left[pieces] = False
        group = boxes[[row, *pieces]]
        boxes[row] = [*group[:, :2].min(axis=0), *group[:, 2:].max(axis=0)]


def _intersection_over_smaller(box: BoxArray, others: BoxArray) -> BoxArray:
    """Return the share (K,) of the smaller of ``box`` (4,) and each of ``others`` (K, 4) that both cover."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    least = np.minimum(geometry.compute_box_areas(box[None]), geometry.compute_box_areas(others))
    return np.asarray(shared / np.maximum(least, np.finfo(np.float64).tiny))


class SlicingPredictor(DetectionPredictor):
    """A detector that looks at large photos in tiles too; on photos that fit into one it answers as without."""

    @classmethod
    def from_predictor(cls, model: DetectionPredictor) -> SlicingPredictor:
        """Return ``model``, looking in tiles."""
        return cls(model.card, model.backend, model.allow_urls)

    def with_threshold(self, threshold: float | Mapping[str, float]) -> SlicingPredictor:
        """Return the same model with another threshold, as ``DetectionPredictor`` does."""
        return self.from_predictor(super().with_threshold(threshold))

    def with_threads(self, threads: int | None = None) -> SlicingPredictor:
        """Return the same model for work beside that of others, as ``DetectionPredictor`` does."""
        return self.from_predictor(super().with_threads(threads))

    def prepare(self, source: ImageInput) -> PreparedImage:
        """Return a photo with all its pixels: the tiles are cut from them. Raises ``ImageError``."""
        image = batch_runner.read_pixels(source, self.allow_urls)
        return PreparedImage(image, image.shape[:2])

    def prepare_or_reject(self, item: ImageItem) -> PreparedImage | RejectedItem:
        """Return a photo with all its pixels, or why it cannot be read."""
        try:
            return self.prepare(item.source)
        except ImageError as error:
            return RejectedItem(item.name, error.problem, error.remedy or error.expected)

    def predict_items(
        self, items: Iterable[ImageItem], batch: int = BATCH_SIZE, progress: Progress = SILENT
    ) -> Iterator[DetectionResult | RejectedItem]:
        """Yield what is on each of ``photos``, or its rejection; no more than a few are held in memory."""
        return super().predict_items(items, 1, progress)

    def _detect_prepared(self, seen: Sequence[PreparedImage]) -> list[Detections]:
        return [self._detect_tiled(one.image) for one in seen]

    def _detect_tiled(self, image: Image) -> Detections:
        height, width = image.shape[:2]
        (whole,) = self._detect_whole([image])
        spec = self.card.preprocess
        frames = compute_tiles(height, width, (spec.height, spec.width))
        if not len(frames):
            return whole
        views = [TileDetections(whole, np.array([0.0, 0.0, width, height]))]
        for start in range(0, len(frames), BATCH_SIZE):
            some = frames[start : start + BATCH_SIZE]
            parts = [image[int(y) : int(bottom), int(x) : int(right)] for x, y, right, bottom in some]
            for frame, found in zip(some, self._detect_whole(parts), strict=True):
                moved = found.boxes + np.tile(frame[:2], 2)
                views.append(TileDetections(Detections(moved, found.class_ids, found.scores), frame))
        return merge_tiles(views, (height, width))

    def _detect_whole(self, images: Sequence[Image]) -> list[Detections]:
        """Return what is on each of ``images`` when it is brought to the network's size as a whole."""
        look, detect = super().prepare, super()._detect_prepared
        return detect([look(image) for image in images])
