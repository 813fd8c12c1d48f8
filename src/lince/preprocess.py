"""From an image to a model's input array: written once; training, evaluation, prediction and export all call it.

Two steps, so that augmentation can stand between them: ``fit`` brings an image to the input size (uint8), and
``normalise`` turns a batch of those into the numbers that the network reads (float32).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.errors import UsageError
from lince.i18n import _
from lince.validation import require_choice

VERSION = 1  # rises when the same photo and the same Preprocess would give a network other numbers
RESIZE_MODES = ("squash", "crop", "letterbox", "corner")
PADDED_RESIZE_MODES = ("letterbox", "corner")  # the rules that keep the whole image and its aspect
CHANNEL_COUNTS = {"rgb": 3, "bgr": 3, "grey": 1}
MAX_LINEAR_SHRINK, MAX_SQUARES_SHRINK = 1.25, 4.0  # how much an image shrinks
STANDARDISE_MODES = ("none", "featurewise", "samplewise")
LETTERBOX_GREY = 114
FLAT_STD = 1e-3  # the deviation up to which an image is flat
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # luma of ITU-R BT.601, as OpenCV and Pillow use it


@dataclass(frozen=True)
class PreprocessSpec:
    """How an image becomes the input of a network; it travels in the model card.

    ``resize``: ``squash`` ignores the aspect ratio, ``crop`` keeps the central part of the input's aspect,
    ``letterbox`` keeps the whole image and pads with grey on both sides, ``corner`` keeps it at the top left and pads
    to the right or below. ``mean`` and ``std`` are per channel, in 0..255, and apply after ``channels``. With
    ``standardise = "samplewise"`` each image's own mean and deviation are used instead; ``featurewise`` says that
    ``mean`` and ``std`` were measured on the training images.
    """

    height: int
    width: int
    resize: str = "squash"
    channels: str = "rgb"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)
    standardise: str = "none"

    def __post_init__(self) -> None:
        require_choice("resize", self.resize, RESIZE_MODES)
        require_choice("channels", self.channels, tuple(CHANNEL_COUNTS))
        require_choice("standardise", self.standardise, STANDARDISE_MODES)
        if min(self.height, self.width) < 1:
            raise UsageError(_("An input of {h} x {w} pixels cannot be.").format(h=self.height, w=self.width))
        if not len(self.mean) == len(self.std) == self.channel_count:
            raise UsageError(
                _("{channels} input needs {count} means and deviations.").format(
                    channels=self.channels, count=self.channel_count
                )
            )
        if not (np.isfinite([*self.mean, *self.std]).all() and min(self.std) > 0):
            raise UsageError(
                _("No image can be prepared by the means {mean} and the deviations {std}.").format(
                    mean=self.mean, std=self.std
                ),
                _("Expected finite numbers, the deviations above 0."),
            )

    @property
    def channel_count(self) -> int:
        """The number of channels of the input."""
        return CHANNEL_COUNTS[self.channels]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The input's (channels, height, width)."""
        return self.channel_count, self.height, self.width


def resize_to_input(image: NDArray[np.uint8], spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Return ``image`` (H, W, 3) brought to (spec.height, spec.width, 3), uint8 RGB, by the resize rule."""
    if image.shape[:2] == (spec.height, spec.width):
        return image
    if spec.resize == "crop":
        image = _centre_crop(image, spec.width / spec.height)
    if spec.resize not in PADDED_RESIZE_MODES:
        return _resize(image, spec.height, spec.width)
    return _resize_and_pad(image, spec)


def compute_input_matrix(height: int, width: int, spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return the 3 x 3 matrix from pixels of an image of (height, width) to pixels of the input.

    Coordinates are continuous, (0, 0) being the top left corner of the top left pixel.
    """
    sx, sy = spec.width / width, spec.height / height
    if spec.resize != "squash":
        sx = sy = (max if spec.resize == "crop" else min)(sx, sy)
    dx, dy = (spec.width - width * sx) / 2, (spec.height - height * sy) / 2
    if spec.resize in PADDED_RESIZE_MODES:
        dy, dx = _padding_offsets(_fitted_size(height, width, spec), spec)
    return np.array([[sx, 0.0, dx], [0.0, sy, dy], [0.0, 0.0, 1.0]])


def normalise_images(
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], spec: PreprocessSpec
) -> NDArray[np.float32]:
    """Return N uint8 RGB images of the input size as one float32 array (N, C, H, W), C-contiguous."""
    out = np.empty((len(images), *spec.shape), np.float32)
    for image, target in zip(images, out, strict=True):
        _normalise_image(image, spec, target)
    return out


