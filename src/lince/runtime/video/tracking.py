"""Follows objects from frame to frame and gives each a number: ByteTrack, without torch.

Zhang et al. 2022, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box". What is surely seen is matched
to where each track is expected; what is left over of the tracks is matched to what is hardly seen; only what is surely
seen begins a track. Where a track is expected says a Kalman filter of constant speed. The published trackers bring
torch, or a second OpenCV, with them; hence this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lince.annotations import Detections

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
NO_TRACK = -1
LOW = 0.1  # the least sure detections that may carry a track on
_FIRST, _SECOND, _NEW = 0.2, 0.5, 0.3  # the least overlap that joins: sure, hardly seen, seen once before
_MEMORY = 30.0  # frames for which a track that is not seen is kept
_PLACE, _SPEED = 1 / 20, 1 / 160  # how far a box strays in a frame, in heights (Wojke et al. 2017)


@dataclass(frozen=True, eq=False)
class Followed:
    """What is on a frame, and the number ``tracks`` int64 (K,) of each object; NO_TRACK before it is seen twice."""

    detections: Detections
    tracks: NDArray[np.int64]


class Tracker:
    """Follows the objects of one video; ``sure`` gives for class ids (K,) the scores from which objects are shown."""

    def __init__(self, sure: Callable[[NDArray[np.int32]], NDArray[np.float32]]) -> None:
        self._sure = sure
        self._ids, self._classes = np.empty(0, np.int64), np.empty(0, np.int32)
        self._unseen = np.empty(0)
        # Centre, width over height, and height: each a place and a speed with their own variances, since none of the
        # filter's matrices joins them.
        self._mean, self._spread = np.empty((0, 4, 2)), np.empty((0, 4, 2, 2))
        self._given = 0

    def update(self, found: Detections, steps: float = 1.0) -> Followed:
        """Return what is shown of ``found`` with its tracks, ``steps`` frames after the last update.

        Shown are those of which the model is sure, and those hardly seen that carry a track on.
        """
        self._expect(steps)
        sure = found.scores >= self._sure(found.class_ids)
        low, high = np.flatnonzero(~sure & (found.scores >= LOW)), np.flatnonzero(sure)
        known = np.flatnonzero(self._ids != NO_TRACK)
        track_of = np.full(len(found), NO_TRACK, np.int64)
        high, known = self._join(found, track_of, high, known, _FIRST)
        fresh = known[self._unseen[known] <= steps]  # what was lost before is not found again in a faint trace
        low, _missed = self._join(found, track_of, low, fresh, _SECOND)
        new = np.flatnonzero(self._ids == NO_TRACK)
        high, new = self._join(found, track_of, high, new, _NEW)
        self._number(track_of)
        ids = np.where(track_of >= 0, self._ids[track_of] if len(self._ids) else NO_TRACK, NO_TRACK)
        self._forget(new)
        self._begin(found, high)
        shown = sure | (track_of >= 0)
        return Followed(Detections(found.boxes[shown], found.class_ids[shown], found.scores[shown]), ids[shown])

    def _join(self, found: Detections, track_of: Rows, rows: Rows, tracks: Rows, least: float) -> tuple[Rows, Rows]:
        """Match detections ``rows`` to ``tracks`` and return those of both that are left over."""
        if not (len(rows) and len(tracks)):
            return rows, tracks
        gain = _overlaps(found.boxes[rows], _boxes(self._mean[tracks, :, 0]))
        gain[(found.class_ids[rows, None] != self._classes[tracks]) | (gain < least)] = 0.0
        one, other = linear_sum_assignment(-gain)
        joined = gain[one, other] > 0
        one, other = one[joined], other[joined]
        track_of[rows[one]] = tracks[other]
        self._correct(tracks[other], _measured(found.boxes[rows[one]]))
        return np.delete(rows, one), np.delete(tracks, other)

    def _expect(self, steps: float) -> None:
        move = np.array([[1.0, steps], [0.0, 1.0]])
        stray = _strays(self._mean[:, 3, 0]) ** 2 * steps
        self._mean = self._mean @ move.T
        self._spread = move @ self._spread @ move.T + stray[..., None] * np.eye(2)
        self._unseen = self._unseen + steps

    def _correct(self, tracks: Rows, seen: Array) -> None:
        mean, spread = self._mean[tracks], self._spread[tracks]
        noise = _strays(mean[:, 3, 0])[:, :, 0] ** 2
        noise[:, 2] = 0.1**2
        gain = spread[..., 0] / (spread[..., 0, 0] + noise)[..., None]
        self._mean[tracks] = mean + gain * (seen - mean[..., 0])[..., None]
        self._spread[tracks] = spread - gain[..., None] * spread[..., None, 0, :]
        self._unseen[tracks] = 0.0

    def _number(self, track_of: Rows) -> None:
        """Give a number to the tracks that are seen for the second time, in the order of the detections."""
        for track in track_of[track_of >= 0].tolist():
            if self._ids[track] == NO_TRACK:
                self._given += 1
                self._ids[track] = self._given

    def _forget(self, once: Rows) -> None:
        """Leave out the tracks that were seen once and not again, and those that are not seen for long."""
        keep = self._unseen <= _MEMORY
        keep[once] = False
        self._ids, self._classes, self._unseen = self._ids[keep], self._classes[keep], self._unseen[keep]
        self._mean, self._spread = self._mean[keep], self._spread[keep]

    def _begin(self, found: Detections, rows: Rows) -> None:
        seen = _measured(found.boxes[rows])
        mean = np.stack([seen, np.zeros_like(seen)], axis=2)
        spread = (_strays(seen[:, 3]) * [2.0, 10.0]) ** 2
        self._mean = np.concatenate([self._mean, mean])
        self._spread = np.concatenate([self._spread, spread[..., None] * np.eye(2)])
        self._ids = np.concatenate([self._ids, np.full(len(rows), NO_TRACK)])
        self._classes = np.concatenate([self._classes, found.class_ids[rows]])
        self._unseen = np.concatenate([self._unseen, np.zeros(len(rows))])


def _strays(heights: Array) -> Array:
    """Return how far the four places and their speeds stray in a frame, (T, 4, 2), for boxes of ``heights`` (T,)."""
    strays: Array = np.abs(heights)[:, None, None] * np.array([_PLACE, _SPEED]) * np.ones((1, 4, 1))
    strays[:, 2] = (1e-2, 1e-5)
    return strays


def _measured(boxes: Array) -> Array:
    """Return centre, width over height, and height, (K, 4), of ``boxes`` (K, 4)."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, sides[:, 0] / sides[:, 1], sides[:, 1]])


def _boxes(places: Array) -> Array:
    half = np.maximum(np.column_stack([places[:, 2] * places[:, 3], places[:, 3]]), 0.0) / 2
    return np.concatenate([places[:, :2] - half, places[:, :2] + half], axis=1)


def _overlaps(boxes: Array, others: Array) -> Array:
    """Return the intersection over union of every pair, (K, T)."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(one[:, 2:] - one[:, :2], axis=1) for one in (boxes, others)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-12), np.float64)
