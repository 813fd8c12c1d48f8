"""Tells images of one fixed camera apart: by what differs from the background that all of them share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_IMAGES = 5000  # compared all with all; more are not, for the time and the memory that it takes
_MAX_SAMPLE = 400  # images from which the background is computed
_NEAR_BACKGROUND = 10.0  # grey levels; a pixel that differs by less shows the background
_MIN_BACKGROUND_SHARE = 0.6  # of the pixels of an image from a fixed camera
_MIN_STATIC_SHARE = 0.8  # of the images that must show the background for the camera to be fixed
_NOISE_FACTOR = 4.5  # times the median deviation of a pixel: three standard deviations of noise
_MIN_DIFFERENCE = 6.0  # grey levels that always count as noise
_EMPTY_ENERGY = 400.0  # squared grey levels; an image below it shows nothing but the background
_MIN_OVERLAP = 0.6  # of what two images show besides the background, to be the same
_BLOCK = 512  # images compared at once
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Foreground:
    """What N images of one camera show besides the background: float32 (N, pixels), 0 where nothing differs.

    ``is_static`` is whether the camera is fixed: whether most of the images show the background in most of their
    pixels.
    """

    pixels: FloatArray
    is_static: bool

    def find_same(self) -> list[tuple[int, int]]:
        """Return the pairs (i, j), i < j, of images in which the same stands at the same place, or nothing at all."""
        energies = np.einsum("ij,ij->i", self.pixels, self.pixels)
        is_empty = energies < _EMPTY_ENERGY
        empty = np.flatnonzero(is_empty).tolist()
        pairs = [(empty[0], other) for other in empty[1:]]
        for start in range(0, len(self.pixels), _BLOCK):
            block = slice(start, start + _BLOCK)
            shared = 2 * (self.pixels[block] @ self.pixels.T)
            same = shared >= _MIN_OVERLAP * (energies[block, None] + energies[None])
            same &= ~is_empty[block, None] & ~is_empty[None]
            first, second = np.nonzero(same)
            is_later = first + start < second
            pairs += zip((first[is_later] + start).tolist(), second[is_later].tolist(), strict=True)
        return pairs


def extract_foreground(thumbnails: NDArray[np.uint8]) -> Foreground:
    """Return what ``thumbnails``, uint8 (N, 64, 64), show besides their median image.

    Brightness and contrast of each image are fitted to the median first, and what varies in most of the images by
    noise, JPEG or light is not counted.
    """
    images = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    sample = images[np.linspace(0, len(images) - 1, min(len(images), _MAX_SAMPLE)).astype(np.int64)]
    background = np.median(sample, axis=0).astype(np.float32)
    residuals = _subtract_background(images, background)
    shows_background = (np.abs(residuals) <= _NEAR_BACKGROUND).mean(axis=1) >= _MIN_BACKGROUND_SHARE
    deviations = np.median(np.abs(_subtract_background(sample, background)), axis=0)
    limits = np.maximum(_NOISE_FACTOR * deviations, _MIN_DIFFERENCE).astype(np.float32)
    pixels = np.sign(residuals) * np.maximum(np.abs(residuals) - limits, 0)
    return Foreground(pixels.astype(np.float32), bool(shows_background.mean() >= _MIN_STATIC_SHARE))


def _subtract_background(images: FloatArray, background: FloatArray) -> FloatArray:
    """Return ``images`` (N, pixels) minus ``background`` (pixels,) with the brightness and contrast of each image.

    They are fitted twice, the second time without the pixels that differ most, which show something else.
    """
    weights = np.ones_like(images)
    for _fit in range(2):
        total = weights.sum(axis=1, keepdims=True)
        image_mean = (weights * images).sum(axis=1, keepdims=True) / total
        background_mean = (weights * background).sum(axis=1, keepdims=True) / total
        centred = background - background_mean
        variance = (weights * centred**2).sum(axis=1, keepdims=True)
        gain = (weights * centred * (images - image_mean)).sum(axis=1, keepdims=True) / np.maximum(variance, 1e-3)
        gain = np.where(variance > total, np.clip(gain, 0.25, 4.0), 1.0)
        residuals = (images - image_mean) / gain - centred
        spread = np.median(np.abs(residuals), axis=1, keepdims=True)
        weights = (np.abs(residuals) <= np.maximum(3 * spread, _MIN_DIFFERENCE)).astype(np.float32)
    return np.asarray(residuals, np.float32)
