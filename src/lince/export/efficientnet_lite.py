"""Writes the backbone of an EfficientNet-Lite as ONNX from its tensors alone: the same graph without torch and timm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from lince.export import onnx_graph
from lince.export.onnx_builder import GraphBuilder, GraphValue, concat_values
from lince.preprocess import PreprocessSpec

NORM_EPSILON = 1e-3  # of batch norms in TensorFlow's EfficientNets
IR_VERSION = 8  # the one that belongs to opset 17
CLIP_LIMIT = 6  # of the ReLU6 that follow most convolutions
_STRIDING_STAGES = (1, 2, 3, 5)  # whose first block halves the map
_EMBEDDED_STAGES = (2, 4, 6)  # whose last map is averaged into the embedding: the ends of the last three sizes
_PYRAMID_STAGES = (1, 2, 4, 6)  # whose last map is the last one at stride 4, 8, 16 and 32
_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureMap:
    """A map in the graph: its value (N, ``channels``, ``height``, ``width``)."""

    value: GraphValue
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class FoldedConv:
    """A convolution with its batch norm folded in: ``weight`` (K, C, h, w) and ``bias`` (K,).

    ``means`` and ``deviations`` (K,) are those of its outputs over the photos that its weights were trained on.
    """

    weight: Doubles
    bias: Doubles
    means: Doubles
    deviations: Doubles


@dataclass(frozen=True)
class BackboneCost:
    """What a backbone costs: its parameters, multiply-accumulates for one image, and the values of its embedding."""

    params: int
    macs: int
    width: int


class LiteGraph:
    """Builds the graph from ``tensors`` by timm's names; ``macs`` and ``used_params`` count what it has so far."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        self.builder = GraphBuilder(prefix="backbone/")
        self.macs = 0
        self.used_params = 0
        self._tensors = tensors
        self._limits = self.builder.add_constant(0, np.float32), self.builder.add_constant(CLIP_LIMIT, np.float32)

    def add_conv(self, source: FeatureMap, layer: str, norm: str, stride: int = 1, clipped: bool = True) -> FeatureMap:
        """Return the convolution ``layer`` of ``source`` with its batch norm folded in, then ReLU6 where ``clipped``.

        It pads as TensorFlow does, for inputs of this size.
        """
        conv = self._fold_norm(layer, norm)
        kernel, sides = conv.weight.shape[2], [source.height, source.width]
        pads = np.array([_compute_same_pads(side, kernel, stride) for side in sides])
        attributes = {
            "kernel_shape": [kernel, kernel],
            "strides": [stride, stride],
            "pads": pads.T.ravel().tolist(),
            "group": source.channels // conv.weight.shape[1],
        }
        height, width = (-(-side // stride) for side in sides)
        self.macs += height * width * conv.weight.size
        self.used_params += conv.weight.size + 2 * conv.bias.size
        return self.convolve(source, conv, (height, width), clipped, attributes)

    def convolve(
        self, source: FeatureMap, conv: FoldedConv, size: tuple[int, int], clipped: bool, attributes: dict[str, Any]
    ) -> FeatureMap:
        """Return the map of ``size`` (height, width) that ``conv`` makes of ``source``, clipped where that is asked."""
        value = source.value.apply("Conv", conv.weight, conv.bias, **attributes)
        if clipped:
            value = value.apply("Clip", *self._limits)
        return FeatureMap(value, len(conv.bias), *size)

    def add_maps(self, one: FeatureMap, other: FeatureMap) -> FeatureMap:
        """Return the sum of two maps of one shape."""
        return FeatureMap(one.value + other.value, one.channels, one.height, one.width)

    def get_numbers(self, source: FeatureMap) -> GraphValue:
        """Return the value of a map as float32."""
        return source.value

    def add_block(self, source: FeatureMap, name: str, stride: int) -> FeatureMap:
        """Return the inverted residual block ``name`` of ``source``, or the first one, which widens nothing."""
        if f"{name}.conv_pwl.weight" in self._tensors:
            inner = self.add_conv(source, f"{name}.conv_pw", f"{name}.bn1")
            inner = self.add_conv(inner, f"{name}.conv_dw", f"{name}.bn2", stride)
            result = self.add_conv(inner, f"{name}.conv_pwl", f"{name}.bn3", clipped=False)
        else:
            inner = self.add_conv(source, f"{name}.conv_dw", f"{name}.bn1", stride)
            result = self.add_conv(inner, f"{name}.conv_pw", f"{name}.bn2", clipped=False)
        return result if stride > 1 or source.channels != result.channels else self.add_maps(result, source)

    def add_stages(self, source: FeatureMap) -> list[FeatureMap]:
        """Return the last map of each stage."""
        ends: list[FeatureMap] = []
        for stage in count():
            if f"blocks.{stage}.0.conv_dw.weight" not in self._tensors:
                return ends
            for block in count():
                name = f"blocks.{stage}.{block}"
                if f"{name}.conv_dw.weight" not in self._tensors:
                    break
                source = self.add_block(source, name, 2 if stage in _STRIDING_STAGES and not block else 1)
            ends.append(source)
        return ends

    def _fold_norm(self, layer: str, norm: str) -> FoldedConv:
        """Return the convolution ``layer`` with the batch norm ``norm`` folded in."""
        weight = self._tensors[f"{layer}.weight"].astype(np.float64)
        scale, bias, mean, variance = (self._tensors[f"{norm}.{part}"].astype(np.float64) for part in _NORM_PARTS)
        factor = scale / np.sqrt(variance + NORM_EPSILON)
        return FoldedConv(weight * factor[:, None, None, None], bias - mean * factor, bias, np.abs(scale))


def write_backbone(tensors: Mapping[str, NDArray[Any]], spec: PreprocessSpec, path: Path) -> BackboneCost:
    """Write to ``path`` the network of ``tensors`` without its classifier, for inputs of ``spec``, and return its cost.

    ``tensors`` are by timm's names. The outputs are those of ``torch_to_onnx.export_backbone``: ``embedding`` (N, D) is
    the mean and the maximum of the last map and the means of three earlier ones, ``map`` is the last map.
    Raises ``KeyError`` for a tensor that is missing.
    """
    return write_graph(LiteGraph(tensors), spec, path)


def write_graph(graph: LiteGraph, spec: PreprocessSpec, path: Path) -> BackboneCost:
    """Write to ``path`` the network that ``graph``, still empty, builds; as ``write_backbone``."""
    ends = _add_body(graph, spec)
    last = graph.add_conv(ends[-1], "conv_head", "bn2")
    numbers = graph.get_numbers(last)
    pooled = [numbers.apply(name, axes=[2, 3], keepdims=0) for name in ("ReduceMean", "ReduceMax")]
    embedded = [ends[stage] for stage in _EMBEDDED_STAGES]
    pooled += [graph.get_numbers(end).apply("ReduceMean", axes=[2, 3], keepdims=0) for end in embedded]
    embedding = concat_values(pooled, axis=1)
    width = 2 * last.channels + sum(end.channels for end in embedded)
    shapes = {onnx_graph.EMBEDDING: ["N", width], onnx_graph.MAP: ["N", last.channels, last.height, last.width]}
    _write_model(graph.builder, spec, shapes, (embedding, numbers), path)
    return BackboneCost(graph.used_params, graph.macs, width)


def write_pyramid(tensors: Mapping[str, NDArray[Any]], spec: PreprocessSpec, path: Path) -> BackboneCost:
    """Write to ``path`` the network of ``tensors`` up to its map at stride 32, and return its cost.

    ``tensors`` are by timm's names. The outputs are those of ``torch_to_onnx.export_feature_maps``: ``map0`` to
    ``map3``, the maps at strides 4, 8, 16 and 32. Raises ``KeyError`` for a tensor that is missing.
    """
    graph = LiteGraph(tensors)
    ends = _add_body(graph, spec)
    maps = [ends[stage] for stage in _PYRAMID_STAGES]
    shapes = {
        onnx_graph.name_feature_map(level): ["N", end.channels, end.height, end.width] for level, end in enumerate(maps)
    }
    _write_model(graph.builder, spec, shapes, [graph.get_numbers(end) for end in maps], path)
    return BackboneCost(graph.used_params, graph.macs, sum(end.channels for end in maps))


def _add_body(graph: LiteGraph, spec: PreprocessSpec) -> list[FeatureMap]:
    """Add the network up to its last stage to ``graph``, and return the last map of each stage."""
    images = GraphValue(graph.builder, onnx_graph.IMAGES, np.dtype(np.float32))
    stem = graph.add_conv(FeatureMap(images, 3, spec.height, spec.width), "conv_stem", "bn1", stride=2)
    return graph.add_stages(stem)


def _write_model(
    builder: GraphBuilder,
    spec: PreprocessSpec,
    outputs: Mapping[str, list[Any]],
    values: Sequence[GraphValue],
    path: Path,
) -> None:
    """Write the nodes of ``builder`` as a model whose number of images N is free, with ``values`` as ``outputs``."""
    for name, value in zip(outputs, values, strict=True):
        builder.nodes.append(helper.make_node("Identity", [value.name], [name], name=f"{name}_output"))
    inputs = [helper.make_tensor_value_info(onnx_graph.IMAGES, TensorProto.FLOAT, ["N", *spec.shape])]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(builder.nodes, "backbone", inputs, infos, builder.constants)
    opset = helper.make_opsetid("", onnx_graph.OPSET)
    onnx_graph.write_onnx(helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION), path)


def _compute_same_pads(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's padding before and after an axis of ``side`` pixels; an odd total is larger at the end."""
    total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return total // 2, total - total // 2
