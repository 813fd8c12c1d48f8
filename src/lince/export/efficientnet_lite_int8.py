"""Writes the backbone of an EfficientNet-Lite in int8, from its tensors alone: no photo is needed to calibrate it.

The ranges of the values follow from the batch norms, which hold the mean and the deviation of each channel (Nagel et
al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction"), and from ReLU6. So one network
serves every dataset: its features are computed once, and photos that are added change none of the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.export.efficientnet_lite import (
    CLIP_LIMIT,
    BackboneCost,
    Doubles,
    FeatureMap,
    FoldedConv,
    LiteGraph,
    write_graph,
)
from lince.export.onnx_builder import GraphValue
from lince.preprocess import PreprocessSpec

# Processors without VNNI add two products of uint8 and int8 in 16 bits, which weights up to 64 cannot overflow. Layers
# that see one channel each are computed by other kernels, in 32 bits.
MAX_WEIGHT, MAX_DEPTHWISE_WEIGHT = 64, 127
_RANGE_DEVIATIONS = 6.0  # of a channel, about its mean, that are represented
_LEVELS = 255
_MAX_BIAS = 2**30


@dataclass(frozen=True)
class _Int8Map(FeatureMap):
    """A map of uint8 q that stands for (q - ``zero_point``) * ``scale``.

    ``means`` and ``variances`` (channels,) are those of the numbers before they are clipped; ``expected`` (channels,)
    are the means of what is represented.
    """

    scale: float
    zero_point: int
    means: Doubles
    variances: Doubles
    expected: Doubles


class _Int8Graph(LiteGraph):
    """Builds the graph with uint8 maps and int8 weights, each weight with one scale per channel; the stem is float."""

    def convolve(
        self, source: FeatureMap, conv: FoldedConv, size: tuple[int, int], clipped: bool, attributes: dict[str, Any]
    ) -> FeatureMap:
        """Return the map of ``size`` that ``conv`` makes of ``source``; the range of its values clips it."""
        if isinstance(source, _Int8Map):
            weight, bias = self._add_weights(source, conv)
            value = self.builder.add_node("Conv", [self.get_numbers(source), weight, bias], np.float32, **attributes)[0]
        else:
            value = source.value.apply("Conv", conv.weight, conv.bias, **attributes)
        variances = conv.deviations**2
        limits = (0.0, float(CLIP_LIMIT)) if clipped else _find_range(conv.means, variances)
        expected = _compute_clipped_means(conv.means, conv.deviations) if clipped else conv.means
        return self._quantise(value, size, limits, (conv.means, variances, expected))

    def add_maps(self, one: FeatureMap, other: FeatureMap) -> FeatureMap:
        """Return the sum of two maps; their values are taken as independent."""
        if not (isinstance(one, _Int8Map) and isinstance(other, _Int8Map)):
            return super().add_maps(one, other)
        means, variances = one.means + other.means, one.variances + other.variances
        value = self.get_numbers(one) + self.get_numbers(other)
        return self._quantise(value, (one.height, one.width), _find_range(means, variances), (means, variances, means))

    def get_numbers(self, source: FeatureMap) -> GraphValue:
        """Return the value of a map as float32."""
        if not isinstance(source, _Int8Map):
            return source.value
        return self.builder.add_node("DequantizeLinear", [source.value, *self._add_scale(source)], np.float32)[0]

    def _quantise(
        self,
        value: GraphValue,
        size: tuple[int, int],
        limits: tuple[float, float],
        statistics: tuple[Doubles, Doubles, Doubles],
    ) -> _Int8Map:
        """Return the float32 ``value`` as a map of uint8 for numbers between ``limits``, which include 0."""
        scale = (limits[1] - limits[0]) / _LEVELS
        zero_point = round(-limits[0] / scale)
        scale_value, zero_value = self._add_scale_values(scale, zero_point)
        quantised = self.builder.add_node("QuantizeLinear", [value, scale_value, zero_value], np.uint8)[0]
        return _Int8Map(quantised, len(statistics[0]), *size, scale, zero_point, *statistics)

    def _add_scale(self, source: _Int8Map) -> tuple[GraphValue, GraphValue]:
        return self._add_scale_values(source.scale, source.zero_point)

    def _add_scale_values(self, scale: float, zero_point: int) -> tuple[GraphValue, GraphValue]:
        """Return a scale and a zero point as constants, which no two nodes share, as ONNX Runtime wants it."""
        return self.builder.add_constant(scale, np.float32), self.builder.add_constant(zero_point, np.uint8)

    def _add_weights(self, source: _Int8Map, conv: FoldedConv) -> tuple[GraphValue, GraphValue]:
        """Return the weight and the bias of ``conv`` in int8 and int32, float_weights.

        The bias makes up for what rounding the weights adds to the mean of each output.
        """
        is_depthwise = conv.weight.shape[1] == 1
        limit = MAX_DEPTHWISE_WEIGHT if is_depthwise else MAX_WEIGHT
        largest = np.abs(conv.weight).reshape(len(conv.weight), -1).max(axis=1)
        # A channel that hardly depends on its inputs keeps its bias, which must fit 32 bits.
        scales = np.maximum(largest / limit, np.abs(conv.bias) / (source.scale * _MAX_BIAS) + 1e-12)
        weight = np.rint(conv.weight / scales[:, None, None, None])
        errors = (weight * scales[:, None, None, None] - conv.weight).sum(axis=(2, 3))
        bias = conv.bias - (errors[:, 0] * source.expected if is_depthwise else errors @ source.expected)
        bias_scales = scales * source.scale
        return (
            self._add_dequantised(weight.astype(np.int8), scales),
            self._add_dequantised(np.rint(bias / bias_scales).astype(np.int32), bias_scales),
        )

    def _add_dequantised(self, values: NDArray[Any], scales: Doubles) -> GraphValue:
        """Return the integers ``values`` (K, ...) times ``scales`` (K,) as a value of the graph."""
        zeros = self.builder.add_constant(np.zeros(len(values)), values.dtype)
        parts = [self.builder.add_constant(values, values.dtype), self.builder.add_constant(scales, np.float32), zeros]
        return self.builder.add_node("DequantizeLinear", parts, np.float32, axis=0)[0]


def write_int8_backbone(tensors: Mapping[str, NDArray[Any]], spec: PreprocessSpec, path: Path) -> BackboneCost:
    """Write what ``efficientnet_lite.write_backbone`` writes with its layers in int8, and return the same cost.

    All sums are exact on every processor: the same photo gives the same features up to rounding in the first layer,
    which is in float32.
    """
    return write_graph(_Int8Graph(tensors), spec, path)


def _find_range(means: Doubles, variances: Doubles) -> tuple[float, float]:
    """Return the least and the greatest number that a map with channels of these statistics represents."""
    reach = _RANGE_DEVIATIONS * np.sqrt(variances)
    return min(0.0, float((means - reach).min())), max(0.0, float((means + reach).max()))


def _compute_clipped_means(means: Doubles, deviations: Doubles) -> Doubles:
    """Return the means (K,) of normal numbers after ReLU6."""
    deviations = np.maximum(deviations, 1e-6)
    bounds = [(limit - means) / deviations for limit in (0.0, float(CLIP_LIMIT))]
    densities = [np.exp(-0.5 * bound**2) / math.sqrt(2 * math.pi) for bound in bounds]
    shares = [0.5 * (1 + np.array([math.erf(x) for x in (bound / math.sqrt(2)).tolist()])) for bound in bounds]
    inside = means * (shares[1] - shares[0]) + deviations * (densities[0] - densities[1])
    return np.asarray(inside + CLIP_LIMIT * (1 - shares[1]), np.float64)
