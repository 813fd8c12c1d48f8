"""The preparation of a photo inside the graph: any size in, the network's input out, by the rules of ``preprocess``.

To bring an image to another size is linear along its height and along its width, so each rule of OpenCV is a matrix
for either side, whose weights the graph computes from the photo's size. What differs from ``preprocess.fit`` is the
rounding of linear interpolation alone, by one step of 255 in some pixels: OpenCV computes it in whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lince.exporting.building import Value, counted, joined
from lince.preprocess import (
    LETTERBOX_GREY,
    LINEAR_UP_TO,
    LUMA,
    SQUARES_UP_TO,
    STILL,
    WHOLE,
    Preprocess,
)

# OpenCV interpolates in whole numbers, quarters of a step at the end, and cuts off twice: this much on average.
_CUT_OFF = 0.125


@dataclass(frozen=True)
class Sides:
    """Numbers of one kind for the height and for the width."""

    y: Value
    x: Value


@dataclass(frozen=True)
class Frame:
    """Where the photo of ``size`` lies in the input: pixels of the photo times ``scale`` plus ``margin``."""

    size: Sides
    scale: Sides
    margin: Sides


def see(image: Value, spec: Preprocess) -> tuple[Value, Frame]:
    """Return the network's input (1, C, h, w) for ``image`` uint8 RGB (H, W, 3), and where the photo lies in it."""
    size = _size(image)
    if spec.resize in WHOLE:
        fitted, frame = _padded(image, size, spec)
    else:
        fitted, frame = _filled(image, size, spec)
    return _normalised(fitted, spec).with_axis(0), frame


def _size(image: Value) -> Sides:
    shape = image.of("Shape", kind=np.int64).cast(np.float64)
    return Sides(shape.pick(0), shape.pick(1))


def _filled(image: Value, size: Sides, spec: Preprocess) -> tuple[Value, Frame]:
    wanted = Sides(size.y.value(spec.height), size.y.value(spec.width))
    scale = Sides(wanted.y / size.y, wanted.x / size.x)
    margin = Sides(size.y.value(0.0), size.y.value(0.0))
    part = size
    if spec.resize == "crop":
        image, part = _central(image, size, spec.width / spec.height)
        both = scale.y.of("Max", scale.x)
        scale = Sides(both, both)
        margin = Sides((wanted.y - size.y * both) * 0.5, (wanted.x - size.x * both) * 0.5)
    return _resized(image, part, wanted), Frame(size, scale, margin)


def _central(image: Value, size: Sides, aspect: float) -> tuple[Value, Sides]:
    kept = Sides(_at_least_one(size.x / aspect).of("Min", size.y), _at_least_one(size.y * aspect).of("Min", size.x))
    start = Sides(((size.y - kept.y) * 0.5).of("Floor"), ((size.x - kept.x) * 0.5).of("Floor"))
    first = _whole(start.y, start.x)
    return image.cut(first, first + _whole(kept.y, kept.x), (0, 1)), kept


def _padded(image: Value, size: Sides, spec: Preprocess) -> tuple[Value, Frame]:
    both = (spec.height / size.y).of("Min", spec.width / size.x)
    inner = Sides(_at_least_one(size.y * both), _at_least_one(size.x * both))
    spare = Sides(spec.height - inner.y, spec.width - inner.x)
    margin = Sides(spare.y * 0.0, spare.x * 0.0)
    if spec.resize != "corner":
        margin = Sides((spare.y * 0.5).of("Floor"), (spare.x * 0.5).of("Floor"))
    none = size.y.value(0.0)
    pads = _whole(none, margin.y, margin.x, none, spare.y - margin.y, spare.x - margin.x)
    fitted = _resized(image, size, inner)
    canvas = fitted.of("Pad", pads, float(LETTERBOX_GREY))
    return canvas, Frame(size, Sides(both, both), margin)


