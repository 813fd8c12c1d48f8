"""The preparation of a photo inside the graph: any size in, the network's input out, by the rules of ``preprocess``.

To bring an image to another size is linear along its height and along its width, so each rule of OpenCV is a matrix
for either side, whose weights the graph computes from the photo's size. What differs from ``preprocess.fit`` is the
rounding of linear interpolation alone, by one step of 255 in some pixels: OpenCV computes it in whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lince.export.onnx_builder import GraphValue, concat_values, make_range
from lince.preprocess import (
    FLAT_STD,
    LETTERBOX_GREY,
    LUMA_WEIGHTS,
    MAX_LINEAR_SHRINK,
    MAX_SQUARES_SHRINK,
    PADDED_RESIZE_MODES,
    PreprocessSpec,
)

# OpenCV interpolates in whole numbers, quarters of a step at the end, and cuts off twice: this much on average.
_ROUNDING_BIAS = 0.125


@dataclass(frozen=True)
class HeightWidth:
    """Numbers of one kind for the height and for the width."""

    y: GraphValue
    x: GraphValue


@dataclass(frozen=True)
class ImagePlacement:
    """Where the photo of ``size`` lies in the input: pixels of the photo times ``scale`` plus ``margin``."""

    image_size: HeightWidth
    scale: HeightWidth
    offset: HeightWidth


def build_preprocess(image: GraphValue, spec: PreprocessSpec) -> tuple[GraphValue, ImagePlacement]:
    """Return the network's input (1, C, h, w) for ``image`` uint8 RGB (H, W, 3), and where the photo lies in it."""
    size = _read_image_size(image)
    if spec.resize in PADDED_RESIZE_MODES:
        fitted, frame = _resize_with_padding(image, size, spec)
    else:
        fitted, frame = _resize_to_fill(image, size, spec)
    return _normalise_planes(fitted, spec).unsqueeze(0), frame


def _read_image_size(image: GraphValue) -> HeightWidth:
    shape = image.apply("Shape", dtype=np.int64).cast(np.float64)
    return HeightWidth(shape.gather(0), shape.gather(1))


def _resize_to_fill(image: GraphValue, size: HeightWidth, spec: PreprocessSpec) -> tuple[GraphValue, ImagePlacement]:
    wanted = HeightWidth(size.y.to_value(spec.height), size.y.to_value(spec.width))
    scale = HeightWidth(wanted.y / size.y, wanted.x / size.x)
    margin = HeightWidth(size.y.to_value(0.0), size.y.to_value(0.0))
    part = size
    if spec.resize == "crop":
        image, part = _crop_to_aspect(image, size, spec.width / spec.height)
        both = scale.y.apply("Max", scale.x)
        scale = HeightWidth(both, both)
        margin = HeightWidth((wanted.y - size.y * both) * 0.5, (wanted.x - size.x * both) * 0.5)
    return _resize_image(image, part, wanted), ImagePlacement(size, scale, margin)


def _crop_to_aspect(image: GraphValue, size: HeightWidth, aspect: float) -> tuple[GraphValue, HeightWidth]:
    kept = HeightWidth(
        _round_to_at_least_one(size.x / aspect).apply("Min", size.y),
        _round_to_at_least_one(size.y * aspect).apply("Min", size.x),
    )
    start = HeightWidth(((size.y - kept.y) * 0.5).apply("Floor"), ((size.x - kept.x) * 0.5).apply("Floor"))
    first = _to_int_vector(start.y, start.x)
    return image.slice_axes(first, first + _to_int_vector(kept.y, kept.x), (0, 1)), kept


def _resize_with_padding(
    image: GraphValue, size: HeightWidth, spec: PreprocessSpec
) -> tuple[GraphValue, ImagePlacement]:
    both = (spec.height / size.y).apply("Min", spec.width / size.x)
    inner = HeightWidth(_round_to_at_least_one(size.y * both), _round_to_at_least_one(size.x * both))
    spare = HeightWidth(spec.height - inner.y, spec.width - inner.x)
    margin = HeightWidth(spare.y * 0.0, spare.x * 0.0)
    if spec.resize != "corner":
        margin = HeightWidth((spare.y * 0.5).apply("Floor"), (spare.x * 0.5).apply("Floor"))
    none = size.y.to_value(0.0)
    pads = _to_int_vector(none, margin.y, margin.x, none, spare.y - margin.y, spare.x - margin.x)
    fitted = _resize_image(image, size, inner)
    canvas = fitted.apply("Pad", pads, float(LETTERBOX_GREY))
    return canvas, ImagePlacement(size, HeightWidth(both, both), margin)


