"""Tracks objects from frame to frame and gives each an id: ByteTrack in numpy and scipy.

Zhang et al. 2022, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box". Every frame, detections above
the score threshold are first matched to the positions where the tracks are predicted to be; the tracks that are left
are then matched to the detections with low scores; new tracks start from high scores only. Positions are predicted by
a Kalman filter with constant velocity. Implemented here since the published trackers need torch or a second OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lince import geometry
from lince.annotations import Detections

Array = NDArray[np.float64]
IndexArray = NDArray[np.int64]
NO_TRACK = -1
LOW_SCORE = 0.1  # detections below this score are ignored
# The least IoU of a match: with a high score, with a low score, and with a track that was seen once.
_FIRST_MIN_IOU, _SECOND_MIN_IOU, _NEW_TRACK_MIN_IOU = 0.2, 0.5, 0.3
_MAX_UNSEEN_FRAMES = 30.0  # frames after which an unmatched track is removed
# Process noise per frame, as fractions of the box height (Wojke et al. 2017, "Deep SORT").
_POSITION_STD, _VELOCITY_STD = 1 / 20, 1 / 160


@dataclass(frozen=True, eq=False)
class TrackedDetections:
    """The detections on one frame with their track ids.

    ``track_ids`` is (K,), counted from 1 in the order in which tracks are confirmed; ``NO_TRACK`` until an object has
    been seen on two frames.
    """

    detections: Detections
    track_ids: NDArray[np.int64]


class ByteTracker:
    """Tracks the objects of one video; use a new tracker for each.

    ``score_threshold`` returns for class ids (K,) the scores (K,) from which a detection counts as high and is shown.
    Tracks keep their class: a detection is only matched to a track of the same class.
    """

    def __init__(self, score_threshold: Callable[[NDArray[np.int32]], NDArray[np.float32]]) -> None:
        self._score_threshold = score_threshold
        self._track_ids, self._class_ids = np.empty(0, np.int64), np.empty(0, np.int32)
        self._unseen_frames = np.empty(0)
        # The state of T tracks: centre x, centre y, aspect ratio and height, each with its velocity. No matrix of the
        # filter couples the four, so their means are (T, 4, 2) and their covariances (T, 4, 2, 2).
        self._means, self._covariances = np.empty((0, 4, 2)), np.empty((0, 4, 2, 2))
        self._last_track_id = 0

    def update(self, detections: Detections, steps: float = 1.0) -> TrackedDetections:
        """Process the detections of the next frame, ``steps`` frames after the last one (fractions are allowed).

        Returns the detections to show: those with a high score, and those with a low score that continue a track.
        """
        self._predict_motion(steps)
        is_high = detections.scores >= self._score_threshold(detections.class_ids)
        low, high = np.flatnonzero(~is_high & (detections.scores >= LOW_SCORE)), np.flatnonzero(is_high)
        confirmed = np.flatnonzero(self._track_ids != NO_TRACK)
        track_rows = np.full(len(detections), NO_TRACK, np.int64)
        high, confirmed = self._match_detections(detections, track_rows, high, confirmed, _FIRST_MIN_IOU)
        # A low score continues only a track that was seen on the frame before; it does not bring back a lost one.
        recent = confirmed[self._unseen_frames[confirmed] <= steps]
        low, _recent = self._match_detections(detections, track_rows, low, recent, _SECOND_MIN_IOU)
        unconfirmed = np.flatnonzero(self._track_ids == NO_TRACK)
        high, unconfirmed = self._match_detections(detections, track_rows, high, unconfirmed, _NEW_TRACK_MIN_IOU)
        self._assign_track_ids(track_rows)
        ids = np.where(track_rows >= 0, self._track_ids[track_rows] if len(self._track_ids) else NO_TRACK, NO_TRACK)
        self._remove_lost_tracks(unconfirmed)
        self._start_tracks(detections, high)
        keep = is_high | (track_rows >= 0)
        return TrackedDetections(detections.select(keep), ids[keep])

    def _match_detections(
        self, detections: Detections, track_rows: IndexArray, rows: IndexArray, tracks: IndexArray, min_iou: float
    ) -> tuple[IndexArray, IndexArray]:
        """Match the detections ``rows`` to ``tracks`` by the assignment with the highest total IoU.

        Matches are written into ``track_rows`` (K,) and correct their tracks. Returns the unmatched rows and tracks.
        """
        if not (len(rows) and len(tracks)):
            return rows, tracks
        iou = geometry.compute_iou(detections.boxes[rows], _measurements_to_boxes(self._means[tracks, :, 0]))
        iou[(detections.class_ids[rows, None] != self._class_ids[tracks]) | (iou < min_iou)] = 0.0
        row_at, track_at = linear_sum_assignment(-iou)
        is_match = iou[row_at, track_at] > 0
        row_at, track_at = row_at[is_match], track_at[is_match]
        track_rows[rows[row_at]] = tracks[track_at]
        self._correct_tracks(tracks[track_at], _boxes_to_measurements(detections.boxes[rows[row_at]]))
        return np.delete(rows, row_at), np.delete(tracks, track_at)

    def _predict_motion(self, steps: float) -> None:
        """Kalman prediction: move all tracks on by ``steps`` frames and widen their covariances."""
        transition = np.array([[1.0, steps], [0.0, 1.0]])
        noise = _motion_std(self._means[:, 3, 0]) ** 2 * steps
        self._means = self._means @ transition.T
        self._covariances = transition @ self._covariances @ transition.T + noise[..., None] * np.eye(2)
        self._unseen_frames = self._unseen_frames + steps

    def _correct_tracks(self, tracks: IndexArray, measurements: Array) -> None:
        """Kalman update of ``tracks`` (M,) with ``measurements`` (M, 4)."""
        mean, covariance = self._means[tracks], self._covariances[tracks]
        noise = _motion_std(mean[:, 3, 0])[:, :, 0] ** 2
        noise[:, 2] = 0.1**2
        gain = covariance[..., 0] / (covariance[..., 0, 0] + noise)[..., None]
        self._means[tracks] = mean + gain * (measurements - mean[..., 0])[..., None]
        self._covariances[tracks] = covariance - gain[..., None] * covariance[..., None, 0, :]
        self._unseen_frames[tracks] = 0.0

    def _assign_track_ids(self, track_rows: IndexArray) -> None:
        """Give ids to the tracks that are seen for the second time, in the order of the detections."""
        for track in track_rows[track_rows >= 0].tolist():
            if self._track_ids[track] == NO_TRACK:
                self._last_track_id += 1
                self._track_ids[track] = self._last_track_id

    def _remove_lost_tracks(self, unconfirmed: IndexArray) -> None:
        """Remove the tracks that were seen once and not again, and those unseen for ``_MAX_UNSEEN_FRAMES``."""
        keep = self._unseen_frames <= _MAX_UNSEEN_FRAMES
        keep[unconfirmed] = False
        self._track_ids, self._class_ids, self._unseen_frames = (
            self._track_ids[keep],
            self._class_ids[keep],
            self._unseen_frames[keep],
        )
        self._means, self._covariances = self._means[keep], self._covariances[keep]

    def _start_tracks(self, detections: Detections, rows: IndexArray) -> None:
        """Append an unconfirmed track at rest for each of the detections ``rows``."""
        measurements = _boxes_to_measurements(detections.boxes[rows])
        mean = np.stack([measurements, np.zeros_like(measurements)], axis=2)
        variance = (_motion_std(measurements[:, 3]) * [2.0, 10.0]) ** 2
        self._means = np.concatenate([self._means, mean])
        self._covariances = np.concatenate([self._covariances, variance[..., None] * np.eye(2)])
        self._track_ids = np.concatenate([self._track_ids, np.full(len(rows), NO_TRACK)])
        self._class_ids = np.concatenate([self._class_ids, detections.class_ids[rows]])
        self._unseen_frames = np.concatenate([self._unseen_frames, np.zeros(len(rows))])


def _motion_std(heights: Array) -> Array:
    """Return the standard deviations per frame (T, 4, 2) of the four values and their velocities.

    Proportional to the box ``heights`` (T,) in pixels, constant for the aspect ratio.
    """
    std: Array = np.abs(heights)[:, None, None] * np.array([_POSITION_STD, _VELOCITY_STD]) * np.ones((1, 4, 1))
    std[:, 2] = (1e-2, 1e-5)
    return std


def _boxes_to_measurements(boxes: Array) -> Array:
    """Return centre x, centre y, aspect ratio (width / height) and height, (K, 4), of ``boxes`` (K, 4)."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, sides[:, 0] / sides[:, 1], sides[:, 1]])


def _measurements_to_boxes(measurements: Array) -> Array:
    """Return the boxes (T, 4) of ``measurements`` (T, 4), the inverse of ``_boxes_to_measurements``."""
    aspects, heights = measurements[:, 2], measurements[:, 3]
    half_sizes = np.maximum(np.column_stack([aspects * heights, heights]), 0.0) / 2
    return np.concatenate([measurements[:, :2] - half_sizes, measurements[:, :2] + half_sizes], axis=1)