def _resized(image: Value, size: Sides, wanted: Sides) -> Value:
    """Return ``image`` (H, W, 3) of ``size`` as (3, h, w) float32 of the ``wanted`` size, in whole numbers."""
    across = Sides(size.y / wanted.y, size.x / wanted.x)
    strongest = across.y.of("Max", across.x)
    linear = strongest <= SQUARES_UP_TO
    # A mean over squares is linear interpolation to twice the size, and then the mean of each two by two.
    parts = (linear & (strongest > LINEAR_UP_TO)).choose(size.y.value(2.0), 1.0)
    finer = Sides(wanted.y * parts, wanted.x * parts)
    down, right = (_weights(size, finer, linear, side) for side in ("y", "x"))
    rows = down.of("MatMul", image.reshape(0, -1).cast(np.float32))
    planes = rows.reshape(_whole(finer.y, size.x, size.y.value(3.0))).of("Transpose", perm=[2, 0, 1])
    spread = planes.of("MatMul", right.of("Transpose", perm=[1, 0])).of("Max", 0.0).of("Min", 255.0)
    rounded = linear.choose(_half_up(spread - _CUT_OFF), spread.of("Round"))
    squares = rounded.reshape(_whole(size.y.value(3.0), wanted.y, parts, wanted.x, parts))
    total = squares.of("ReduceSum", squares.whole([2, 4]), keepdims=0)
    return _half_up(total / (parts * parts).cast(np.float32))


def _half_up(values: Value) -> Value:
    return (values + 0.5).of("Floor")


def _weights(size: Sides, wanted: Sides, linear: Value, side: str) -> Value:
    """Return the matrix (wanted, size) of one side, float32: linear interpolation, or means over areas."""
    count, scale = getattr(size, side), getattr(size, side) / getattr(wanted, side)
    places, pixels = counted(getattr(wanted, side)).with_axis(1), counted(count).with_axis(0)
    both_shrink = (size.y / wanted.y).of("Min", size.x / wanted.x) >= 1.0
    areas = both_shrink.choose(_shared(places, pixels, scale), _stretched(places, pixels, count, scale))
    return linear.choose(_near((places + 0.5) * scale - 0.5, pixels, count), areas).cast(np.float32)


def _near(centres: Value, pixels: Value, count: Value) -> Value:
    """Return the weights of linear interpolation at ``centres``; beyond the edge it is as at the edge."""
    inside = centres.of("Max", 0.0).of("Min", count - 1.0)
    return (1.0 - (inside - pixels).of("Abs")).of("Max", 0.0)


def _shared(places: Value, pixels: Value, scale: Value) -> Value:
    """Return the weights of means over areas: the part of each place that each pixel covers."""
    end = ((places + 1.0) * scale).of("Min", pixels + 1.0)
    return (end - (places * scale).of("Max", pixels)).of("Max", 0.0) / scale


def _stretched(places: Value, pixels: Value, count: Value, scale: Value) -> Value:
    """Return the weights that OpenCV takes for areas where one side is enlarged while the other shrinks."""
    first = (places * scale).of("Floor")
    way = (places + 1.0 - (first + 1.0) / scale).of("Max", 0.0)
    way = way - way.of("Floor")
    last = (first + 1.0).of("Min", count - 1.0)
    return pixels.same(first).cast(np.float64) * (1.0 - way) + pixels.same(last).cast(np.float64) * way


def _normalised(planes: Value, spec: Preprocess) -> Value:
    """Return ``planes`` (3, h, w), RGB of 0 to 255, as the numbers (C, h, w) that the network reads."""
    if spec.channels == "grey":
        luma = planes * np.reshape(LUMA, (3, 1, 1))
        planes = luma.of("ReduceSum", luma.whole([0]), keepdims=1)
    elif spec.channels == "bgr":
        planes = planes.pick([2, 1, 0])
    if spec.standardise == "samplewise":
        centred = planes - planes.of("ReduceMean", keepdims=0)
        spread = (centred * centred).of("ReduceMean", keepdims=0).of("Sqrt")
        return centred / (spread > STILL).choose(spread, 1.0)
    mean, std = (np.asarray(one, np.float32).reshape(-1, 1, 1) for one in (spec.mean, spec.std))
    return planes * (1 / std) - mean / std


def _at_least_one(pixels: Value) -> Value:
    return pixels.of("Round").of("Max", 1.0)


def _whole(*numbers: Value) -> Value:
    """Return numbers alone as one row of whole ones."""
    return joined([one.reshape(1) for one in numbers]).cast(np.int64)
