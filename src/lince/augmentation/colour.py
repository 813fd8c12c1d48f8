"""Applies all colour operations of an image as one 3 x 3 matrix and one lookup table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.augmentation.policy import SampledOperations

Levels = NDArray[np.float64]  # the new value of each level 0..255: (1, 256) for all channels, or (3, 256)
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in ``preprocess``
_IDENTITY_LEVELS = np.arange(256.0)[None]
_IDENTITY_MATRIX, _GREY_MATRIX = np.eye(3), np.tile(LUMA, (3, 1))
_YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_FROM_YIQ = np.linalg.inv(_YIQ)


def apply_colour_operations(image: NDArray[np.uint8], sampled: SampledOperations) -> NDArray[np.uint8]:
    """Return ``image``, uint8 RGB (H, W, 3), after the sampled colour operations: the matrix first, then the table.

    The image itself is returned when none was sampled.
    """
    if not sampled.keys().isdisjoint(_MATRIX_OPERATIONS):
        image = np.asarray(cv2.transform(image, compose_colour_matrix(sampled)), np.uint8)
    if not sampled.keys().isdisjoint(_POINTWISE_OPERATIONS):
        image = np.asarray(cv2.LUT(image, build_lookup_table(sampled, image)), np.uint8)
    return image


def compose_colour_matrix(sampled: SampledOperations) -> NDArray[np.float64]:
    """Return the matrix (3, 3) of the sampled saturation, hue and greyscale operations, for RGB column vectors."""
    matrix = _IDENTITY_MATRIX
    for name, build in _MATRIX_OPERATIONS.items():
        if name in sampled:
            matrix = build(*sampled[name]) @ matrix
    return matrix


def build_lookup_table(sampled: SampledOperations, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the lookup table of the sampled pointwise operations, uint8: (256,), or (1, 256, 3) where channels differ.

    The operations are composed in the order of the table of operations. Autocontrast, equalize and contrast depend on
    the histogram of ``image``, which is computed once and carried through the operations before them.
    """
    counts = _histogram(image, sampled)
    levels = _IDENTITY_LEVELS
    for name, change in _POINTWISE_OPERATIONS.items():
        if name in _HISTOGRAM_OPERATIONS and name in sampled:
            levels = _HISTOGRAM_OPERATIONS[name](levels, counts, *sampled[name])
        elif name in sampled:
            levels = change(levels, *sampled[name])
    table = np.rint(levels).astype(np.uint8)
    return np.ascontiguousarray(table[0] if len(table) == 1 else table.T[None])


def _histogram(image: NDArray[np.uint8], sampled: SampledOperations) -> NDArray[np.float64]:
    """Return the histogram of each channel, float64 (3, 256); empty when no sampled operation needs it."""
    needed_by = sampled.keys() & _HISTOGRAM_OPERATIONS
    if not needed_by:
        return np.empty((3, 0))
    # Contrast only needs the mean, for which every fourth row is enough.
    rows = image[::4] if needed_by == {"contrast"} else image
    return np.array(
        [cv2.calcHist([rows], [channel], None, [256], [0, 256]).ravel() for channel in range(3)], np.float64
    )


def _saturation(change: float) -> NDArray[np.float64]:
    """Return the matrix that blends each colour with its grey; ``change`` -1 gives grey, 0 changes nothing."""
    return np.asarray((1 + change) * _IDENTITY_MATRIX - change * _GREY_MATRIX, np.float64)


def _hue(degrees: float) -> NDArray[np.float64]:
    """Return the matrix that rotates the colour plane of YIQ by ``degrees``.

    Greys and the luma of every colour stay as they are, and the operation is linear.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rotation = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return np.asarray(_FROM_YIQ @ rotation @ _YIQ, np.float64)


def _greyscale() -> NDArray[np.float64]:
    """Return the matrix that replaces every channel by the luma."""
    return _GREY_MATRIX


def _autocontrast(levels: Levels, counts: NDArray[np.float64]) -> Levels:
    """Stretch each channel so that its lowest and highest levels in use become 0 and 255.

    ``counts`` (3, 256) is the histogram of the unchanged image, here and below.
    """
    new_levels = np.broadcast_to(levels, counts.shape).copy()
    for channel, (row, count) in enumerate(zip(new_levels, counts, strict=True)):
        used_levels = row[count > 0]
        low, high = used_levels.min(), used_levels.max()
        if high > low:
            new_levels[channel] = np.clip((row - low) * (255 / (high - low)), 0, 255)
    return new_levels


def _equalize(levels: Levels, counts: NDArray[np.float64]) -> Levels:
    """Equalise the histogram of each channel."""
    new_levels = np.broadcast_to(levels, counts.shape).copy()
    for channel, (row, count) in enumerate(zip(np.rint(new_levels).astype(np.intp), counts, strict=True)):
        histogram = np.bincount(row, weights=count, minlength=256)
        below = np.concatenate([[0.0], np.cumsum(histogram)[:-1]])
        # Without the pixels of the highest level in use, so that it maps to 255 and the lowest one to 0.
        total = histogram.sum() - histogram[np.flatnonzero(histogram)[-1]]
        if total > 0:
            new_levels[channel] = np.minimum(below * (255 / total), 255)[row]
    return new_levels


def _contrast(levels: Levels, counts: NDArray[np.float64], change: float) -> Levels:
    """Multiply the distance of all levels to the mean luma by 1 + ``change``."""
    mean = LUMA @ (levels * counts).sum(axis=1) / counts[0].sum()
    return np.asarray(np.clip(mean + (1 + change) * (levels - mean), 0, 255), np.float64)


def _channel_shift(levels: Levels, *shifts: float) -> Levels:
    """Add one of the three ``shifts`` to each channel."""
    return np.asarray(np.clip(levels + np.reshape(shifts, (3, 1)), 0, 255), np.float64)


def _solarize(levels: Levels, threshold: float) -> Levels:
    """Invert the levels from ``threshold`` up."""
    return np.where(np.rint(levels) >= threshold, 255 - levels, levels)


def _posterize(levels: Levels, bits: float) -> Levels:
    """Keep only the highest ``bits`` bits of each level."""
    step = float(2 ** (8 - round(bits)))
    return np.asarray(np.floor(np.rint(levels) / step) * step, np.float64)


_MATRIX_OPERATIONS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "saturation": _saturation,
    "hue": _hue,
    "greyscale": _greyscale,
}
_HISTOGRAM_OPERATIONS: dict[str, Callable[..., Levels]] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "contrast": _contrast,
}
_POINTWISE_OPERATIONS: dict[str, Callable[..., Any]] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "gamma": lambda levels, change: 255 * (levels / 255) ** (1 + change),
    "brightness": lambda levels, change: np.clip(levels * (1 + change), 0, 255),
    "contrast": _contrast,
    "channel_shift": _channel_shift,
    "invert": lambda levels: 255 - levels,
    "solarize": _solarize,
    "posterize": _posterize,
}
