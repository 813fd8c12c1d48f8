"""Mixes the images of a batch in pairs: mixup and CutMix, with soft targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def mixup(
    batch: FloatArray, targets: NDArray[Any], rng: np.random.Generator, alpha: float = 0.2
) -> tuple[FloatArray, FloatArray]:
    """Return ``batch`` (N, C, H, W) and ``targets`` (N, K) blended with a permutation of themselves, as float32.

    Mixup (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"). One weight for the whole batch is drawn from
    Beta(alpha, alpha). ``targets`` are class probabilities, such as one-hot rows. Raise ``ValueError`` on other shapes
    or an ``alpha`` that is not positive.
    """
    _require_valid_batch(batch, targets, alpha)
    weight, order = np.float32(rng.beta(alpha, alpha)), rng.permutation(len(batch))
    return _blend(batch, batch[order], weight), _blend(np.asarray(targets, np.float32), targets[order], weight)


def cutmix(
    batch: FloatArray, targets: NDArray[Any], rng: np.random.Generator, alpha: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Return ``batch`` (N, C, H, W) with a window pasted from a permutation of itself, and the mixed targets (N, K).

    CutMix (Yun et al. 2019). The window is the same for the whole batch: its fraction of the area is drawn from
    Beta(alpha, alpha), its centre is uniform, and it is clipped to the image. The targets, class probabilities, are
    weighted by the pixels that are really shown. Raise ``ValueError`` on other shapes or an ``alpha`` that is not
    positive.
    """
    _require_valid_batch(batch, targets, alpha)
    height, width = batch.shape[2:]
    area_fraction, order = rng.beta(alpha, alpha), rng.permutation(len(batch))
    rows = _window_slice(height, area_fraction, rng.random())
    columns = _window_slice(width, area_fraction, rng.random())
    mixed = batch.copy()
    mixed[:, :, rows, columns] = batch[order][:, :, rows, columns]
    pasted_fraction = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return mixed, _blend(np.asarray(targets, np.float32), targets[order], np.float32(1 - pasted_fraction))


def _window_slice(side: int, area_fraction: float, centre: float) -> slice:
    """Return the window along one side of ``side`` pixels; ``centre`` is 0..1."""
    half_length = side * np.sqrt(area_fraction) / 2
    return slice(max(0, round(centre * side - half_length)), min(side, round(centre * side + half_length)))


def _blend(first: NDArray[Any], second: NDArray[Any], weight: np.float32) -> FloatArray:
    """Return ``weight`` * first + (1 - ``weight``) * second, as float32."""
    return np.asarray(second + weight * (first - second), np.float32)


def _require_valid_batch(batch: FloatArray, targets: NDArray[Any], alpha: float) -> None:
    """Raise ``ValueError`` when the shapes do not fit or ``alpha`` is not positive."""
    if batch.ndim != 4 or targets.ndim != 2 or len(batch) != len(targets):
        raise ValueError(f"expected a batch (N, C, H, W) and targets (N, K), not {batch.shape} and {targets.shape}")
    if alpha <= 0:
        raise ValueError(f"alpha must be above 0, not {alpha}")
