"""Selects the layers to quantise to int8 (rules and measurements in NOTES.md, section Eight bits)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

_LAYER_OPERATORS = ("Conv", "Gemm", "MatMul")
_FEW_CHANNELS, _FEW_WEIGHTS = 4, 64  # below both, int8 kernels are slower than float
# Operators without weights that can work on int8 tensors: quantised where all their inputs are.
_LIGHT_OPERATORS = frozenset(
    {"Relu", "Clip", "LeakyRelu", "Sigmoid", "Mul", "Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool",
     "Flatten", "Reshape", "Resize", "Transpose", "Squeeze", "Unsqueeze", "Slice"}
)  # fmt: skip


@dataclass(frozen=True)
class LayerSelection:
    """The layers of a ``graph`` that may be int8, by node name, in execution order.

    ``inner_nodes`` are the nodes from which another layer with weights, of any precision, is reached.
    """

    graph: Any
    layer_names: tuple[str, ...]
    inner_nodes: frozenset[str]

    @classmethod
    def from_graph(cls, graph: Any) -> LayerSelection:
        """Return the layers of ``graph`` that gain by int8: all with constant weights but the first and the last ones.

        A small convolution over fewer than four channels is slower in int8 than in float, unless a max pool follows it:
        ONNX Runtime runs such a pool in int8 in any case, some fifty times slower after a float layer than after an
        int8 one. Nothing after the last layers can restore their precision, so these stay in float.
        """
        # Multiplying by a vector is not a layer: D-FINE does so to turn a distribution into a distance.
        weights = {item.name: tuple(item.dims) for item in graph.initializer if len(item.dims) > 1}
        layers = [node for node in graph.node if node.op_type in _LAYER_OPERATORS and node.input[1] in weights]
        inner_nodes = _nodes_before_layers(graph, {node.name for node in layers})
        pooled_nodes = _nodes_before_max_pools(graph)
        names = [
            node.name
            for node in layers
            if node.name in inner_nodes
            and (node.name in pooled_nodes or not _has_few_channels(node, weights[node.input[1]]))
        ]
        return cls(graph, tuple(names), frozenset(inner_nodes))

    def add_light_nodes(self, chosen: Collection[str]) -> list[str]:
        """Return ``chosen`` with the light nodes between them, in execution order.

        These are the nodes without weights whose inputs are all int8 and from which another layer is reached.
        """
        constants = {item.name for item in self.graph.initializer}
        int8_tensors: set[str] = set()
        names = []
        for node in self.graph.node:
            inputs = [name for name in node.input if name and name not in constants]
            is_light = (
                node.op_type in _LIGHT_OPERATORS
                and node.name in self.inner_nodes
                and bool(inputs)
                and int8_tensors.issuperset(inputs)
            )
            if node.name in chosen or is_light:
                names.append(node.name)
                int8_tensors.update(node.output)
        return names


def _nodes_before_layers(graph: Any, layers: Collection[str]) -> set[str]:
    """Return the names of the nodes from which one of ``layers`` is reached."""
    needed_tensors: set[str] = set()
    names = set()
    for node in reversed(graph.node):
        if needed_tensors.intersection(node.output):
            names.add(node.name)
        if node.name in layers or node.name in names:
            needed_tensors.update(node.input)
    return names


def _has_few_channels(node: Any, weight: tuple[int, ...]) -> bool:
    """Return whether ``node`` is an ungrouped convolution with few input channels and few weights per output channel.

    ``weight`` is the shape (K, C, h, w) of its weights.
    """
    is_grouped = any(item.name == "group" and item.i > 1 for item in node.attribute)
    is_small = weight[1] < _FEW_CHANNELS and math.prod(weight[1:]) < _FEW_WEIGHTS
    return node.op_type == "Conv" and not is_grouped and is_small


def _nodes_before_max_pools(graph: Any) -> set[str]:
    """Return the names of the nodes whose output goes to a max pool, directly or through a ReLU or Clip."""
    pool_inputs: set[str] = set()
    names = set()
    for node in reversed(graph.node):
        if node.op_type == "MaxPool":
            pool_inputs.update(node.input)
        elif pool_inputs.intersection(node.output):
            names.add(node.name)
            if node.op_type in ("Relu", "Clip"):
                pool_inputs.update(node.input)
    return names
