"""Preprocessing as ONNX operators, for images of any size; must match ``preprocess``.

Resizing is linear along the height and along the width, so each of OpenCV's rules is one matrix per side, whose weights
the graph computes from the image's size. The only difference from ``preprocess`` is the rounding of linear
interpolation, by one step of 255 in some pixels: OpenCV computes it in integers.
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

# OpenCV interpolates in integers, at the end in quarters of a step, and truncates twice: this much on average.
_ROUNDING_BIAS = 0.125


@dataclass(frozen=True)
class HeightWidth:
    """A value for the height and one for the width, of the same dtype."""

    y: GraphValue
    x: GraphValue


@dataclass(frozen=True)
class ImagePlacement:
    """Where an image of ``image_size`` is in the input: input pixels = image pixels * ``scale`` + ``offset``."""

    image_size: HeightWidth
    scale: HeightWidth
    offset: HeightWidth


def build_preprocess(image: GraphValue, spec: PreprocessSpec) -> tuple[GraphValue, ImagePlacement]:
    """Return the network's input float32 (1, C, h, w) for ``image`` uint8 RGB (H, W, 3), and its placement."""
    size = _read_image_size(image)
    if spec.resize in PADDED_RESIZE_MODES:
        fitted, placement = _resize_with_padding(image, size, spec)
    else:
        fitted, placement = _resize_to_fill(image, size, spec)
    return _normalise_planes(fitted, spec).unsqueeze(0), placement


def _read_image_size(image: GraphValue) -> HeightWidth:
    """Return the height and width of ``image`` (H, W, 3) as float64 scalars."""
    shape = image.apply("Shape", dtype=np.int64).cast(np.float64)
    return HeightWidth(shape.gather(0), shape.gather(1))


def _resize_to_fill(image: GraphValue, size: HeightWidth, spec: PreprocessSpec) -> tuple[GraphValue, ImagePlacement]:
    """Return the image resized to the whole input, cropped first if ``spec`` says so, and its placement.

    The planes are float32 (3, h, w) with integer values. A cropped image has a negative offset.
    """
    target = HeightWidth(size.y.to_value(spec.height), size.y.to_value(spec.width))
    scale = HeightWidth(target.y / size.y, target.x / size.x)
    offset = HeightWidth(size.y.to_value(0.0), size.y.to_value(0.0))
    source_size = size
    if spec.resize == "crop":
        image, source_size = _crop_to_aspect(image, size, spec.width / spec.height)
        larger_scale = scale.y.apply("Max", scale.x)
        scale = HeightWidth(larger_scale, larger_scale)
        offset = HeightWidth((target.y - size.y * larger_scale) * 0.5, (target.x - size.x * larger_scale) * 0.5)
    return _resize_image(image, source_size, target), ImagePlacement(size, scale, offset)


def _crop_to_aspect(image: GraphValue, size: HeightWidth, aspect: float) -> tuple[GraphValue, HeightWidth]:
    """Return the central part of ``image`` whose width / height is ``aspect``, and its size."""
    cropped_size = HeightWidth(
        _round_to_at_least_one(size.x / aspect).apply("Min", size.y),
        _round_to_at_least_one(size.y * aspect).apply("Min", size.x),
    )
    start = HeightWidth(
        ((size.y - cropped_size.y) * 0.5).apply("Floor"), ((size.x - cropped_size.x) * 0.5).apply("Floor")
    )
    first_pixel = _to_int_vector(start.y, start.x)
    return image.slice_axes(
        first_pixel, first_pixel + _to_int_vector(cropped_size.y, cropped_size.x), (0, 1)
    ), cropped_size


def _resize_with_padding(
    image: GraphValue, size: HeightWidth, spec: PreprocessSpec
) -> tuple[GraphValue, ImagePlacement]:
    """Return the image resized with its aspect ratio kept and padded with grey, and its placement.

    It is at the top left corner where ``spec.resize`` is ``corner``, else in the centre.
    """
    scale = (spec.height / size.y).apply("Min", spec.width / size.x)
    resized_size = HeightWidth(_round_to_at_least_one(size.y * scale), _round_to_at_least_one(size.x * scale))
    padding = HeightWidth(spec.height - resized_size.y, spec.width - resized_size.x)
    offset = HeightWidth(padding.y * 0.0, padding.x * 0.0)
    if spec.resize != "corner":
        offset = HeightWidth((padding.y * 0.5).apply("Floor"), (padding.x * 0.5).apply("Floor"))
    zero = size.y.to_value(0.0)
    pads = _to_int_vector(zero, offset.y, offset.x, zero, padding.y - offset.y, padding.x - offset.x)
    fitted = _resize_image(image, size, resized_size)
    canvas = fitted.apply("Pad", pads, float(LETTERBOX_GREY))
    return canvas, ImagePlacement(size, HeightWidth(scale, scale), offset)


