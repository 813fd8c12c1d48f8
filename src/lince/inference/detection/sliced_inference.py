"""Detects small objects in large images: the image is also processed in tiles, at full resolution.

Follows slicing-aided hyper inference (SAHI: Akyon et al. 2022): overlapping tiles of the network's input size and the
whole image are processed, and their boxes are merged by intersection over the smaller box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lince import geometry, mask_operations, rle
from lince.annotations import Detections, StringColumn
from lince.inference.detection.predictor import BATCH_SIZE, DetectionPredictor
from lince.inference.image_loading import Image, PreparedImage
from lince.inference.tiles import FullSizeImages, compute_tiles

MERGE_THRESHOLD = 0.5  # intersection over the smaller box above which two boxes are one object
_EDGE_TOLERANCE = 2.0  # pixels; a box that ends this close to an inner edge of a tile counts as cut
BoxArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TileDetections:
    """The detections in one tile: boxes in pixels of the image, and the tile itself, ``frame`` (4,)."""

    detections: Detections
    frame: BoxArray

    def find_cut_boxes(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return bool (K,): the boxes that end at an edge of the tile that is no edge of the image.

        ``size`` is the (height, width) of the image.
        """
        boxes = self.detections.boxes
        inner = self.frame != np.array([0.0, 0.0, size[1], size[0]])
        return np.asarray(((np.abs(boxes - self.frame) <= _EDGE_TOLERANCE) & inner).any(axis=1))


def merge_tiles(tile_detections: Sequence[TileDetections], size: tuple[int, int]) -> Detections:
    """Return the detections of all tiles of an image of ``size`` (height, width), each object once.

    Boxes of one class in different tiles are one object when their intersection is more than ``MERGE_THRESHOLD`` of the
    smaller one; the box with the highest score that no inner edge cuts is kept. Where every tile shows only a part, the
    parts become the box around them, and their masks, which are of the whole image, one mask. Boxes of the same tile
    are not compared with each other.
    """
    masks = StringColumn.from_strings(text for tile in tile_detections for text in tile.detections.masks)
    boxes = np.concatenate([tile.detections.boxes for tile in tile_detections])
    class_ids = np.concatenate([tile.detections.class_ids for tile in tile_detections])
    scores = np.concatenate([tile.detections.scores for tile in tile_detections])
    tile_ids = np.repeat(np.arange(len(tile_detections)), [len(tile.detections) for tile in tile_detections])
    is_cut = np.concatenate([tile.find_cut_boxes(size) for tile in tile_detections])
    is_left = np.ones(len(boxes), np.bool_)
    kept: list[int] = []
    fragments: dict[int, list[int]] = {}
    boxes = boxes.copy()
    for row in np.lexsort((-scores, is_cut)).tolist():
        if not is_left[row]:
            continue
        is_left[row] = False
        kept.append(row)
        candidates = np.flatnonzero(is_left & (class_ids == class_ids[row]) & (tile_ids != tile_ids[row]))
        if is_cut[row]:
            fragments[row] = _merge_fragments(boxes, row, candidates, is_left)
        else:
            overlaps = geometry.compute_overlap_of_smaller(boxes[[row]], boxes[candidates])[0]
            is_left[candidates[overlaps > MERGE_THRESHOLD]] = False
    order = np.array(kept, np.int64)[np.argsort(-scores[kept], kind="stable")] if kept else np.empty(0, np.int64)
    joined = StringColumn.from_strings(_join_masks(masks, [row, *fragments.get(row, ())]) for row in order.tolist())
    return Detections(boxes[order], class_ids[order], scores[order], joined)


def _join_masks(masks: StringColumn, rows: Sequence[int]) -> str:
    """Return the union of the masks ``rows``; an empty text where there are none."""
    counts = [rle.string_to_counts(masks[row]) for row in rows if masks[row]]
    return rle.counts_to_string(rle.merge_counts(counts)) if counts else ""


def _place_masks(masks: StringColumn, frame: BoxArray, size: tuple[int, int]) -> StringColumn:
    """Return the ``masks`` of the tile ``frame`` (4,) as masks of the whole image of ``size`` (height, width)."""
    left, top, right, bottom = frame.astype(int).tolist()
    window = (0, 0, right - left, bottom - top)

    def place(text: str) -> str:
        crop = mask_operations.decode_crop(rle.string_to_counts(text), bottom - top, window)
        return rle.counts_to_string(mask_operations.encode_crop(crop, left, top, size))

    return StringColumn.from_strings(place(text) if text else "" for text in masks)


def _merge_fragments(boxes: BoxArray, row: int, candidates: NDArray[np.int64], is_left: NDArray[np.bool_]) -> list[int]:
    """Grow box ``row`` around the parts of its object among ``candidates``, in place; return the rows of the parts."""
    joined: list[int] = []
    while True:
        overlaps = geometry.compute_overlap_of_smaller(boxes[[row]], boxes[candidates])[0]
        parts = candidates[is_left[candidates] & (overlaps > MERGE_THRESHOLD)]
        if not len(parts):
            return joined
        joined += parts.tolist()
        is_left[parts] = False
        group = boxes[[row, *parts]]
        boxes[row] = [*group[:, :2].min(axis=0), *group[:, 2:].max(axis=0)]


class SlicingPredictor(FullSizeImages, DetectionPredictor):
    """A detector that also processes large images in tiles; for an image that fits into one tile nothing changes."""

    @classmethod
    def from_predictor(cls, model: DetectionPredictor) -> SlicingPredictor:
        """Return ``model`` with slicing; one whose detections have masks still gives them."""
        kind: type[SlicingPredictor] = cls if cls.task == model.task else type(cls.__name__, (cls, type(model)), {})
        return kind(model.card, model.backend, model.allow_urls)

    def with_threshold(self, threshold: float | Mapping[str, float]) -> SlicingPredictor:
        """Return the same model with another score threshold, as ``DetectionPredictor.with_threshold`` does."""
        return self.from_predictor(super().with_threshold(threshold))

    def with_threads(self, threads: int | None = None) -> SlicingPredictor:
        """Return the same model with an own network session, as ``Predictor.with_threads`` does."""
        return self.from_predictor(super().with_threads(threads))

    def _detect_prepared(self, prepared: Sequence[PreparedImage]) -> list[Detections]:
        """Return the detections on each of the images at full size."""
        return [self._detect_tiled(item.image) for item in prepared]

    def _detect_tiled(self, image: Image) -> Detections:
        """Return the detections on ``image``: on the whole image, and on its tiles where it is larger than one."""
        height, width = image.shape[:2]
        (image_detections,) = self._detect_whole([image])
        spec = self.card.preprocess
        frames = compute_tiles(height, width, (spec.height, spec.width))
        if not len(frames):
            return image_detections
        tiles = [TileDetections(image_detections, np.array([0.0, 0.0, width, height]))]
        for start in range(0, len(frames), BATCH_SIZE):
            batch = frames[start : start + BATCH_SIZE]
            crops = [image[int(y) : int(bottom), int(x) : int(right)] for x, y, right, bottom in batch]
            for frame, detections in zip(batch, self._detect_whole(crops), strict=True):
                boxes = detections.boxes + np.tile(frame[:2], 2)
                masks = _place_masks(detections.masks, frame, (height, width))
                tiles.append(TileDetections(replace(detections, boxes=boxes, masks=masks), frame))
        return merge_tiles(tiles, (height, width))

    def _detect_whole(self, images: Sequence[Image]) -> list[Detections]:
        """Return the detections on each of ``images``, resized to the network's input."""
        return super()._detect_prepared([self.prepare_part(image) for image in images])
