"""Predicted class maps, reduced and packed: what the pictures of a report need of a large test set."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lince.class_maps import resize_class_map

PICTURE_SIDE = 384  # pixels of the longer side


@dataclass(frozen=True)
class PackedMap:
    """A class map of ``height`` x ``width`` pixels as compressed bytes, some KB for a map of ``PICTURE_SIDE``."""

    height: int
    width: int
    data: bytes

    @classmethod
    def pack(cls, class_map: NDArray[np.uint8], side: int = PICTURE_SIDE) -> Self:
        """Return ``class_map`` (H, W), reduced to ``side`` pixels on its longer side; never enlarged."""
        height, width = fit_size(class_map.shape, side)
        reduced = resize_class_map(class_map, (height, width))
        return cls(height, width, zlib.compress(reduced.tobytes(), 1))

    def unpack(self) -> NDArray[np.uint8]:
        """Return the class map, uint8 (height, width)."""
        return np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.height, self.width)


def fit_size(size: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return ``size`` (height, width) reduced to ``side`` on its longer side, at least 1 x 1; never enlarged."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
