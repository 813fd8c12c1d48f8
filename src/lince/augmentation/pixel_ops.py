"""The effects that look at a pixel's neighbours or at chance, each done only when drawn."""

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
# Gaussian noise from one random byte a level: the middle of each of 256 equally likely slices of the bell curve. It is
# twenty times faster than drawing normal numbers, and differs from them only beyond 2.9 deviations.
_NORMAL_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])
_SMOOTH_KERNEL = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13  # the kernel of Pillow's and torchvision's sharpness
_MAX_LOG_ASPECT = math.log(10 / 3)  # an erased rectangle's sides stand between 3 : 10 and 10 : 3 (Zhong et al. 2020)


def apply_local_operations(image: Image, drawn: SampledOperations, rng: np.random.Generator) -> Image:
    """Return ``image`` (H, W, 3) after the local effects in ``drawn``; ``image`` itself stays as it is."""
    for name, effect in _LOCAL_OPERATIONS.items():
        if name in drawn:
            image = effect(image, rng, *drawn[name])
    return image


def _sharpness(image: Image, _rng: np.random.Generator, change: float) -> Image:
    kernel = -change * _SMOOTH_KERNEL
    kernel[1, 1] += 1 + change
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT), np.uint8)


def _blur(image: Image, _rng: np.random.Generator, deviation: float) -> Image:
    if deviation < 0.1:  # a Gaussian this narrow moves no level, and OpenCV reads 0 as "choose for me"
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REFLECT), np.uint8)


def _noise(image: Image, rng: np.random.Generator, deviation: float) -> Image:
    chance = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    change = cv2.LUT(chance, np.rint(deviation * _NORMAL_QUANTILES).astype(np.int16))
    return np.asarray(cv2.add(image, change, dtype=cv2.CV_8U), np.uint8)


def _salt_pepper(image: Image, rng: np.random.Generator, share: float) -> Image:
    pixels = image.reshape(-1, 3).copy()
    where = rng.integers(0, len(pixels), round(share * len(pixels)))
    pixels[where[::2]] = 0
    pixels[where[1::2]] = 255
    return pixels.reshape(image.shape)


def _jpeg(image: Image, _rng: np.random.Generator, quality: float) -> Image:
    return images.decode_image(images.encode_jpeg(image, round(quality)))


def _erasing(image: Image, rng: np.random.Generator, *numbers: float) -> Image:
    share, aspect, across, down = numbers
    height, width = image.shape[:2]
    stretch = math.exp((2 * aspect - 1) * _MAX_LOG_ASPECT / 2)
    h = min(height, round(height * math.sqrt(share) * stretch))
    w = min(width, round(width * math.sqrt(share) / stretch))
    top, left = int(down * (height - h + 1)), int(across * (width - w + 1))
    out = image.copy()
    out[top : top + h, left : left + w] = np.frombuffer(rng.bytes(h * w * 3), np.uint8).reshape(h, w, 3)
    return out


_LOCAL_OPERATIONS: dict[str, Callable[..., Image]] = {
    "sharpness": _sharpness,
    "blur": _blur,
    "noise": _noise,
    "salt_pepper": _salt_pepper,
    "jpeg": _jpeg,
    "erasing": _erasing,
}
