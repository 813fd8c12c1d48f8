"""Pixel operations that depend on neighbouring pixels or on random numbers: blur, noise, JPEG artefacts, erasing."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.augmentation.policy import SampledOperations

Image = NDArray[np.uint8]
# Quantiles of the normal distribution, indexed by a random byte: twenty times faster than drawing normal numbers, and
# different from them only beyond 2.9 standard deviations.
_NORMAL_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])
_SMOOTH_KERNEL = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13  # the kernel of Pillow's and torchvision's sharpness
_MAX_LOG_ASPECT = math.log(10 / 3)  # aspect ratios of erased rectangles are 3:10 to 10:3 (Zhong et al. 2020)


def apply_local_operations(image: Image, sampled: SampledOperations, rng: np.random.Generator) -> Image:
    """Return ``image``, uint8 RGB (H, W, 3), after the sampled pixel operations; ``image`` itself is not changed.

    Noise draws one random byte per value from ``rng``, so the number of draws depends on the size of the image.
    """
    for name, effect in _LOCAL_OPERATIONS.items():
        if name in sampled:
            image = effect(image, rng, *sampled[name])
    return image


def _sharpness(image: Image, _rng: np.random.Generator, change: float) -> Image:
    """Sharpen by ``change`` (negative: smooth) with Pillow's kernel."""
    kernel = -change * _SMOOTH_KERNEL
    kernel[1, 1] += 1 + change
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT), np.uint8)


def _blur(image: Image, _rng: np.random.Generator, deviation: float) -> Image:
    """Blur with a Gaussian of standard deviation ``deviation`` in pixels."""
    if deviation < 0.1:  # changes no level, and OpenCV takes 0 as "choose from the kernel size"
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REFLECT), np.uint8)


def _noise(image: Image, rng: np.random.Generator, deviation: float) -> Image:
    """Add Gaussian noise of standard deviation ``deviation`` in levels, independent for each channel."""
    random_bytes = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    noise = cv2.LUT(random_bytes, np.rint(deviation * _NORMAL_QUANTILES).astype(np.int16))
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


def _salt_pepper(image: Image, rng: np.random.Generator, fraction: float) -> Image:
    """Set a ``fraction`` of the pixels alternately to black and to white; a pixel may be drawn twice."""
    pixels = image.reshape(-1, 3).copy()
    indices = rng.integers(0, len(pixels), round(fraction * len(pixels)))
    pixels[indices[::2]] = 0
    pixels[indices[1::2]] = 255
    return pixels.reshape(image.shape)


def _jpeg(image: Image, _rng: np.random.Generator, quality: float) -> Image:
    """Compress and decompress as JPEG of ``quality`` 1..100."""
    return images.decode_image(images.encode_jpeg(image, round(quality)))


def _erasing(image: Image, rng: np.random.Generator, *numbers: float) -> Image:
    """Fill a rectangle with random levels: random erasing (Zhong et al. 2020).

    ``numbers`` are the fraction of the area, and three values 0..1 for aspect ratio and position.
    """
    area_fraction, aspect, x_fraction, y_fraction = numbers
    height, width = image.shape[:2]
    stretch = math.exp((2 * aspect - 1) * _MAX_LOG_ASPECT / 2)
    h = min(height, round(height * math.sqrt(area_fraction) * stretch))
    w = min(width, round(width * math.sqrt(area_fraction) / stretch))
    top, left = int(y_fraction * (height - h + 1)), int(x_fraction * (width - w + 1))
    erased = image.copy()
    erased[top : top + h, left : left + w] = np.frombuffer(rng.bytes(h * w * 3), np.uint8).reshape(h, w, 3)
    return erased


_LOCAL_OPERATIONS: dict[str, Callable[..., Image]] = {
    "sharpness": _sharpness,
    "blur": _blur,
    "noise": _noise,
    "salt_pepper": _salt_pepper,
    "jpeg": _jpeg,
    "erasing": _erasing,
}
