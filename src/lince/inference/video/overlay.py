"""What is drawn over a frame: boxes with the numbers of their tracks, lines and zones with their counts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.i18n import localise_number
from lince.inference import drawing
from lince.inference.video.byte_track import NO_TRACK, TrackedDetections
from lince.inference.video.frames import Image

Array = NDArray[np.float64]
_REGION_COLOUR = (255, 214, 10)
_BORDER_COLOUR = (20, 20, 20)


@dataclass(frozen=True, eq=False)
class FrameOverlay:
    """The ``lines`` and ``zones``, their points (N, 2) in pixels and the text beside them, and the class names."""

    classes: Classes
    lines: tuple[tuple[Array, str], ...] = ()
    zones: tuple[tuple[Array, str], ...] = ()

    def draw(self, image: Image, tracked: TrackedDetections) -> Image:
        """Return ``image`` (H, W, 3) with everything on it."""
        picture = drawing.draw_detections(image, tracked.detections, self.classes, self._format_labels(tracked))
        for closed, places in ((True, self.zones), (False, self.lines)):
            for points, text in places:
                _draw_region(picture, points, closed)
                _draw_region_text(picture, text, points)
        return picture

    def _format_labels(self, followed: TrackedDetections) -> list[str] | None:
        if not (followed.track_ids != NO_TRACK).any():
            return None
        found = followed.detections
        rows = zip(found.class_ids.tolist(), found.scores.tolist(), followed.track_ids.tolist(), strict=True)
        texts = []
        for number, score, track in rows:
            sure = localise_number(f"{score:.0%}").replace("\u202f", " ")
            texts.append(f"{self.classes.names[number]} {sure}" + (f" #{track}" if track != NO_TRACK else ""))
        return texts


def _draw_region(picture: Image, points: Array, closed: bool) -> None:
    corners = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
    line = max(2, min(picture.shape[:2]) // 240)
    cv2.polylines(picture, corners, closed, _BORDER_COLOUR, line + 2, cv2.LINE_AA)
    cv2.polylines(picture, corners, closed, _REGION_COLOUR, line, cv2.LINE_AA)


def _draw_region_text(picture: Image, text: str, points: Array) -> None:
    """Write ``text`` in the middle of ``points``, inside the picture."""
    wide, height = drawing.measure_text_width(text), 22
    x, y = points.mean(axis=0)
    left = int(np.clip(x - wide / 2, 2, max(picture.shape[1] - wide - 6, 2)))
    top = int(np.clip(y - height / 2, 0, max(picture.shape[0] - height, 0)))
    cv2.rectangle(picture, (left - 4, top), (left + wide + 4, top + height), _BORDER_COLOUR, cv2.FILLED)
    drawing.draw_text(picture, text, left, top + height - 6, _REGION_COLOUR)
