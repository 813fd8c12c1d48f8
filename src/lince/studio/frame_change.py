"""Tells which frames of a video show something else than the last one that was taken."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = (64, 48)  # width and height at which frames are compared: noise and the finest movements are gone then
_STEP = 20  # of 255, by which a point has to become lighter or darker
_SHARE = 0.04  # of all points that have to, such as a person who comes into a room


class FrameChange:
    """Remembers the last frame that was taken."""

    def __init__(self) -> None:
        self._last: NDArray[np.int16] | None = None

    def is_new(self, image: NDArray[np.uint8]) -> bool:
        """Whether ``image``, uint8 RGB (H, W, 3), differs from the last one for which this was true."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, _SIDE, interpolation=cv2.INTER_AREA).astype(np.int16)
        if self._last is not None and np.mean(np.abs(small - self._last) > _STEP) <= _SHARE:
            return False
        self._last = small
        return True
