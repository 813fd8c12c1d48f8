"""Combines several labelled images into one for training: mosaic of four, and mixup of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import geometry, preprocess
from lince.augmentation.apply import MIN_BOX_SIDE, MIN_VISIBILITY
from lince.augmentation.object_masks import Masks, move_masks
from lince.augmentation.warp import warp_class_map, warp_image
from lince.class_maps import VOID, ClassMap
from lince.preprocess import LETTERBOX_GREY, PreprocessSpec

MOSAIC_IMAGES = 4
_CENTRE_RANGE = (0.25, 0.75)  # of the point where the four tiles meet, as a fraction of each side
_ZOOM_RANGE = (0.5, 1.5)  # 1 is the size that the image has alone at the network's input

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImage:
    """An image with its objects.

    ``image`` is uint8 RGB (H, W, 3); ``boxes`` float64 (K, 4) are left, top, right, bottom in its pixels; ``class_ids``
    int32 (K,). ``class_map``, where the image has one, is uint8 (H, W). ``masks`` (K) are those of the objects,
    ``None`` for one that has no outline; empty where nothing asks for masks. Raises ``ValueError`` when the lengths or
    sizes differ.
    """

    image: Image
    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int32]
    class_map: ClassMap | None = None
    masks: Masks = ()

    def __post_init__(self) -> None:
        count = len(self.class_ids)
        if self.boxes.shape != (count, 4) or self.class_ids.shape != (count,) or len(self.masks) not in {0, count}:
            raise ValueError(f"{self.boxes.shape} boxes have the classes {self.class_ids.shape}")
        if self.class_map is not None and self.class_map.shape != self.image.shape[:2]:
            raise ValueError(f"an image of {self.image.shape} has a class map of {self.class_map.shape}")


def mosaic(
    images: Sequence[LabelledImage], rng: np.random.Generator, spec: PreprocessSpec, mirror: bool = True
) -> LabelledImage:
    """Return four ``images`` of any sizes in one image of the input size of ``spec`` (Bochkovskiy et al. 2020, YOLOv4).

    The tiles meet at a random point between a quarter and three quarters of each side. Each image is warped once,
    straight from its own pixels, at 0.5 to 1.5 times the size that it would have alone at the network's input, and
    mirrored half of the time if ``mirror``. An image larger than its tile shows a random part; a smaller one touches
    the meeting point, and the rest of the tile is grey.

    Boxes remain when at least ``MIN_VISIBILITY`` of their area is inside the tile and both sides measure at least
    ``MIN_BOX_SIDE`` pixels. Grey has an unknown class, void. Exactly eighteen random numbers are drawn from ``rng``,
    whatever the images are. Raise ``ValueError`` when there are not four images.
    """
    if len(images) != MOSAIC_IMAGES:
        raise ValueError(f"a mosaic is made of {MOSAIC_IMAGES} images, not {len(images)}")
    x, y = np.rint(rng.uniform(*_CENTRE_RANGE, 2) * (spec.width, spec.height)).astype(int).tolist()
    canvas = np.full((spec.height, spec.width, 3), LETTERBOX_GREY, np.uint8)
    has_maps = any(image.class_map is not None for image in images)
    class_map = np.full((spec.height, spec.width), VOID, np.uint8) if has_maps else None
    boxes, class_ids = [], []
    masks: Masks = ()
    for index, (image, numbers) in enumerate(zip(images, rng.random((MOSAIC_IMAGES, 4)), strict=True)):
        tile = _MosaicTile.from_index(index, x, y, spec)
        matrix = _placement_matrix(image.image, _Placement.from_random(numbers, mirror), tile, spec)
        tile.draw_image(image.image, matrix, canvas)
        if class_map is not None and image.class_map is not None:
            tile.draw_class_map(image.class_map, matrix, class_map)
        visible, kept = _transform_boxes(image.boxes, matrix, tile)
        boxes.append(visible + [tile.left, tile.top] * 2)
        class_ids.append(image.class_ids[kept])
        masks += move_masks(image.masks, kept, tile.place(matrix), tile.frame)
    return LabelledImage(canvas, np.concatenate(boxes), np.concatenate(class_ids), class_map, masks)


def mixup_images(
    image: LabelledImage,
    other_image: LabelledImage,
    rng: np.random.Generator,
    spec: PreprocessSpec,
    mirror: bool = True,
) -> LabelledImage:
    """Return the mean of two images with the boxes of both: mixup (Zhang et al. 2018) as YOLOX uses it.

    ``image`` must have the input size of ``spec``; ``ValueError`` is raised otherwise. ``other_image`` may have any
    size: it is warped at 0.5 to 1.5 times the size that it would have alone at the network's input, mirrored half of
    the time if ``mirror``, and placed at random; grey is mixed in where it does not reach. Its boxes remain by the rule
    of ``mosaic``; those of ``image`` all remain. Pixels whose classes differ become void: they show both.
    """
    if image.image.shape[:2] != (spec.height, spec.width):
        raise ValueError(f"expected an image of {spec.height} x {spec.width}, not {image.image.shape[:2]}")
    tile = _MosaicTile(0, 0, spec.width, spec.height)
    matrix = _placement_matrix(other_image.image, _Placement.from_random(rng.random(4), mirror), tile, spec)
    warped = warp_image(other_image.image, matrix, (spec.height, spec.width), "constant", LETTERBOX_GREY)
    visible, kept = _transform_boxes(other_image.boxes, matrix, tile)
    mixed = np.asarray(cv2.addWeighted(image.image, 0.5, warped, 0.5, 0), np.uint8)
    class_map = None
    if image.class_map is not None and other_image.class_map is not None:
        other_map = warp_class_map(other_image.class_map, matrix, (spec.height, spec.width))
        class_map = np.where(image.class_map == other_map, image.class_map, np.uint8(VOID))
    return LabelledImage(
        mixed,
        np.concatenate([image.boxes, visible]),
        np.concatenate([image.class_ids, other_image.class_ids[kept]]),
        class_map,
        image.masks + move_masks(other_image.masks, kept, matrix),
    )


@dataclass(frozen=True)
class _MosaicTile:
    """A rectangle of the mosaic in pixels; ``right`` and ``bottom`` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def from_index(cls, index: int, x: int, y: int, spec: PreprocessSpec) -> _MosaicTile:
        """Return the tile at ``index``, row by row, of a mosaic whose tiles meet at (``x``, ``y``)."""
        left, right = ((0, x), (x, spec.width))[index % 2]
        top, bottom = ((0, y), (y, spec.height))[index // 2]
        return cls(left, top, right, bottom)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def frame(self) -> NDArray[np.float64]:
        """The tile as a box (4,) in pixels of the mosaic."""
        return np.array([self.left, self.top, self.right, self.bottom], np.float64)

    def place(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``matrix`` (3, 3) to pixels of this tile as one to pixels of the mosaic."""
        return np.array([[1.0, 0.0, self.left], [0.0, 1.0, self.top], [0.0, 0.0, 1.0]]) @ matrix

    def draw_image(self, image: Image, matrix: NDArray[np.float64], canvas: Image) -> None:
        """Warp ``image`` by ``matrix`` into this tile of ``canvas``; nothing is drawn in an empty tile."""
        if min(self.size) > 0:
            warped = warp_image(image, matrix, self.size, "constant", LETTERBOX_GREY)
            canvas[self.top : self.bottom, self.left : self.right] = warped

    def draw_class_map(self, class_map: ClassMap, matrix: NDArray[np.float64], canvas: ClassMap) -> None:
        """Warp ``class_map`` as ``draw_image`` does an image; nothing is drawn in an empty tile."""
        if min(self.size) > 0:
            canvas[self.top : self.bottom, self.left : self.right] = warp_class_map(class_map, matrix, self.size)


@dataclass(frozen=True)
class _Placement:
    """Size and position of an image in its tile.

    ``zoom`` is relative to the size of the image alone at the network's input; ``x_fraction`` and ``y_fraction``, 0..1,
    choose the position within the room that is left, or the part that is shown.
    """

    zoom: float
    mirrored: bool
    x_fraction: float
    y_fraction: float

    @classmethod
    def from_random(cls, numbers: NDArray[np.float64], mirror: bool) -> _Placement:
        """Return the placement for four random ``numbers`` in [0, 1)."""
        zoom, mirror_chance, x_fraction, y_fraction = numbers.tolist()
        zoom = _ZOOM_RANGE[0] + zoom * (_ZOOM_RANGE[1] - _ZOOM_RANGE[0])
        return cls(zoom, mirror and mirror_chance < 0.5, x_fraction, y_fraction)


def _placement_matrix(
    image: Image, placement: _Placement, tile: _MosaicTile, spec: PreprocessSpec
) -> NDArray[np.float64]:
    """Return the matrix (3, 3) from pixels of ``image`` to pixels of ``tile``."""
    height, width = image.shape[:2]
    input_matrix = preprocess.compute_input_matrix(height, width, spec)
    sx, sy = placement.zoom * input_matrix[0, 0], placement.zoom * input_matrix[1, 1]
    dx = _offset(tile.size[1] - sx * width, placement.x_fraction, (tile.left == 0, tile.right == spec.width))
    dy = _offset(tile.size[0] - sy * height, placement.y_fraction, (tile.top == 0, tile.bottom == spec.height))
    if placement.mirrored:
        return np.array([[-sx, 0.0, dx + sx * width], [0.0, sy, dy], [0.0, 0.0, 1.0]])
    return np.array([[sx, 0.0, dx], [0.0, sy, dy], [0.0, 0.0, 1.0]])


def _offset(free_space: float, fraction: float, on_border: tuple[bool, bool]) -> float:
    """Return where the image starts along one side of its tile, in pixels.

    ``free_space`` is the side of the tile minus that of the image, negative for a larger image. ``on_border`` says
    which ends of the tile are on the border of the mosaic: a smaller image is placed at the end that is not, next to
    the meeting point. A larger image, and any image in a tile with both ends on the border, starts at ``fraction`` of
    the free space.
    """
    if free_space < 0 or on_border[0] == on_border[1]:
        return free_space * fraction
    return free_space if on_border[0] else 0.0


def _transform_boxes(
    boxes: NDArray[Any], matrix: NDArray[np.float64], tile: _MosaicTile
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the visible parts of ``boxes`` (K, 4) in pixels of ``tile``, and which boxes (K,) remain."""
    moved = geometry.transform_boxes(boxes, matrix)
    visible = geometry.clip_boxes(moved, *tile.size)
    is_large = (visible[:, 2:] - visible[:, :2] >= MIN_BOX_SIDE).all(axis=1)
    kept = is_large & (geometry.compute_box_areas(visible) >= MIN_VISIBILITY * geometry.compute_box_areas(moved))
    return visible[kept], kept
