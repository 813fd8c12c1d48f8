"""What is drawn over a frame: boxes with the numbers of their tracks, lines and zones with their counts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.messages import localised
from lince.runtime import draw
from lince.runtime.video.frames import Image
from lince.runtime.video.tracking import NO_TRACK, Followed

Array = NDArray[np.float64]
_INK = (255, 214, 10)
_BACK = (20, 20, 20)


@dataclass(frozen=True, eq=False)
class Overlay:
    """The ``lines`` and ``zones``, their points (N, 2) in pixels and the text beside them, and the class names."""

    classes: Classes
    lines: tuple[tuple[Array, str], ...] = ()
    zones: tuple[tuple[Array, str], ...] = ()

    def draw(self, image: Image, followed: Followed) -> Image:
        """Return ``image`` (H, W, 3) with everything on it."""
        picture = draw.annotated(image, followed.detections, self.classes, self._texts(followed))
        for closed, places in ((True, self.zones), (False, self.lines)):
            for points, text in places:
                _outline(picture, points, closed)
                _write(picture, text, points)
        return picture

    def _texts(self, followed: Followed) -> list[str] | None:
        if not (followed.tracks != NO_TRACK).any():
            return None
        found = followed.detections
        rows = zip(found.class_ids.tolist(), found.scores.tolist(), followed.tracks.tolist(), strict=True)
        texts = []
        for number, score, track in rows:
            sure = localised(f"{score:.0%}").replace("\u202f", " ")
            texts.append(f"{self.classes.names[number]} {sure}" + (f" #{track}" if track != NO_TRACK else ""))
        return texts


def _outline(picture: Image, points: Array, closed: bool) -> None:
    corners = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
    line = max(2, min(picture.shape[:2]) // 240)
    cv2.polylines(picture, corners, closed, _BACK, line + 2, cv2.LINE_AA)
    cv2.polylines(picture, corners, closed, _INK, line, cv2.LINE_AA)


def _write(picture: Image, text: str, points: Array) -> None:
    """Write ``text`` in the middle of ``points``, inside the picture."""
    wide, height = draw.text_width(text), 22
    x, y = points.mean(axis=0)
    left = int(np.clip(x - wide / 2, 2, max(picture.shape[1] - wide - 6, 2)))
    top = int(np.clip(y - height / 2, 0, max(picture.shape[0] - height, 0)))
    cv2.rectangle(picture, (left - 4, top), (left + wide + 4, top + height), _BACK, cv2.FILLED)
    draw.write(picture, text, left, top + height - 6, _INK)