def _resize_image(image: GraphValue, size: HeightWidth, wanted: HeightWidth) -> GraphValue:
    """Return ``image`` (H, W, 3) of ``size`` as (3, h, w) float32 of the ``wanted`` size, in whole numbers."""
    across = HeightWidth(size.y / wanted.y, size.x / wanted.x)
    strongest = across.y.apply("Max", across.x)
    linear = strongest <= MAX_SQUARES_SHRINK
    # A mean over squares is linear interpolation to twice the size, and then the mean of each two by two.
    parts = (linear & (strongest > MAX_LINEAR_SHRINK)).select(size.y.to_value(2.0), 1.0)
    finer = HeightWidth(wanted.y * parts, wanted.x * parts)
    down, right = (_resize_matrix(size, finer, linear, side) for side in ("y", "x"))
    rows = down.apply("MatMul", image.reshape(0, -1).cast(np.float32))
    planes = rows.reshape(_to_int_vector(finer.y, size.x, size.y.to_value(3.0))).apply("Transpose", perm=[2, 0, 1])
    spread = planes.apply("MatMul", right.apply("Transpose", perm=[1, 0])).apply("Max", 0.0).apply("Min", 255.0)
    rounded = linear.select(_round_half_up(spread - _ROUNDING_BIAS), spread.apply("Round"))
    squares = rounded.reshape(_to_int_vector(size.y.to_value(3.0), wanted.y, parts, wanted.x, parts))
    total = squares.apply("ReduceSum", squares.add_int_constant([2, 4]), keepdims=0)
    return _round_half_up(total / (parts * parts).cast(np.float32))


def _round_half_up(values: GraphValue) -> GraphValue:
    return (values + 0.5).apply("Floor")


def _resize_matrix(size: HeightWidth, wanted: HeightWidth, linear: GraphValue, side: str) -> GraphValue:
    """Return the matrix (wanted, size) of one side, float32: linear interpolation, or means over areas."""
    count, scale = getattr(size, side), getattr(size, side) / getattr(wanted, side)
    places, pixels = make_range(getattr(wanted, side)).unsqueeze(1), make_range(count).unsqueeze(0)
    both_shrink = (size.y / wanted.y).apply("Min", size.x / wanted.x) >= 1.0
    areas = both_shrink.select(_area_weights(places, pixels, scale), _mixed_area_weights(places, pixels, count, scale))
    return linear.select(_linear_weights((places + 0.5) * scale - 0.5, pixels, count), areas).cast(np.float32)


def _linear_weights(centres: GraphValue, pixels: GraphValue, count: GraphValue) -> GraphValue:
    """Return the weights of linear interpolation at ``centres``; beyond the edge it is as at the edge."""
    inside = centres.apply("Max", 0.0).apply("Min", count - 1.0)
    return (1.0 - (inside - pixels).apply("Abs")).apply("Max", 0.0)


def _area_weights(places: GraphValue, pixels: GraphValue, scale: GraphValue) -> GraphValue:
    """Return the weights of means over areas: the part of each place that each pixel covers."""
    end = ((places + 1.0) * scale).apply("Min", pixels + 1.0)
    return (end - (places * scale).apply("Max", pixels)).apply("Max", 0.0) / scale


def _mixed_area_weights(places: GraphValue, pixels: GraphValue, count: GraphValue, scale: GraphValue) -> GraphValue:
    """Return the weights that OpenCV takes for areas where one side is enlarged while the other shrinks."""
    first = (places * scale).apply("Floor")
    way = (places + 1.0 - (first + 1.0) / scale).apply("Max", 0.0)
    way = way - way.apply("Floor")
    last = (first + 1.0).apply("Min", count - 1.0)
    return pixels.equal(first).cast(np.float64) * (1.0 - way) + pixels.equal(last).cast(np.float64) * way


def _normalise_planes(planes: GraphValue, spec: PreprocessSpec) -> GraphValue:
    """Return ``planes`` (3, h, w), RGB of 0 to 255, as the numbers (C, h, w) that the network reads."""
    if spec.channels == "grey":
        luma = planes * np.reshape(LUMA_WEIGHTS, (3, 1, 1))
        planes = luma.apply("ReduceSum", luma.add_int_constant([0]), keepdims=1)
    elif spec.channels == "bgr":
        planes = planes.gather([2, 1, 0])
    if spec.standardise == "samplewise":
        centred = planes - planes.apply("ReduceMean", keepdims=0)
        spread = (centred * centred).apply("ReduceMean", keepdims=0).apply("Sqrt")
        return centred / (spread > FLAT_STD).select(spread, 1.0)
    mean, std = (np.asarray(one, np.float32).reshape(-1, 1, 1) for one in (spec.mean, spec.std))
    return planes * (1 / std) - mean / std


def _round_to_at_least_one(pixels: GraphValue) -> GraphValue:
    return pixels.apply("Round").apply("Max", 1.0)


def _to_int_vector(*numbers: GraphValue) -> GraphValue:
    """Return numbers alone as one row of whole ones."""
    return concat_values([one.reshape(1) for one in numbers]).cast(np.int64)
