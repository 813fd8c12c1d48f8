"""Applies all geometric operations of an image as one matrix and one warp, straight to the network's input."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.augmentation.policy import SampledOperations
from lince.class_maps import VOID, ClassMap

Matrix = NDArray[np.float64]
LinearMap = tuple[float, float, float, float]  # (a, b, c, d): x' = ax + by, y' = cx + dy
BORDER_MODES = {
    "reflect": cv2.BORDER_REFLECT,
    "nearest": cv2.BORDER_REPLICATE,
    "wrap": cv2.BORDER_WRAP,
    "constant": cv2.BORDER_CONSTANT,
}
_MAX_SOURCE_SIDE = 32_000  # pixels; OpenCV's warps store source coordinates in 16 bits
# An image that shrinks to 1/1.8 is halved first, too: this comes closer to exact averaging than bilinear sampling.
_HALVING_TOLERANCE = 1.1
_MAX_COARSENING = 1.35  # by which the side that shrinks less may become coarser than the result
# From pixel-edge coordinates, used here, to OpenCV's, where (0, 0) is the centre of the first pixel; and back.
_TO_CENTRES = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
_FROM_CENTRES = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])


def compose_warp_matrix(sampled: SampledOperations, height: int, width: int) -> Matrix:
    """Return the matrix (3, 3) of the sampled geometric operations, for a frame of (height, width) in pixels.

    Perspective and crop are applied first, to the frame; then flips, stretch, zoom, shears and rotations about its
    centre; shifts last.
    """
    a, b, c, d = 1.0, 0.0, 0.0, 1.0
    for name, build_map in _CENTRED_OPERATIONS.items():
        if name in sampled:
            e, f, g, h = build_map(*sampled[name])
            a, b, c, d = e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d
    dx = (sampled.get("shift_x", (0.0,))[0] + 0.5) * width - (a * width + b * height) / 2
    dy = (sampled.get("shift_y", (0.0,))[0] + 0.5) * height - (c * width + d * height) / 2
    matrix = np.array([[a, b, dx], [c, d, dy], [0.0, 0.0, 1.0]])
    for name, build in reversed(_FRAME_OPERATIONS.items()):
        if name in sampled:
            matrix = matrix @ build(sampled[name], height, width)
    return matrix


def warp_image(
    image: NDArray[np.uint8], matrix: Matrix, size: tuple[int, int], fill: str, value: int = 0
) -> NDArray[np.uint8]:
    """Return ``image``, uint8 (H, W, 3) or (H, W), warped by ``matrix`` into a frame of ``size``, bilinear.

    ``matrix`` (3, 3) maps pixel-edge coordinates of the image to those of the frame of ``size`` (height, width).
    ``fill`` is a key of ``BORDER_MODES`` and ``value`` the level for ``constant``.

    An image that shrinks to about half or less is first averaged over blocks of 2 x 2 pixels, as often as needed, to
    avoid aliasing.
    """
    image, matrix = _shrink(image, matrix)
    pixels = _TO_CENTRES @ matrix @ _FROM_CENTRES
    border, colour = BORDER_MODES[fill], (value, value, value)
    if matrix[2, 0] == matrix[2, 1] == 0:
        warped = cv2.warpAffine(
            image, pixels[:2], size[::-1], flags=cv2.INTER_LINEAR, borderMode=border, borderValue=colour
        )
    else:
        warped = cv2.warpPerspective(
            image, pixels, size[::-1], flags=cv2.INTER_LINEAR, borderMode=border, borderValue=colour
        )
    return np.asarray(warped, np.uint8)


def warp_class_map(class_map: ClassMap, matrix: Matrix, size: tuple[int, int]) -> ClassMap:
    """Return ``class_map``, uint8 (H, W), warped by ``matrix`` into a frame of ``size`` (height, width).

    ``matrix`` is as for ``warp_image``. Each pixel has the value of the one that its centre lies in; outside the map it
    is void, since nothing is known of what lies there.
    """
    step = math.ceil(max(class_map.shape) / _MAX_SOURCE_SIDE)
    if step > 1:
        class_map = np.ascontiguousarray(class_map[step // 2 :: step, step // 2 :: step])
        matrix = matrix @ np.diag([step, step, 1.0])
    pixels = _TO_CENTRES @ matrix @ _FROM_CENTRES
    warp, transform = (
        (cv2.warpAffine, pixels[:2]) if matrix[2, 0] == matrix[2, 1] == 0 else (cv2.warpPerspective, pixels)
    )
    warped = warp(
        class_map,
        transform,
        size[::-1],
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(VOID, VOID, VOID),
    )
    return np.asarray(warped, np.uint8)


def _shrink(image: NDArray[np.uint8], matrix: Matrix) -> tuple[NDArray[np.uint8], Matrix]:
    """Return ``image`` averaged over blocks as far as ``matrix`` shrinks it, and the matrix from the smaller image."""
    x_ratio, y_ratio = (1 / max(math.hypot(matrix[0, axis], matrix[1, axis]), 1e-9) for axis in (0, 1))
    ratio = min(_HALVING_TOLERANCE * math.sqrt(x_ratio * y_ratio), _MAX_COARSENING * min(x_ratio, y_ratio))
    halvings = min(int(math.log2(max(1.0, ratio))), min(image.shape[:2]).bit_length() - 1)
    for _i in range(halvings):
        image, matrix = _average_blocks(image, matrix, 2, 2)
    y_factor, x_factor = (
        _residual_factor(image.shape[0], y_ratio / 2**halvings),
        _residual_factor(image.shape[1], x_ratio / 2**halvings),
    )
    return (image, matrix) if y_factor == x_factor == 1 else _average_blocks(image, matrix, y_factor, x_factor)


def _residual_factor(side: int, ratio: float) -> int:
    """Return how many pixels to average along one side after halving; above 1 for stretched or very long images."""
    return min(side, max(math.ceil(side / _MAX_SOURCE_SIDE), int(ratio) if ratio >= 3 else 1))


def _average_blocks(
    image: NDArray[np.uint8], matrix: Matrix, y_factor: int, x_factor: int
) -> tuple[NDArray[np.uint8], Matrix]:
    """Return ``image`` averaged over blocks of ``y_factor`` x ``x_factor`` pixels, and the matrix from the result."""
    height, width = image.shape[0] // y_factor, image.shape[1] // x_factor
    # Only whole blocks: OpenCV averages 2 x 2 twenty times faster than other ratios, and the strip that is cut off is
    # thinner than one pixel of the result.
    small = cv2.resize(image[: height * y_factor, : width * x_factor], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), matrix @ np.diag([x_factor, y_factor, 1.0])


def _rotation(degrees: float) -> LinearMap:
    """Return the rotation by ``degrees``, anticlockwise as seen on the screen."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return cos, sin, -sin, cos


