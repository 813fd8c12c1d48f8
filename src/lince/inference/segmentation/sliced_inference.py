"""Segments large photos in tiles at full resolution, for fine structures, and averages the probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lince import preprocess
from lince.inference.image_loading import Image, PreparedImage
from lince.inference.segmentation.predictor import SegmentationPredictor
from lince.inference.segmentation.result import SegmentationResult, make_result
from lince.inference.tiles import FullSizeImages, compute_tiles
from lince.postprocess import class_map as class_maps
from lince.postprocess.class_map import Places
from lince.preprocess import PreprocessSpec

Frame = Sequence[int]  # left, top, right and bottom of a tile, in pixels
_TILE_BATCH = 4  # tiles per call of the network
_MIN_WEIGHT = 0.05  # of the edge of a tile, whose middle weighs 1


class SlicingSegmenter(FullSizeImages, SegmentationPredictor):
    """A segmentation model that also predicts tiles of large images; for one that fits into a tile nothing changes.

    Tiles are of the size of the network's input. Where they overlap, what is nearer to the middle of its tile weighs
    more; their mean and the prediction of the whole image count equally.
    """

    @classmethod
    def from_predictor(cls, model: SegmentationPredictor) -> Self:
        """Return ``model`` with slicing."""
        return cls(model.card, model.backend, model.allow_urls)

    def predict_prepared(
        self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()
    ) -> list[SegmentationResult]:
        """Return the result of each of the images at full size; ``names`` are theirs, in order."""
        result_names = names or [""] * len(prepared)
        return [self._predict_tiled(item.image, name) for item, name in zip(prepared, result_names, strict=True)]

    def _predict_tiled(self, image: Image, name: str) -> SegmentationResult:
        """Return the result of ``image``, uint8 RGB (H, W, 3): of it as a whole, and of its tiles where it has some."""
        size: tuple[int, int] = (image.shape[0], image.shape[1])
        spec = self.card.preprocess
        (whole,) = self._predict_parts([image])
        frames = compute_tiles(size[0], size[1], (spec.height, spec.width)).astype(np.int64).tolist()
        if not frames:
            return self.make_result(name, whole, size)
        scales = whole.shape[1] / spec.height, whole.shape[2] / spec.width  # cells of the map per pixel of the input
        sides = [max(1, round(side * scale)) for side, scale in zip(size, scales, strict=True)]
        ys, xs = ((np.arange(side) + 0.5) * length / side for side, length in zip(sides, size, strict=True))
        mean = self._average_tiles(image, frames, ys, xs)
        axes = class_maps.locate_places(whole.shape[1:], size, spec, ys, xs)
        for channel, plane in enumerate(whole):
            mean[channel] += class_maps.interpolate_plane(plane, *axes)
        mean *= 0.5
        return make_result(name, mean, size, self.classes, PreprocessSpec(sides[0], sides[1], "squash"))

    def _average_tiles(self, image: Image, frames: Sequence[Frame], ys: Places, xs: Places) -> NDArray[np.float32]:
        """Return the mean probabilities, float32 (C + 1, h, w), of the tiles ``frames`` of ``image``.

        The places on which they are known are at ``ys`` (h,) and ``xs`` (w,), in its pixels.
        """
        total = np.zeros((len(self.classes) + 1, len(ys), len(xs)), np.float32)
        weights = np.zeros(total.shape[1:], np.float32)
        for (left, top, right, bottom), planes in self._predict_frames(image, frames):
            rows = np.s_[np.searchsorted(ys, top) : np.searchsorted(ys, bottom)]
            columns = np.s_[np.searchsorted(xs, left) : np.searchsorted(xs, right)]
            size, inner_ys, inner_xs = (bottom - top, right - left), ys[rows] - top, xs[columns] - left
            weight = np.outer(_weigh(inner_ys, size[0]), _weigh(inner_xs, size[1])).astype(np.float32)
            weights[rows, columns] += weight
            axes = class_maps.locate_places(planes.shape[1:], size, self.card.preprocess, inner_ys, inner_xs)
            for channel, plane in enumerate(planes):
                total[channel, rows, columns] += weight * class_maps.interpolate_plane(plane, *axes)
        total /= weights
        return total

    def _predict_frames(self, image: Image, frames: Sequence[Frame]) -> Iterator[tuple[Frame, NDArray[np.float32]]]:
        """Yield each of ``frames`` (left, top, right, bottom) with the probabilities of this tile of ``image``."""
        for start in range(0, len(frames), _TILE_BATCH):
            batch = frames[start : start + _TILE_BATCH]
            parts = [image[top:bottom, left:right] for left, top, right, bottom in batch]
            yield from zip(batch, self._predict_parts(parts), strict=True)

    def _predict_parts(self, parts: Sequence[Image]) -> NDArray[np.float32]:
        """Return the probabilities, float32 (N, C + 1, h, w), of ``parts``, uint8 RGB (H, W, 3)."""
        inputs = [self.prepare_part(part).image for part in parts]
        logits = self.predict_logits(preprocess.normalise_images(inputs, self.card.preprocess))
        return class_maps.compute_probabilities(logits)


def _weigh(places: Places, length: int) -> NDArray[np.float64]:
    """Return how much ``places`` (N,) on a tile of ``length`` pixels weigh: 1 in the middle, least at the edges."""
    return np.asarray(np.maximum(_MIN_WEIGHT, 1 - np.abs(2 * places / length - 1)), np.float64)
