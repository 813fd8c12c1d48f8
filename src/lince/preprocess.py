"""Preprocessing: turns images into network inputs, the same way in training, evaluation, prediction and export.

There are two steps, so that augmentation can come between them: ``resize_to_input`` resizes, crops or pads an image to
the input size (uint8), and ``normalise_images`` converts a batch of those to the numbers that the network reads
(float32). ``export.onnx_preprocess`` has both as ONNX operators and must match this module.
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

VERSION = 1  # incremented when the same image and the same ``PreprocessSpec`` would give other numbers
RESIZE_MODES = ("squash", "crop", "letterbox", "corner")
PADDED_RESIZE_MODES = ("letterbox", "corner")  # those that keep the whole image and its aspect ratio
CHANNEL_COUNTS = {"rgb": 3, "bgr": 3, "grey": 1}
MAX_LINEAR_SHRINK, MAX_SQUARES_SHRINK = 1.25, 4.0  # reduction factors up to which ``_resize`` uses a faster method
STANDARDISE_MODES = ("none", "featurewise", "samplewise")
LETTERBOX_GREY = 114
FLAT_STD = 1e-3  # standard deviation (of values in 0..255) up to which an image counts as uniform
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # luma of ITU-R BT.601, as in OpenCV and Pillow


@dataclass(frozen=True)
class PreprocessSpec:
    """How an image becomes a network's input; part of the model card.

    ``height`` and ``width`` are those of the input in pixels. ``resize`` is one of

    - ``squash``: ignores the aspect ratio,
    - ``crop``: keeps the central part with the input's aspect ratio,
    - ``letterbox``: keeps the whole image and pads with grey on both sides,
    - ``corner``: keeps the whole image at the top left and pads with grey to the right or below.

    ``channels`` is ``rgb``, ``bgr`` or ``grey``. ``mean`` and ``std`` have one value per channel in 0..255, in the
    order of ``channels``; the input is (pixel - mean) / std. ``standardise`` is ``none``; ``featurewise``, where
    ``mean`` and ``std`` were measured on the training images; or ``samplewise``, where each image's own mean and
    standard deviation are used instead. Raises ``UsageError`` for values that are not allowed.
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
            raise UsageError(_("An input of {h} x {w} pixels is not possible.").format(h=self.height, w=self.width))
        if not len(self.mean) == len(self.std) == self.channel_count:
            raise UsageError(
                _("{channels} input needs {count} means and standard deviations.").format(
                    channels=self.channels, count=self.channel_count
                )
            )
        if not (np.isfinite([*self.mean, *self.std]).all() and min(self.std) > 0):
            raise UsageError(
                _("Images cannot be normalised with the means {mean} and the standard deviations {std}.").format(
                    mean=self.mean, std=self.std
                ),
                _("Expected finite numbers, and standard deviations above 0."),
            )

    @property
    def channel_count(self) -> int:
        """The number of channels of the input, 3 or 1."""
        return CHANNEL_COUNTS[self.channels]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one input, (channels, height, width)."""
        return self.channel_count, self.height, self.width


def resize_to_input(image: NDArray[np.uint8], spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Return ``image`` (H, W, 3) at the size of the input, uint8 RGB (spec.height, spec.width, 3), by ``spec.resize``.

    An image that already has that size is returned as it is, not copied.
    """
    if image.shape[:2] == (spec.height, spec.width):
        return image
    if spec.resize == "crop":
        image = _centre_crop(image, spec.width / spec.height)
    if spec.resize not in PADDED_RESIZE_MODES:
        return _resize(image, spec.height, spec.width)
    return _resize_and_pad(image, spec)


def compute_input_matrix(height: int, width: int, spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return the 3 x 3 matrix from pixels of an image of (height, width) to pixels of the input of ``spec``.

    It is what ``resize_to_input`` does to coordinates, in the conventions of ``geometry``. For padded modes the offsets
    are whole pixels; the scale is the unrounded one, which differs from the resized image's by less than half a pixel.
    """
    sx, sy = spec.width / width, spec.height / height
    if spec.resize != "squash":
        sx = sy = (max if spec.resize == "crop" else min)(sx, sy)
    dx, dy = (spec.width - width * sx) / 2, (spec.height - height * sy) / 2
    if spec.resize in PADDED_RESIZE_MODES:
        dy, dx = _padding_offsets(_fitted_size(height, width, spec), spec)
    return np.array([[sx, 0.0, dx], [0.0, sy, dy], [0.0, 0.0, 1.0]])


def compute_content_box(height: int, width: int, spec: PreprocessSpec) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right in pixels of the input of ``spec``: where an image of (height, width) lies.

    What is outside is padding. Raises ``ValueError`` for ``crop``, where the input does not show the whole image.
    """
    if spec.resize == "crop":
        raise ValueError("a cropped input does not show the whole image")
    if spec.resize not in PADDED_RESIZE_MODES or (height, width) == (spec.height, spec.width):
        return 0, 0, spec.height, spec.width
    fitted = _fitted_size(height, width, spec)
    top, left = _padding_offsets(fitted, spec)
    return top, left, top + fitted[0], left + fitted[1]


def normalise_images(
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], spec: PreprocessSpec
) -> NDArray[np.float32]:
    """Return N uint8 RGB images of the input size as one float32 array (N, C, H, W), C-contiguous."""
    inputs = np.empty((len(images), *spec.shape), np.float32)
    for image, target in zip(images, inputs, strict=True):
        _normalise_image(image, spec, target)
    return inputs


