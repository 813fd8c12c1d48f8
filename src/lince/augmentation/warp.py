"""All geometry of one image as one matrix and one warp, from the source's pixels straight to the input's."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.augmentation.policy import SampledOperations

Matrix = NDArray[np.float64]
LinearMap = tuple[float, float, float, float]  # a, b, c, d: x becomes ax + by, y becomes cx + dy
BORDER_MODES = {
    "reflect": cv2.BORDER_REFLECT,
    "nearest": cv2.BORDER_REPLICATE,
    "wrap": cv2.BORDER_WRAP,
    "constant": cv2.BORDER_CONSTANT,
}
_MAX_SOURCE_SIDE = 32_000  # OpenCV's warps count source pixels in 16 bits
_HALVING_TOLERANCE = (
    1.1  # an image shrinking to 1/1.8 is halved too: measured nearer to exact averaging than sampling every pixel
)
_MAX_COARSENING = 1.35  # but not if that leaves its less shrinking side much coarser than the result
_TO_CENTRES = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
_FROM_CENTRES = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])


def compose_warp_matrix(drawn: SampledOperations, height: int, width: int) -> Matrix:
    """Return the matrix (3, 3) of the geometric operations in ``drawn`` within a frame of (height, width).

    Perspective and crop act first, on the frame; then flips, stretch, zoom, shears and turns about its centre; the
    shifts come last.
    """
    a, b, c, d = 1.0, 0.0, 0.0, 1.0
    for name, turn in _CENTRED_OPERATIONS.items():
        if name in drawn:
            e, f, g, h = turn(*drawn[name])
            a, b, c, d = e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d
    dx = (drawn.get("shift_x", (0.0,))[0] + 0.5) * width - (a * width + b * height) / 2
    dy = (drawn.get("shift_y", (0.0,))[0] + 0.5) * height - (c * width + d * height) / 2
    whole = np.array([[a, b, dx], [c, d, dy], [0.0, 0.0, 1.0]])
    for name, build in reversed(_FRAME_OPERATIONS.items()):
        if name in drawn:
            whole = whole @ build(drawn[name], height, width)
    return whole


def warp_image(
    image: NDArray[np.uint8], matrix: Matrix, size: tuple[int, int], fill: str, value: int = 0
) -> NDArray[np.uint8]:
    """Return ``image`` (H, W, 3) moved by ``matrix`` into a frame of ``size`` (height, width), bilinear.

    ``matrix`` leads from the image's continuous coordinates to the frame's. An image that shrinks to about
    half or less is first averaged over blocks of 2 x 2 pixels, as often as needed, so that fine patterns don't flicker.
    """
    image, matrix = _shrink(image, matrix)
    pixels = _TO_CENTRES @ matrix @ _FROM_CENTRES
    border, colour = BORDER_MODES[fill], (value, value, value)
    if matrix[2, 0] == matrix[2, 1] == 0:
        moved = cv2.warpAffine(
            image, pixels[:2], size[::-1], flags=cv2.INTER_LINEAR, borderMode=border, borderValue=colour
        )
    else:
        moved = cv2.warpPerspective(
            image, pixels, size[::-1], flags=cv2.INTER_LINEAR, borderMode=border, borderValue=colour
        )
    return np.asarray(moved, np.uint8)


def _shrink(image: NDArray[np.uint8], matrix: Matrix) -> tuple[NDArray[np.uint8], Matrix]:
    rx, ry = (1 / max(math.hypot(matrix[0, axis], matrix[1, axis]), 1e-9) for axis in (0, 1))
    ratio = min(_HALVING_TOLERANCE * math.sqrt(rx * ry), _MAX_COARSENING * min(rx, ry))
    halvings = min(int(math.log2(max(1.0, ratio))), min(image.shape[:2]).bit_length() - 1)
    for _i in range(halvings):
        image, matrix = _average_blocks(image, matrix, 2, 2)
    ky, kx = _residual_factor(image.shape[0], ry / 2**halvings), _residual_factor(image.shape[1], rx / 2**halvings)
    return (image, matrix) if ky == kx == 1 else _average_blocks(image, matrix, ky, kx)


def _residual_factor(side: int, ratio: float) -> int:
    """Return how many pixels to average along one side: more than one only on stretched or very long images."""
    return min(side, max(math.ceil(side / _MAX_SOURCE_SIDE), int(ratio) if ratio >= 3 else 1))


def _average_blocks(image: NDArray[np.uint8], matrix: Matrix, ky: int, kx: int) -> tuple[NDArray[np.uint8], Matrix]:
    height, width = image.shape[0] // ky, image.shape[1] // kx
    # Whole blocks only: OpenCV averages 2 x 2 twenty times faster than anything else, and what is cut off is thinner
    # than one pixel of the result.
    small = cv2.resize(image[: height * ky, : width * kx], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), matrix @ np.diag([kx, ky, 1.0])


def _rotation(degrees: float) -> LinearMap:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return cos, sin, -sin, cos


def _quarter_turn(which: float) -> LinearMap:
    cos, sin = ((0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[min(int(which * 3), 2)]
    return cos, sin, -sin, cos


def _stretch(change: float) -> LinearMap:
    wider = math.sqrt(1 + change)
    return wider, 0.0, 0.0, 1 / wider


def _crop(numbers: tuple[float, ...], height: int, width: int) -> Matrix:
    share, across, down = numbers
    side = math.sqrt(share)
    dx, dy = across * (1 - 1 / side) * width, down * (1 - 1 / side) * height
    return np.array([[1 / side, 0.0, dx], [0.0, 1 / side, dy], [0.0, 0.0, 1.0]])


def _perspective(numbers: tuple[float, ...], height: int, width: int) -> Matrix:
    amount, *where = numbers
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) * (width, height)
    moved = corners + amount * (2 * np.reshape(where, (4, 2)) - 1) * (width, height)
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32)), np.float64)


# Listed in the order in which they act on a point.
_CENTRED_OPERATIONS: dict[str, Callable[..., LinearMap]] = {
    "flip_x": lambda: (-1.0, 0.0, 0.0, 1.0),
    "flip_y": lambda: (1.0, 0.0, 0.0, -1.0),
    "stretch": _stretch,
    "zoom": lambda change: (1 + change, 0.0, 0.0, 1 + change),
    "shear_y": lambda degrees: (1.0, 0.0, math.tan(math.radians(degrees)), 1.0),
    "shear_x": lambda degrees: (1.0, math.tan(math.radians(degrees)), 0.0, 1.0),
    "quarter_turn": _quarter_turn,
    "rotation": _rotation,
}
_FRAME_OPERATIONS: dict[str, Callable[[tuple[float, ...], int, int], Matrix]] = {
    "perspective": _perspective,
    "crop": _crop,
}
