"""Tells from coarse pictures whether a series of images was taken one after the other, as the frames of a film are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_SUCCESSIVE_DISTANCE = 0.8  # of that of any two images; above it, the numbers in the names tell nothing of time
_MIN_SERIES = 6  # images that may be told for a film
_MAX_SAMPLE = 256  # images of a series that are compared in orders drawn by chance
_RANDOM_ORDERS = 199
_RANDOM_PAIRS = 4000
_NEAR, _MIN_NEAR_SHARE = 0.1, 0.6  # of the frames of a film, so many are nearer to the next than so many random pairs
_CUT = 0.3  # frames that are farther apart than so many random pairs show another scene
_COARSE_SIDE = 16  # pixels of the thumbnails that are compared
FloatArray = NDArray[np.float32]


def coarsen_thumbnails(thumbnails: NDArray[np.uint8]) -> FloatArray:
    """Return ``thumbnails``, uint8 (N, 64, 64), at 16 x 16 pixels as rows, float32 (N, 256)."""
    step = thumbnails.shape[1] // _COARSE_SIDE
    coarse = thumbnails.astype(np.float32).reshape(len(thumbnails), _COARSE_SIDE, step, _COARSE_SIDE, step)
    return np.asarray(coarse.mean(axis=(2, 4)).reshape(len(thumbnails), -1), np.float32)


def measure_succession(features: FloatArray) -> float:
    """Return the distance of successive ``features`` (R, ...), R > 2, as a share of that of others; 1 for chance."""
    successive = np.abs(features[1:] - features[:-1]).mean()
    others = [np.abs(features - np.roll(features, len(features) // part, axis=0)).mean() for part in (2, 3)]
    return float(successive / max(float(np.mean(others)), 1e-6))


def are_in_time(features: FloatArray) -> bool:
    """Whether successive ``features`` (R, F) are more alike than others, and more than in any order drawn by chance."""
    if len(features) < _MIN_SERIES or measure_succession(features) > MAX_SUCCESSIVE_DISTANCE:
        return False
    sample = features[:_MAX_SAMPLE]
    distances = np.stack([np.abs(sample - one).mean(axis=1) for one in sample])
    rng = np.random.default_rng(0)
    orders = (rng.permutation(len(sample)) for _order in range(_RANDOM_ORDERS))
    lowest = min(float(distances[order[1:], order[:-1]].mean()) for order in orders)
    return float(np.diagonal(distances, 1).mean()) < lowest


def find_scenes(features: FloatArray) -> NDArray[np.bool_]:
    """Return which of ``features`` (R, F) goes on in the next one, bool (R - 1,), as in a film of a moving camera.

    Its frames need not look alike when they are laid on each other, but nearly all are nearer to the next one than
    images of two moments are. Where they are not, as in photos that are sorted by what they show, nothing goes on.
    """
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, len(features), (2, _RANDOM_PAIRS))
    random = np.abs(features[one[one != other]] - features[other[one != other]]).mean(axis=1)
    near, cut = np.quantile(random, [_NEAR, _CUT])
    distances = np.abs(features[1:] - features[:-1]).mean(axis=1)
    is_film = (distances <= near).mean() >= _MIN_NEAR_SHARE
    return np.asarray((distances <= cut) & is_film)