def preprocess_images(images: Sequence[NDArray[np.uint8]], spec: PreprocessSpec) -> NDArray[np.float32]:
    """Return images (H, W, 3) of any sizes as the network's input, float32 (N, C, spec.height, spec.width)."""
    return normalise_images([resize_to_input(image, spec) for image in images], spec)


def _resize_and_pad(image: NDArray[np.uint8], spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Return ``image`` resized with its aspect ratio kept, on a grey canvas of the input size."""
    height, width = _fitted_size(image.shape[0], image.shape[1], spec)
    canvas = np.full((spec.height, spec.width, 3), LETTERBOX_GREY, np.uint8)
    top, left = _padding_offsets((height, width), spec)
    canvas[top : top + height, left : left + width] = _resize(image, height, width)
    return canvas


def _fitted_size(height: int, width: int, spec: PreprocessSpec) -> tuple[int, int]:
    """Return the (height, width) in pixels at which an image fits into the input with its aspect ratio kept."""
    scale = min(spec.height / height, spec.width / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _padding_offsets(size: tuple[int, int], spec: PreprocessSpec) -> tuple[int, int]:
    """Return the (top, left) position in the input of an image of ``size`` (height, width), in pixels."""
    return (0, 0) if spec.resize == "corner" else ((spec.height - size[0]) // 2, (spec.width - size[1]) // 2)


def _normalise_image(image: NDArray[np.uint8], spec: PreprocessSpec, out: NDArray[np.float32]) -> None:
    """Write ``image`` (H, W, 3), normalised by ``spec``, to ``out`` (C, H, W)."""
    planes: Sequence[NDArray[Any]]
    if spec.channels == "grey":
        planes = [image.astype(np.float32) @ LUMA_WEIGHTS]
    else:
        planes = cv2.split(image)[:: -1 if spec.channels == "bgr" else 1]
    mean, std = spec.mean, spec.std
    if spec.standardise == "samplewise":
        mean, std = _image_mean_std(planes)
    for plane, target, channel_mean, channel_std in zip(planes, out, mean, std, strict=True):
        np.multiply(plane, np.float32(1 / channel_std), out=target)
        np.subtract(target, np.float32(channel_mean / channel_std), out=target)


def _image_mean_std(planes: Sequence[NDArray[Any]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of all pixels of an image, repeated for each channel.

    They are those of Keras's ``samplewise_center`` and ``samplewise_std_normalization``, over all channels together. A
    uniform image has a standard deviation of 1.
    """
    values = np.stack([np.asarray(plane, np.float32) for plane in planes])
    mean, std = float(values.mean()), float(values.std())
    return (mean,) * len(planes), (std if std > FLAT_STD else 1.0,) * len(planes)


def _centre_crop(image: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8]:
    """Return the largest central part of ``image`` with the aspect ratio ``aspect`` (width / height); not copied."""
    height, width = image.shape[:2]
    keep_w = min(width, max(1, round(height * aspect)))
    keep_h = min(height, max(1, round(width / aspect)))
    top, left = (height - keep_h) // 2, (width - keep_w) // 2
    return image[top : top + keep_h, left : left + keep_w]


def _resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return ``image`` (H, W, 3) resized to (height, width), antialiased.

    Bilinear where it hardly shrinks; up to a factor of 4, bilinear to twice the size and then the mean of 2 x 2 pixels;
    beyond, the mean over each pixel's area.
    """
    scale = max(image.shape[0] / height, image.shape[1] / width)
    interpolation = cv2.INTER_AREA
    if scale <= MAX_LINEAR_SHRINK:
        interpolation = cv2.INTER_LINEAR
    elif scale <= MAX_SQUARES_SHRINK:
        # OpenCV's INTER_AREA is vectorised for 2 x 2 pixels alone: as accurate as for any area, and faster (NOTES.md).
        image = np.asarray(cv2.resize(image, (width * 2, height * 2), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)