def _resize_image(image: GraphValue, size: HeightWidth, target: HeightWidth) -> GraphValue:
    """Return ``image`` (H, W, 3) of ``size`` resized to ``target``: float32 (3, h, w) with integer values.

    As in ``preprocess``, the interpolation depends on the stronger of the two shrink factors: linear up to
    ``MAX_LINEAR_SHRINK``, linear to twice the size and then the mean of 2 x 2 blocks up to ``MAX_SQUARES_SHRINK``,
    means over areas beyond.
    """
    shrink = HeightWidth(size.y / target.y, size.x / target.x)
    max_shrink = shrink.y.apply("Max", shrink.x)
    linear = max_shrink <= MAX_SQUARES_SHRINK
    # The mean of 2 x 2 blocks after linear interpolation to twice the size; with a factor of 1, no mean.
    block = (linear & (max_shrink > MAX_LINEAR_SHRINK)).select(size.y.to_value(2.0), 1.0)
    fine_size = HeightWidth(target.y * block, target.x * block)
    row_matrix, column_matrix = (_resize_matrix(size, fine_size, linear, side) for side in ("y", "x"))
    resized_rows = row_matrix.apply("MatMul", image.reshape(0, -1).cast(np.float32))
    planes = resized_rows.reshape(_to_int_vector(fine_size.y, size.x, size.y.to_value(3.0))).apply(
        "Transpose", perm=[2, 0, 1]
    )
    resized = (
        planes.apply("MatMul", column_matrix.apply("Transpose", perm=[1, 0])).apply("Max", 0.0).apply("Min", 255.0)
    )
    rounded = linear.select(_round_half_up(resized - _ROUNDING_BIAS), resized.apply("Round"))
    blocks = rounded.reshape(_to_int_vector(size.y.to_value(3.0), target.y, block, target.x, block))
    sums = blocks.apply("ReduceSum", blocks.add_int_constant([2, 4]), keepdims=0)
    return _round_half_up(sums / (block * block).cast(np.float32))


def _round_half_up(values: GraphValue) -> GraphValue:
    """Return the nearest integers, halves rounded up."""
    return (values + 0.5).apply("Floor")


def _resize_matrix(size: HeightWidth, target: HeightWidth, linear: GraphValue, side: str) -> GraphValue:
    """Return the resize matrix (target, source) of one ``side``, ``y`` or ``x``, as float32.

    Its rows are weights of linear interpolation where the condition ``linear`` holds, else of means over areas.
    """
    count, scale = getattr(size, side), getattr(size, side) / getattr(target, side)
    positions, pixels = make_range(getattr(target, side)).unsqueeze(1), make_range(count).unsqueeze(0)
    both_shrink = (size.y / target.y).apply("Min", size.x / target.x) >= 1.0
    area_weights = both_shrink.select(
        _area_weights(positions, pixels, scale), _mixed_area_weights(positions, pixels, count, scale)
    )
    return linear.select(_linear_weights((positions + 0.5) * scale - 0.5, pixels, count), area_weights).cast(np.float32)


def _linear_weights(centres: GraphValue, pixels: GraphValue, count: GraphValue) -> GraphValue:
    """Return the weights of linear interpolation at ``centres``; beyond the edge the edge pixel is repeated."""
    clamped = centres.apply("Max", 0.0).apply("Min", count - 1.0)
    return (1.0 - (clamped - pixels).apply("Abs")).apply("Max", 0.0)


def _area_weights(positions: GraphValue, pixels: GraphValue, scale: GraphValue) -> GraphValue:
    """Return the weights of means over areas: the fraction of each target pixel that each source pixel covers."""
    end = ((positions + 1.0) * scale).apply("Min", pixels + 1.0)
    return (end - (positions * scale).apply("Max", pixels)).apply("Max", 0.0) / scale


def _mixed_area_weights(positions: GraphValue, pixels: GraphValue, count: GraphValue, scale: GraphValue) -> GraphValue:
    """Return the weights of OpenCV's area interpolation where one side is enlarged while the other shrinks."""
    first = (positions * scale).apply("Floor")
    fraction = (positions + 1.0 - (first + 1.0) / scale).apply("Max", 0.0)
    fraction = fraction - fraction.apply("Floor")
    last = (first + 1.0).apply("Min", count - 1.0)
    return pixels.equal(first).cast(np.float64) * (1.0 - fraction) + pixels.equal(last).cast(np.float64) * fraction


def _normalise_planes(planes: GraphValue, spec: PreprocessSpec) -> GraphValue:
    """Return ``planes`` float32 (3, h, w), RGB in 0..255, as the network's input (C, h, w).

    Applies the channel order and the standardisation of ``spec``.
    """
    if spec.channels == "grey":
        luma = planes * np.reshape(LUMA_WEIGHTS, (3, 1, 1))
        planes = luma.apply("ReduceSum", luma.add_int_constant([0]), keepdims=1)
    elif spec.channels == "bgr":
        planes = planes.gather([2, 1, 0])
    if spec.standardise == "samplewise":
        centred = planes - planes.apply("ReduceMean", keepdims=0)
        deviation = (centred * centred).apply("ReduceMean", keepdims=0).apply("Sqrt")
        return centred / (deviation > FLAT_STD).select(deviation, 1.0)
    mean, std = (np.asarray(values, np.float32).reshape(-1, 1, 1) for values in (spec.mean, spec.std))
    return planes * (1 / std) - mean / std


def _round_to_at_least_one(pixels: GraphValue) -> GraphValue:
    """Return ``pixels`` rounded half to even, at least 1."""
    return pixels.apply("Round").apply("Max", 1.0)


def _to_int_vector(*numbers: GraphValue) -> GraphValue:
    """Return scalars as one int64 vector."""
    return concat_values([number.reshape(1) for number in numbers]).cast(np.int64)
