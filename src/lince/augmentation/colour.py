"""All colour changes of one image as one 3 x 3 matrix and one table of levels, each applied once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.augmentation.policy import SampledOperations

Levels = NDArray[np.float64]  # what each level becomes, 0..255: (1, 256) for all channels alike, or (3, 256)
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in preprocess
_IDENTITY_LEVELS = np.arange(256.0)[None]
_IDENTITY_MATRIX, _GREY_MATRIX = np.eye(3), np.tile(LUMA, (3, 1))
_YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_FROM_YIQ = np.linalg.inv(_YIQ)


def apply_colour_operations(image: NDArray[np.uint8], drawn: SampledOperations) -> NDArray[np.uint8]:
    """Return ``image`` (H, W, 3) after the colour operations in ``drawn``: the matrix first, then the table."""
    if not drawn.keys().isdisjoint(_MATRIX_OPERATIONS):
        image = np.asarray(cv2.transform(image, compose_colour_matrix(drawn)), np.uint8)
    if not drawn.keys().isdisjoint(_POINTWISE_OPERATIONS):
        image = np.asarray(cv2.LUT(image, build_lookup_table(drawn, image)), np.uint8)
    return image


def compose_colour_matrix(drawn: SampledOperations) -> NDArray[np.float64]:
    """Return the matrix (3, 3) of saturation, hue and greyscale in ``drawn``, for RGB column vectors."""
    whole = _IDENTITY_MATRIX
    for name, build in _MATRIX_OPERATIONS.items():
        if name in drawn:
            whole = build(*drawn[name]) @ whole
    return whole


def build_lookup_table(drawn: SampledOperations, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the table of the pointwise operations in ``drawn``: (256,), or (1, 256, 3) if the channels differ.

    Autocontrast, equalize and contrast look at the levels that ``image`` has; the histogram is taken once.
    """
    counts = _histogram(image, drawn)
    levels = _IDENTITY_LEVELS
    for name, change in _POINTWISE_OPERATIONS.items():
        if name in _HISTOGRAM_OPERATIONS and name in drawn:
            levels = _HISTOGRAM_OPERATIONS[name](levels, counts, *drawn[name])
        elif name in drawn:
            levels = change(levels, *drawn[name])
    final = np.rint(levels).astype(np.uint8)
    return np.ascontiguousarray(final[0] if len(final) == 1 else final.T[None])


def _histogram(image: NDArray[np.uint8], drawn: SampledOperations) -> NDArray[np.float64]:
    looking = drawn.keys() & _HISTOGRAM_OPERATIONS
    if not looking:
        return np.empty((3, 0))
    # For a mean, every fourth row tells enough.
    seen = image[::4] if looking == {"contrast"} else image
    return np.array([cv2.calcHist([seen], [c], None, [256], [0, 256]).ravel() for c in range(3)], np.float64)


def _saturation(change: float) -> NDArray[np.float64]:
    return np.asarray((1 + change) * _IDENTITY_MATRIX - change * _GREY_MATRIX, np.float64)


def _hue(degrees: float) -> NDArray[np.float64]:
    # A rotation of the colour plane of YIQ: greys and the luma of every colour stay, and it is linear, so it composes.
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return np.asarray(_FROM_YIQ @ turn @ _YIQ, np.float64)


def _greyscale() -> NDArray[np.float64]:
    return _GREY_MATRIX


def _autocontrast(levels: Levels, counts: NDArray[np.float64]) -> Levels:
    out = np.broadcast_to(levels, counts.shape).copy()
    for channel, (row, count) in enumerate(zip(out, counts, strict=True)):
        there = row[count > 0]
        low, high = there.min(), there.max()
        if high > low:
            out[channel] = np.clip((row - low) * (255 / (high - low)), 0, 255)
    return out


def _equalize(levels: Levels, counts: NDArray[np.float64]) -> Levels:
    out = np.broadcast_to(levels, counts.shape).copy()
    for channel, (row, count) in enumerate(zip(np.rint(out).astype(np.intp), counts, strict=True)):
        now = np.bincount(row, weights=count, minlength=256)
        below = np.concatenate([[0.0], np.cumsum(now)[:-1]])
        # The last level in use takes no room of its own, so that it lands on 255 and the first on 0.
        room = now.sum() - now[np.flatnonzero(now)[-1]]
        if room > 0:
            out[channel] = np.minimum(below * (255 / room), 255)[row]
    return out


def _contrast(levels: Levels, counts: NDArray[np.float64], change: float) -> Levels:
    mean = LUMA @ (levels * counts).sum(axis=1) / counts[0].sum()
    return np.asarray(np.clip(mean + (1 + change) * (levels - mean), 0, 255), np.float64)


def _channel_shift(levels: Levels, *shifts: float) -> Levels:
    return np.asarray(np.clip(levels + np.reshape(shifts, (3, 1)), 0, 255), np.float64)


def _solarize(levels: Levels, threshold: float) -> Levels:
    return np.where(np.rint(levels) >= threshold, 255 - levels, levels)


def _posterize(levels: Levels, bits: float) -> Levels:
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
