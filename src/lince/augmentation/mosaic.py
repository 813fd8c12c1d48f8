"""Several labelled photos in one: the mosaic of four and the mixup of two, as detectors learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import geometry, preprocess
from lince.augmentation.apply import MIN_BOX_SIDE, MIN_VISIBILITY
from lince.augmentation.warp import warp_image
from lince.preprocess import LETTERBOX_GREY, PreprocessSpec

MOSAIC_IMAGES = 4
_CENTRE_RANGE = (0.25, 0.75)  # where the four parts meet, as a share of each side
_ZOOM_RANGE = (
    0.5,
    1.5,
)  # 1 is the size at which the network sees a photo alone: objects keep the sizes that they have there

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImage:
    """A photo ``image`` (H, W, 3) uint8 RGB, with ``boxes`` (K, 4) in its pixels and their ``class_ids`` (K,)."""

    image: Image
    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int32]

    def __post_init__(self) -> None:
        count = len(self.class_ids)
        if self.boxes.shape != (count, 4) or self.class_ids.shape != (count,):
            raise ValueError(f"{self.boxes.shape} boxes have the classes {self.class_ids.shape}")


def mosaic(
    photos: Sequence[LabelledImage], rng: np.random.Generator, spec: PreprocessSpec, mirror: bool = True
) -> LabelledImage:
    """Return four ``photos`` of any sizes side by side at the input size of ``spec`` (Bochkovskiy et al. 2020).

    They meet at a point between a quarter and three quarters of each side. Each is drawn half to one and a half times
    as large as the network would see it alone, mirrored half of the time if ``mirror``, by one warp straight from its
    own pixels. One larger than its part shows a piece of it, anywhere; a smaller one touches the point, and what it
    leaves free is grey. Of the boxes those stay that show at least a quarter of their area (``LEAST_VISIBLE``) and
    measure two pixels each way (``LEAST_SIDE``). All chance comes from ``rng``, which is asked for eighteen numbers
    whatever the photos are.
    """
    if len(photos) != MOSAIC_IMAGES:
        raise ValueError(f"a mosaic is made of {MOSAIC_IMAGES} photos, not {len(photos)}")
    x, y = np.rint(rng.uniform(*_CENTRE_RANGE, 2) * (spec.width, spec.height)).astype(int).tolist()
    canvas = np.full((spec.height, spec.width, 3), LETTERBOX_GREY, np.uint8)
    boxes, class_ids = [], []
    for number, (photo, chance) in enumerate(zip(photos, rng.random((MOSAIC_IMAGES, 4)), strict=True)):
        part = _MosaicTile.from_index(number, x, y, spec)
        matrix = _placement_matrix(photo.image, _Placement.from_random(chance, mirror), part, spec)
        part.draw_image(photo.image, matrix, canvas)
        seen, kept = _transform_boxes(photo.boxes, matrix, part)
        boxes.append(seen + [part.left, part.top] * 2)
        class_ids.append(photo.class_ids[kept])
    return LabelledImage(canvas, np.concatenate(boxes), np.concatenate(class_ids))


def mixup_images(
    photo: LabelledImage, other: LabelledImage, rng: np.random.Generator, spec: PreprocessSpec, mirror: bool = True
) -> LabelledImage:
    """Return the mixup of two (Zhang et al. 2018) as YOLOX uses it: half of each, and the boxes of both.

    ``photo`` has the input size of ``spec``; ``other`` of any size is drawn half to one and a half times as large as
    the network would see it alone, mirrored half of the time if ``mirror``, and placed at random; where it shows
    nothing, grey is mixed in. Its boxes stay by the rule of ``mosaic``; those of ``photo`` stay all.
    """
    if photo.image.shape[:2] != (spec.height, spec.width):
        raise ValueError(f"expected a photo of {spec.height} x {spec.width}, not {photo.image.shape[:2]}")
    whole = _MosaicTile(0, 0, spec.width, spec.height)
    matrix = _placement_matrix(other.image, _Placement.from_random(rng.random(4), mirror), whole, spec)
    drawn = warp_image(other.image, matrix, (spec.height, spec.width), "constant", LETTERBOX_GREY)
    seen, kept = _transform_boxes(other.boxes, matrix, whole)
    mixed = np.asarray(cv2.addWeighted(photo.image, 0.5, drawn, 0.5, 0), np.uint8)
    return LabelledImage(
        mixed, np.concatenate([photo.boxes, seen]), np.concatenate([photo.class_ids, other.class_ids[kept]])
    )


@dataclass(frozen=True)
class _MosaicTile:
    """One rectangle of the mosaic, in pixels; ``right`` and ``bottom`` are just outside."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def from_index(cls, number: int, x: int, y: int, spec: PreprocessSpec) -> _MosaicTile:
        """Return the part ``number``, row by row, of a mosaic whose parts meet at (``x``, ``y``)."""
        left, right = ((0, x), (x, spec.width))[number % 2]
        top, bottom = ((0, y), (y, spec.height))[number // 2]
        return cls(left, top, right, bottom)

    @property
    def size(self) -> tuple[int, int]:
        """The part's (height, width)."""
        return self.bottom - self.top, self.right - self.left

    def draw_image(self, image: Image, matrix: NDArray[np.float64], canvas: Image) -> None:
        """Draw ``image`` on its rectangle of ``canvas``."""
        if min(self.size) > 0:
            moved = warp_image(image, matrix, self.size, "constant", LETTERBOX_GREY)
            canvas[self.top : self.bottom, self.left : self.right] = moved


@dataclass(frozen=True)
class _Placement:
    """How one photo is drawn: its ``zoom``, whether ``turned`` left to right, where ``across`` and ``down`` (0..1)."""

    zoom: float
    mirrored: bool
    x_fraction: float
    y_fraction: float

    @classmethod
    def from_random(cls, numbers: NDArray[np.float64], mirror: bool) -> _Placement:
        """Return what four ``numbers`` in [0, 1) stand for."""
        zoom, turned, across, down = numbers.tolist()
        return cls(_ZOOM_RANGE[0] + zoom * (_ZOOM_RANGE[1] - _ZOOM_RANGE[0]), mirror and turned < 0.5, across, down)


def _placement_matrix(image: Image, chance: _Placement, part: _MosaicTile, spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return the way (3, 3) from pixels of ``image`` to pixels of ``part``."""
    height, width = image.shape[:2]
    alone = preprocess.compute_input_matrix(height, width, spec)
    sx, sy = chance.zoom * alone[0, 0], chance.zoom * alone[1, 1]
    dx = _offset(part.size[1] - sx * width, chance.x_fraction, (part.left == 0, part.right == spec.width))
    dy = _offset(part.size[0] - sy * height, chance.y_fraction, (part.top == 0, part.bottom == spec.height))
    if chance.mirrored:
        return np.array([[-sx, 0.0, dx + sx * width], [0.0, sy, dy], [0.0, 0.0, 1.0]])
    return np.array([[sx, 0.0, dx], [0.0, sy, dy], [0.0, 0.0, 1.0]])


def _offset(free: float, share: float, outer: tuple[bool, bool]) -> float:
    """Return where a photo starts along one side of its part, which is ``free`` pixels longer (negative: shorter).

    ``outer`` tells which ends of the part lie on the frame: a shorter photo leans on the end that does not.
    """
    if free < 0 or outer[0] == outer[1]:
        return free * share
    return free if outer[0] else 0.0


def _transform_boxes(
    boxes: NDArray[Any], matrix: NDArray[np.float64], part: _MosaicTile
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what ``part`` shows of ``boxes`` (K, 4) in its own pixels, and which of them (K,) stay."""
    moved = geometry.transform_boxes(boxes, matrix)
    seen = geometry.clip_boxes(moved, *part.size)
    large = (seen[:, 2:] - seen[:, :2] >= MIN_BOX_SIDE).all(axis=1)
    kept = large & (geometry.compute_box_areas(seen) >= MIN_VISIBILITY * geometry.compute_box_areas(moved))
    return seen[kept], kept
