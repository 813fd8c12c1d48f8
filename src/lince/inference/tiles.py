"""Sliced inference for any task: the tiles that cover a large image, and predictors that get images at full size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import RejectedItem
from lince.inference import image_loading
from lince.inference.image_loading import Image, PreparedImage
from lince.inference.predictor import Predictor
from lince.inference.sources import ImageInput, ImageItem
from lince.progress import SILENT, Progress

TILE_OVERLAP = 0.25  # fraction of a tile that its neighbour shows, too
BoxArray = NDArray[np.float64]


def compute_tiles(height: int, width: int, side: tuple[int, int], overlap: float = TILE_OVERLAP) -> BoxArray:
    """Return tiles (T, 4), left, top, right, bottom in pixels, that cover an image; none if it fits into one tile.

    ``side`` is the (height, width) of a tile. The tiles are spread evenly, so neighbours share at least ``overlap`` of
    a tile, and none exceeds the image.
    """
    if height <= side[0] and width <= side[1]:
        return np.empty((0, 4))
    tops, lefts = _tile_starts(height, side[0], overlap), _tile_starts(width, side[1], overlap)
    return np.array(
        [[x, y, min(x + side[1], width), min(y + side[0], height)] for y in tops for x in lefts], np.float64
    )


def _tile_starts(length: int, side: int, overlap: float) -> list[int]:
    """Return the first pixel of each tile along one axis of ``length`` pixels."""
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / max(1.0, side * (1 - overlap))))
    return [round(start) for start in np.linspace(0, length - side, count).tolist()]


class FullSizeImages(Predictor):
    """A predictor whose images stay at full size, since it cuts tiles from them; to be put before its base class."""

    def prepare(self, source: ImageInput) -> PreparedImage:
        """Return the image at full size, since tiles are cut from it; raise ``ImageError`` when it cannot be read."""
        image = image_loading.read_pixels(source, self.allow_urls)
        return PreparedImage(image, image.shape[:2])

    def prepare_or_reject(self, item: ImageItem) -> PreparedImage | RejectedItem:
        """Return the image at full size, or why it cannot be read."""
        return image_loading.reject_unreadable(item, self.prepare)

    def prepare_part(self, image: Image) -> PreparedImage:
        """Return ``image``, uint8 RGB (H, W, 3), a tile or the whole, resized to the network's input."""
        return image_loading.prepare_image(image, self.card.preprocess)

    def predict_items(
        self, items: Iterable[ImageItem], batch: int | None = None, progress: Progress = SILENT
    ) -> Iterator[Any]:
        """Yield a result or a ``RejectedItem`` for each of ``items``, one image at a time whatever ``batch`` is."""
        return super().predict_items(items, 1, progress)
