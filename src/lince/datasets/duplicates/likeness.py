"""Tells two versions of one photo from two photos that look alike, such as two eggs on the same sheet of paper.

The pictures are aligned at 256 pixels a side. Versions of one photo then agree everywhere, but for a common change of
brightness and of saturation, and down to the grain of the sensor; another photo differs somewhere, if only in a digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.datasets.duplicates.alignment import Array, Mask, Matrix, align_pictures, compute_correlation, move_picture
from lince.preprocess import LUMA_WEIGHTS

Photo = NDArray[np.uint8]
PHOTO_SIDE = 256
# The largest difference of versions of one photo in grey levels: with a strong grain in common, with a weak one, with
# none because one has lost it, and then where their labels differ.
MAX_DIFFERENCE, MAX_SMALL_DIFFERENCE, MAX_EQUAL_DIFFERENCE, MAX_CERTAIN_DIFFERENCE = 8.0, 2.5, 0.8, 0.1
MAX_EQUAL_COLOUR = 2.0  # grey levels of colour, which compression changes more, where one has lost its grain
MIN_STRONG_GRAIN = 0.15  # correlation of the grain of two versions
MIN_GRAIN = 0.035  # the same; three standard deviations of that of two photos
MAX_THUMBNAIL_DIFFERENCE = 24.0  # grey levels, of thumbnails that may be versions of one photo
MAX_LOST_GRAIN = 0.7  # share of the grain that is left, up to which it may have been lost
MIN_EQUAL_TINT = 0.92  # factor of the saturation, up to whose inverse it may rise where one has lost its grain
MIN_TINT = 0.5  # a grey copy of a red thing is also one of a green thing
_MIN_GRAIN_LEVEL = 0.2  # grey levels, below which there is no grain
_ALIGNED_SIDE, _MAX_STEPS = 128, 4  # pixels, iterations; the thumbnails are aligned already
_MARGIN = 12  # pixels at the border that are not compared: a crop and a turned photo's corners differ there
_MIN_OVERLAP = 0.5  # fraction of a picture that the other one must cover
_SOFTNESS = 1.0  # pixels, standard deviation of the blur before colours are compared
_GRAIN_SIZE = 1.5  # pixels, standard deviation of the blur whose difference from the picture is the grain
_SHIFT = 0.5  # pixels by which details may lie apart after the alignment
_NOISE = 3.0  # times the median difference of all pixels that a pixel may differ by
_TOLERANCE = 2.0  # grey levels
_SLOPES = 0.4, 2.5  # least and greatest contrast of a version, as a factor
_CLIPPED = 250  # grey levels, from which brightness may have been cut off
_MIN_OPEN = 0.1  # of all pixels, without a channel that is cut off, to measure the tones on them alone
_STRIDE = 2  # of the pixels each way, one is used to measure tones
_BLOCK = 5  # pixels; the side of the smallest difference that counts
_TONES = 16  # classes of brightness of the tone curve
_MIN_TONE_SHARE = 0.01  # of the pixels, in a class of brightness that shapes the tone curve
_FLAT_SLOPE = 4.0  # grey levels per pixel, below which a place shows grain rather than detail
_EDGE_REACH = 4.0  # pixels; compression leaves ripples that far from an edge
_MIN_FLAT = 2000  # pixels, fewer do not tell grain from chance


@dataclass(frozen=True)
class Likeness:
    """How well two pictures agree.

    ``structure`` and ``colour`` are the largest differences of brightness and of colour of any place, in grey levels
    beyond what alignment and noise explain; ``grain`` is the correlation of the finest details where both are smooth,
    and ``grain_share`` the standard deviation of the weaker one's as a fraction of the other's, 0 where there is none;
    ``tint`` is the factor of the saturation.
    """

    structure: float
    colour: float
    grain: float
    grain_share: float
    tint: float

    @property
    def is_same_photo(self) -> bool:
        """Whether both are versions of one photo: the less of the same grain they show, the less they may differ.

        Two exposures have grains of their own. Where one has lost its grain, to compression or to a smaller size, the
        photos must be equal.
        """
        if self.has_strong_grain:
            return self._difference <= MAX_DIFFERENCE
        if self.grain >= MIN_GRAIN:
            return self._difference <= MAX_SMALL_DIFFERENCE
        is_equal = self.structure <= MAX_EQUAL_DIFFERENCE and self.colour <= MAX_EQUAL_COLOUR
        return self.grain_share <= MAX_LOST_GRAIN and is_equal and MIN_EQUAL_TINT <= self.tint <= 1 / MIN_EQUAL_TINT

    @property
    def has_strong_grain(self) -> bool:
        """Whether the grain of both is clearly the same."""
        return self.grain >= MIN_STRONG_GRAIN

    @property
    def is_certain(self) -> bool:
        """Whether even labels that differ are no reason to doubt that both are versions of one photo."""
        limit = MAX_SMALL_DIFFERENCE if self.grain >= MIN_GRAIN else MAX_CERTAIN_DIFFERENCE
        return self.is_same_photo and self._difference <= limit and self.tint >= MIN_TINT

    @property
    def _difference(self) -> float:
        """The largest difference of any place."""
        return max(self.structure, self.colour)


def differ_clearly(first: Photo, second: Photo, matrix: Matrix) -> bool:
    """Whether two thumbnails, uint8 (64, 64), aligned by ``matrix``, differ so much that they show two photos."""
    moved, covered = move_picture(second.astype(np.float32), matrix)
    covered = cv2.erode(covered.astype(np.uint8), np.ones((3, 3)), borderValue=0) > 0
    if covered.mean() < _MIN_OVERLAP:
        return True
    curve = _fit_tone_curve(first[covered], np.rint(moved[covered]).astype(np.uint8))
    expected: Array = np.clip(cv2.LUT(first, curve), 0, 255).astype(np.float32)
    slope = np.maximum(_compute_slopes(expected), _compute_slopes(moved))
    return _find_difference(np.abs(moved - expected), slope, covered) > MAX_THUMBNAIL_DIFFERENCE


def compute_likeness(first: Photo, second: Photo, matrix: Matrix, short_side: int = PHOTO_SIDE) -> Likeness | None:
    """Return how well two photos agree, uint8 RGB (256, 256, 3); ``None`` where they overlap in less than half.

    ``matrix`` is the alignment of their thumbnails. ``short_side`` is that of the smaller photo before it was resized:
    the details that it cannot show are not compared.
    """
    lumas = [cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) for photo in (first, second)]
    size = (_ALIGNED_SIDE, _ALIGNED_SIDE)
    small = [cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32) for luma in lumas]
    aligned = align_pictures(small[0], small[1], matrix, _MAX_STEPS)
    matrix = matrix if aligned is None else aligned
    moved, covered = move_picture(second, matrix)
    covered = cv2.erode(covered.astype(np.uint8), np.ones((_BLOCK, _BLOCK)), borderValue=0) > 0
    covered[:_MARGIN], covered[-_MARGIN:], covered[:, :_MARGIN], covered[:, -_MARGIN:] = False, False, False, False
    if covered.mean() < _MIN_OVERLAP:
        return None
    # Brightness that is cut off cannot be brought back: the photo with less of it must become the other one.
    pictures = sorted((first, moved), key=lambda picture: int(np.count_nonzero(picture >= _CLIPPED)))
    return _compare(pictures[0], pictures[1], covered, _SOFTNESS * max(1.0, PHOTO_SIDE / short_side))


def _compare(one: Photo, other: Photo, covered: Mask, softness: float) -> Likeness:
    """Return how well two aligned photos agree where both are ``covered``, when ``one`` is given the other's tones.

    They are blurred by ``softness`` pixels.
    """
    is_open = covered & (_find_brightest(other) < _CLIPPED)
    is_fitted = is_open if is_open.mean() >= _MIN_OPEN else covered
    adapted, tint = _adapt_tones(one, other, is_fitted)
    soft, other_soft = (_blur(picture, softness) for picture in (adapted, other.astype(np.float32)))
    slope: Array = np.maximum(_compute_slopes(soft), _compute_slopes(other_soft))
    luma_slope: Array = np.asarray(cv2.extractChannel(slope, 0), np.float32)
    luma, *colours = cv2.split(other_soft - soft)
    structure = _find_difference(np.abs(luma), luma_slope, covered)
    if structure > MAX_DIFFERENCE:
        return Likeness(structure, structure, 0.0, 1.0, tint)
    shifts = [float(np.median(_sample(channel)[_sample(is_fitted)])) for channel in colours]
    distances = cv2.max(*(np.abs(channel - shift) for channel, shift in zip(colours, shifts, strict=True)))
    colour = _find_difference(distances, _find_brightest(slope), covered)
    is_flat = covered & (cv2.GaussianBlur(luma_slope, (0, 0), _EDGE_REACH) < _FLAT_SLOPE)
    lumas = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in (one, other))
    grains = [(luma - cv2.GaussianBlur(luma, (0, 0), _GRAIN_SIZE))[is_flat] for luma in lumas]
    if grains[0].size < _MIN_FLAT:
        return Likeness(structure, colour, 0.0, 0.0, tint)
    weak, strong = sorted(float(grain.std()) for grain in grains)
    return Likeness(
        structure, colour, compute_correlation(*grains), 0.0 if weak < _MIN_GRAIN_LEVEL else weak / strong, tint
    )


def _adapt_tones(one: Photo, other: Photo, mask: Mask) -> tuple[Array, float]:
    """Return ``one``, float32 RGB, with the brightness, contrast and saturation of ``other``.

    The second result is the factor of the saturation. All are measured where ``mask`` holds.
    """
    lumas = (_sample(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[_sample(mask)] for picture in (one, other))
    adapted = cv2.LUT(one, _fit_tone_curve(*lumas))
    luma = cv2.merge([cv2.transform(adapted, LUMA_WEIGHTS[None])] * 3)
    first, second = (_sample(picture)[_sample(mask)].astype(np.float32) for picture in (adapted, other))
    first, second = ((colours - (colours @ LUMA_WEIGHTS)[:, None]).ravel() for colours in (first, second))
    tint = float(np.clip(float(first @ second) / max(float(first @ first), 1e-3), 0, 3))
    return np.clip(luma + np.float32(tint) * (adapted - luma), 0, 255), tint


def _blur(picture: Array, softness: float) -> Array:
    """Return a picture, float32 RGB, without its finest details, as Y, Cr and Cb."""
    return np.asarray(cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), softness), cv2.COLOR_RGB2YCrCb), np.float32)


def _sample(picture: NDArray[Any]) -> NDArray[Any]:
    """Return some of the pixels, enough to measure tones."""
    return picture[::_STRIDE, ::_STRIDE]


def _find_brightest(picture: NDArray[Any]) -> NDArray[Any]:
    """Return the largest of the three channels of each pixel, (H, W)."""
    first, second, third = cv2.split(picture)
    return np.asarray(cv2.max(cv2.max(first, second), third))


def _find_difference(differences: Array, slope: Array, covered: Mask) -> float:
    """Return the largest difference of any block beyond what a shift, common noise and rounding explain."""
    noise = float(np.median(_sample(differences)[_sample(covered)]))
    excess = np.maximum(differences - _SHIFT * slope - (_NOISE * noise + _TOLERANCE), 0) * covered
    return float(cv2.boxFilter(excess.astype(np.float32), -1, (_BLOCK, _BLOCK)).max())


def _compute_slopes(picture: Array) -> Array:
    """Return the steepest slope near each pixel, in grey levels per pixel, of each channel (H, W, 3)."""
    across, down = (cv2.Sobel(picture, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    return np.asarray(cv2.dilate(cv2.magnitude(across, down), np.ones((3, 3))), np.float32)


def _fit_tone_curve(values: Photo, others: Photo) -> Array:
    """Return for each brightness 0..255 of the pixels ``values`` (K,) that of ``others`` (K,), float32 (256,).

    It is the median of the others for each class of brightness with enough pixels, and straight between them.
    """
    tones = values.astype(np.int64) // (256 // _TONES)
    enough = np.flatnonzero(np.bincount(tones, minlength=_TONES) >= _MIN_TONE_SHARE * len(values))
    x, y = (_find_medians(tones, brightness)[enough].astype(np.float64) for brightness in (values, others))
    # Beyond the curve's ends, it goes on with the slope of all of it.
    slope = float(np.clip(np.polyfit(x, y, 1)[0] if len(x) > 1 else y[0] / max(x[0], 1.0), *_SLOPES))
    x, y = np.r_[x[0] - 256, x, x[-1] + 256], np.r_[y[0] - 256 * slope, y, y[-1] + 256 * slope]
    return np.interp(np.arange(256), x, y).astype(np.float32)


def _find_medians(tones: NDArray[np.int64], values: Photo) -> NDArray[np.int64]:
    """Return the median of the ``values`` (K,) of each class of brightness, (16,); ``tones`` (K,) are the classes."""
    counts = np.bincount(tones * 256 + values, minlength=_TONES * 256).reshape(_TONES, 256).cumsum(axis=1)
    return np.asarray((counts < (counts[:, -1:] + 1) // 2).sum(axis=1), np.int64)