def preprocess_images(images: Sequence[NDArray[np.uint8]], spec: PreprocessSpec) -> NDArray[np.float32]:
    """Return images (H, W, 3) of any sizes as the network's input (N, C, H, W): ``fit``, then ``normalise``."""
    return normalise_images([resize_to_input(image, spec) for image in images], spec)


def _resize_and_pad(image: NDArray[np.uint8], spec: PreprocessSpec) -> NDArray[np.uint8]:
    height, width = _fitted_size(image.shape[0], image.shape[1], spec)
    canvas = np.full((spec.height, spec.width, 3), LETTERBOX_GREY, np.uint8)
    top, left = _padding_offsets((height, width), spec)
    canvas[top : top + height, left : left + width] = _resize(image, height, width)
    return canvas


def _fitted_size(height: int, width: int, spec: PreprocessSpec) -> tuple[int, int]:
    """Return the whole pixels (height, width) that an image is brought to inside the input, its aspect kept."""
    scale = min(spec.height / height, spec.width / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _padding_offsets(size: tuple[int, int], spec: PreprocessSpec) -> tuple[int, int]:
    """Return the whole pixels above and to the left of an image of ``size`` in a letterbox."""
    return (0, 0) if spec.resize == "corner" else ((spec.height - size[0]) // 2, (spec.width - size[1]) // 2)


def _normalise_image(image: NDArray[np.uint8], spec: PreprocessSpec, out: NDArray[np.float32]) -> None:
    planes: Sequence[NDArray[Any]]
    if spec.channels == "grey":
        planes = [image.astype(np.float32) @ LUMA_WEIGHTS]
    else:
        planes = cv2.split(image)[:: -1 if spec.channels == "bgr" else 1]
    mean, std = spec.mean, spec.std
    if spec.standardise == "samplewise":
        mean, std = _image_mean_std(planes)
    for plane, target, m, s in zip(planes, out, mean, std, strict=True):
        np.multiply(plane, np.float32(1 / s), out=target)
        np.subtract(target, np.float32(m / s), out=target)


def _image_mean_std(planes: Sequence[NDArray[Any]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    # One mean and deviation for the whole image, as Keras's samplewise options; a flat image divides by one.
    values = np.stack([np.asarray(plane, np.float32) for plane in planes])
    mean, std = float(values.mean()), float(values.std())
    return (mean,) * len(planes), (std if std > FLAT_STD else 1.0,) * len(planes)


def _centre_crop(image: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    keep_w = min(width, max(1, round(height * aspect)))
    keep_h = min(height, max(1, round(width / aspect)))
    top, left = (height - keep_h) // 2, (width - keep_w) // 2
    return image[top : top + keep_h, left : left + keep_w]


def _resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    scale = max(image.shape[0] / height, image.shape[1] / width)
    how = cv2.INTER_AREA
    if scale <= MAX_LINEAR_SHRINK:
        how = cv2.INTER_LINEAR
    elif scale <= MAX_SQUARES_SHRINK:
        # Means over squares of 2 x 2 are vectorised in OpenCV, means over parts of pixels are not: as faithful, faster.
        image = np.asarray(cv2.resize(image, (width * 2, height * 2), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
