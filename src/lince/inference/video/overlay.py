"""Draws the results on a video frame: boxes with track ids, lines and zones with their counts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.i18n import localise_number
from lince.inference import drawing, mask_drawing
from lince.inference.video.byte_track import NO_TRACK, TrackedDetections
from lince.inference.video.frames import Image

Array = NDArray[np.float64]
_REGION_COLOUR = (255, 214, 10)
_BORDER_COLOUR = (20, 20, 20)


@dataclass(frozen=True, eq=False)
class FrameOverlay:
    """What is drawn on one frame besides its detections.

    ``lines`` and ``zones`` are pairs of points (N, 2), in pixels, and the text at their middle, such as a count.
    """

    classes: Classes
    lines: tuple[tuple[Array, str], ...] = ()
    zones: tuple[tuple[Array, str], ...] = ()

    def draw(self, image: Image, tracked: TrackedDetections) -> Image:
        """Return a copy of ``image`` (H, W, 3) with what ``tracked`` has, the zones and, on top, the lines."""
        with_masks = mask_drawing.draw_object_masks(image, tracked.detections, image.shape[:2])
        canvas = drawing.draw_detections(with_masks, tracked.detections, self.classes, self._format_labels(tracked))
        for is_closed, regions in ((True, self.zones), (False, self.lines)):
            for points, text in regions:
                _draw_region(canvas, points, is_closed)
                _draw_region_text(canvas, text, points)
        return canvas

    def _format_labels(self, tracked: TrackedDetections) -> list[str] | None:
        """Return "class score #id" for each detection; ``None`` (the default labels) where none has a track."""
        if not (tracked.track_ids != NO_TRACK).any():
            return None
        detections = tracked.detections
        rows = zip(detections.class_ids.tolist(), detections.scores.tolist(), tracked.track_ids.tolist(), strict=True)
        labels = []
        for class_id, score, track_id in rows:
            percent = localise_number(f"{score:.0%}").replace("\u202f", " ")  # the font has no narrow space
            suffix = f" #{track_id}" if track_id != NO_TRACK else ""
            labels.append(f"{self.classes.names[class_id]} {percent}{suffix}")
        return labels


def _draw_region(canvas: Image, points: Array, is_closed: bool) -> None:
    corners = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
    line_width = max(2, min(canvas.shape[:2]) // 240)
    cv2.polylines(canvas, corners, is_closed, _BORDER_COLOUR, line_width + 2, cv2.LINE_AA)
    cv2.polylines(canvas, corners, is_closed, _REGION_COLOUR, line_width, cv2.LINE_AA)


def _draw_region_text(canvas: Image, text: str, points: Array) -> None:
    """Write ``text`` at the mean of ``points``, moved where needed to stay inside the image."""
    width, height = drawing.measure_text_width(text), 22
    x, y = points.mean(axis=0)
    left = int(np.clip(x - width / 2, 2, max(canvas.shape[1] - width - 6, 2)))
    top = int(np.clip(y - height / 2, 0, max(canvas.shape[0] - height, 0)))
    cv2.rectangle(canvas, (left - 4, top), (left + width + 4, top + height), _BORDER_COLOUR, cv2.FILLED)
    drawing.draw_text(canvas, text, left, top + height - 6, _REGION_COLOUR)