def _quarter_turn(number: float) -> LinearMap:
    """Return the rotation by 90, 180 or 270 degrees, chosen by ``number`` in [0, 1)."""
    cos, sin = ((0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[min(int(number * 3), 2)]
    return cos, sin, -sin, cos


def _stretch(change: float) -> LinearMap:
    """Return the map that makes the frame wider by 1 + ``change`` for its height, keeping the area."""
    factor = math.sqrt(1 + change)
    return factor, 0.0, 0.0, 1 / factor


def _crop(numbers: tuple[float, ...], height: int, width: int) -> Matrix:
    """Return the matrix that enlarges a window to the whole frame.

    ``numbers`` are the fraction of the area, and the position of the window, 0..1 each way.
    """
    area_fraction, x_fraction, y_fraction = numbers
    side = math.sqrt(area_fraction)
    dx, dy = x_fraction * (1 - 1 / side) * width, y_fraction * (1 - 1 / side) * height
    return np.array([[1 / side, 0.0, dx], [0.0, 1 / side, dy], [0.0, 0.0, 1.0]])


def _perspective(numbers: tuple[float, ...], height: int, width: int) -> Matrix:
    """Return the matrix that moves each corner of the frame by up to a fraction of its sides.

    ``numbers`` are this fraction, and two values 0..1 for each of the four corners.
    """
    amount, *positions = numbers
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) * (width, height)
    moved = corners + amount * (2 * np.reshape(positions, (4, 2)) - 1) * (width, height)
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32)), np.float64)


# In the order in which they are applied to a point.
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
