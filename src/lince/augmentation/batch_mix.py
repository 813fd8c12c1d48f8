"""Two images of a batch in one: mixup and cutmix, with soft targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def mixup(
    batch: FloatArray, targets: NDArray[Any], rng: np.random.Generator, alpha: float = 0.2
) -> tuple[FloatArray, FloatArray]:
    """Return ``batch`` (N, C, H, W) and ``targets`` (N, K) blended with their own shuffle (Zhang et al. 2018).

    One share for the whole batch, drawn from Beta(alpha, alpha); ``targets`` are probabilities.
    """
    _require_valid_batch(batch, targets, alpha)
    share, order = np.float32(rng.beta(alpha, alpha)), rng.permutation(len(batch))
    return _blend(batch, batch[order], share), _blend(np.asarray(targets, np.float32), targets[order], share)


def cutmix(
    batch: FloatArray, targets: NDArray[Any], rng: np.random.Generator, alpha: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Return ``batch`` (N, C, H, W) with one window taken from its shuffle, and matching targets (Yun et al. 2019).

    The window's share of the area is drawn from Beta(alpha, alpha), its centre anywhere, cut at the border; the
    targets (N, K) are weighted by the pixels that each image really shows.
    """
    _require_valid_batch(batch, targets, alpha)
    height, width = batch.shape[2:]
    share, order = rng.beta(alpha, alpha), rng.permutation(len(batch))
    rows = _window_slice(height, share, rng.random())
    columns = _window_slice(width, share, rng.random())
    out = batch.copy()
    out[:, :, rows, columns] = batch[order][:, :, rows, columns]
    taken = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return out, _blend(np.asarray(targets, np.float32), targets[order], np.float32(1 - taken))


def _window_slice(side: int, share: float, centre: float) -> slice:
    half = side * np.sqrt(share) / 2
    return slice(max(0, round(centre * side - half)), min(side, round(centre * side + half)))


def _blend(first: NDArray[Any], second: NDArray[Any], share: np.float32) -> FloatArray:
    return np.asarray(second + share * (first - second), np.float32)


def _require_valid_batch(batch: FloatArray, targets: NDArray[Any], alpha: float) -> None:
    if batch.ndim != 4 or targets.ndim != 2 or len(batch) != len(targets):
        raise ValueError(f"expected a batch (N, C, H, W) and targets (N, K), not {batch.shape} and {targets.shape}")
    if alpha <= 0:
        raise ValueError(f"alpha must be above 0, not {alpha}")
