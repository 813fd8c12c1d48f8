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
IndexArray = NDArray[np.int64]
NO_TRACK = -1
LOW_SCORE = 0.1  # the least sure detections that may carry a track on
_FIRST_MIN_IOU, _SECOND_MIN_IOU, _NEW_TRACK_MIN_IOU = (
    0.2,
    0.5,
    0.3,
)  # the least overlap that joins: sure, hardly seen, seen once before
_MAX_UNSEEN_FRAMES = 30.0  # frames for which a track that is not seen is kept
_POSITION_STD, _VELOCITY_STD = 1 / 20, 1 / 160  # how far a box strays in a frame, in heights (Wojke et al. 2017)


@dataclass(frozen=True, eq=False)
class TrackedDetections:
    """What is on a frame, and the number ``tracks`` int64 (K,) of each object; NO_TRACK before it is seen twice."""

    detections: Detections
    track_ids: NDArray[np.int64]


class ByteTracker:
    """Follows the objects of one video; ``sure`` gives for class ids (K,) the scores from which objects are shown."""

    def __init__(self, score_threshold: Callable[[NDArray[np.int32]], NDArray[np.float32]]) -> None:
        self._score_threshold = score_threshold
        self._track_ids, self._class_ids = np.empty(0, np.int64), np.empty(0, np.int32)
        self._unseen_frames = np.empty(0)
        # Centre, width over height, and height: each a place and a speed with their own variances, since none of the
        # filter's matrices joins them.
        self._means, self._covariances = np.empty((0, 4, 2)), np.empty((0, 4, 2, 2))
        self._last_track_id = 0

    def update(self, detections: Detections, steps: float = 1.0) -> TrackedDetections:
        """Return what is shown of ``found`` with its tracks, ``steps`` frames after the last update.

        Shown are those of which the model is sure, and those hardly seen that carry a track on.
        """
        self._predict_motion(steps)
        sure = detections.scores >= self._score_threshold(detections.class_ids)
        low, high = np.flatnonzero(~sure & (detections.scores >= LOW_SCORE)), np.flatnonzero(sure)
        known = np.flatnonzero(self._track_ids != NO_TRACK)
        track_of = np.full(len(detections), NO_TRACK, np.int64)
        high, known = self._match_detections(detections, track_of, high, known, _FIRST_MIN_IOU)
        fresh = known[self._unseen_frames[known] <= steps]  # what was lost before is not found again in a faint trace
        low, _missed = self._match_detections(detections, track_of, low, fresh, _SECOND_MIN_IOU)
        new = np.flatnonzero(self._track_ids == NO_TRACK)
        high, new = self._match_detections(detections, track_of, high, new, _NEW_TRACK_MIN_IOU)
        self._assign_track_ids(track_of)
        ids = np.where(track_of >= 0, self._track_ids[track_of] if len(self._track_ids) else NO_TRACK, NO_TRACK)
        self._remove_lost_tracks(new)
        self._start_tracks(detections, high)
        shown = sure | (track_of >= 0)
        return TrackedDetections(
            Detections(detections.boxes[shown], detections.class_ids[shown], detections.scores[shown]), ids[shown]
        )

    def _match_detections(
        self, found: Detections, track_of: IndexArray, rows: IndexArray, tracks: IndexArray, least: float
    ) -> tuple[IndexArray, IndexArray]:
        """Match detections ``rows`` to ``tracks`` and return those of both that are left over."""
        if not (len(rows) and len(tracks)):
            return rows, tracks
        gain = _pairwise_iou(found.boxes[rows], _measurements_to_boxes(self._means[tracks, :, 0]))
        gain[(found.class_ids[rows, None] != self._class_ids[tracks]) | (gain < least)] = 0.0
        one, other = linear_sum_assignment(-gain)
        joined = gain[one, other] > 0
        one, other = one[joined], other[joined]
        track_of[rows[one]] = tracks[other]
        self._correct_tracks(tracks[other], _boxes_to_measurements(found.boxes[rows[one]]))
        return np.delete(rows, one), np.delete(tracks, other)

    def _predict_motion(self, steps: float) -> None:
        move = np.array([[1.0, steps], [0.0, 1.0]])
        stray = _motion_std(self._means[:, 3, 0]) ** 2 * steps
        self._means = self._means @ move.T
        self._covariances = move @ self._covariances @ move.T + stray[..., None] * np.eye(2)
        self._unseen_frames = self._unseen_frames + steps

    def _correct_tracks(self, tracks: IndexArray, seen: Array) -> None:
        mean, spread = self._means[tracks], self._covariances[tracks]
        noise = _motion_std(mean[:, 3, 0])[:, :, 0] ** 2
        noise[:, 2] = 0.1**2
        gain = spread[..., 0] / (spread[..., 0, 0] + noise)[..., None]
        self._means[tracks] = mean + gain * (seen - mean[..., 0])[..., None]
        self._covariances[tracks] = spread - gain[..., None] * spread[..., None, 0, :]
        self._unseen_frames[tracks] = 0.0

    def _assign_track_ids(self, track_of: IndexArray) -> None:
        """Give a number to the tracks that are seen for the second time, in the order of the detections."""
        for track in track_of[track_of >= 0].tolist():
            if self._track_ids[track] == NO_TRACK:
                self._last_track_id += 1
                self._track_ids[track] = self._last_track_id

    def _remove_lost_tracks(self, once: IndexArray) -> None:
        """Leave out the tracks that were seen once and not again, and those that are not seen for long."""
        keep = self._unseen_frames <= _MAX_UNSEEN_FRAMES
        keep[once] = False
        self._track_ids, self._class_ids, self._unseen_frames = (
            self._track_ids[keep],
            self._class_ids[keep],
            self._unseen_frames[keep],
        )
        self._means, self._covariances = self._means[keep], self._covariances[keep]

    def _start_tracks(self, found: Detections, rows: IndexArray) -> None:
        seen = _boxes_to_measurements(found.boxes[rows])
        mean = np.stack([seen, np.zeros_like(seen)], axis=2)
        spread = (_motion_std(seen[:, 3]) * [2.0, 10.0]) ** 2
        self._means = np.concatenate([self._means, mean])
        self._covariances = np.concatenate([self._covariances, spread[..., None] * np.eye(2)])
        self._track_ids = np.concatenate([self._track_ids, np.full(len(rows), NO_TRACK)])
        self._class_ids = np.concatenate([self._class_ids, found.class_ids[rows]])
        self._unseen_frames = np.concatenate([self._unseen_frames, np.zeros(len(rows))])


def _motion_std(heights: Array) -> Array:
    """Return how far the four places and their speeds stray in a frame, (T, 4, 2), for boxes of ``heights`` (T,)."""
    strays: Array = np.abs(heights)[:, None, None] * np.array([_POSITION_STD, _VELOCITY_STD]) * np.ones((1, 4, 1))
    strays[:, 2] = (1e-2, 1e-5)
    return strays


def _boxes_to_measurements(boxes: Array) -> Array:
    """Return centre, width over height, and height, (K, 4), of ``boxes`` (K, 4)."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, sides[:, 0] / sides[:, 1], sides[:, 1]])


def _measurements_to_boxes(places: Array) -> Array:
    half = np.maximum(np.column_stack([places[:, 2] * places[:, 3], places[:, 3]]), 0.0) / 2
    return np.concatenate([places[:, :2] - half, places[:, :2] + half], axis=1)


def _pairwise_iou(boxes: Array, others: Array) -> Array:
    """Return the intersection over union of every pair, (K, T)."""
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(one[:, 2:] - one[:, :2], axis=1) for one in (boxes, others)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-12), np.float64)
