"""Which nodes of a network gain from eight bits, by the rules that measurements gave (NOTES.md, Eight bits)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

_LAYER_OPERATORS = ("Conv", "Gemm", "MatMul")
_FEW_CHANNELS, _FEW_WEIGHTS = 4, 64  # below both, kernels for eight bits have no fast way
# What works in eight bits without leaving them: it is quantised where it stands between layers that are.
_LIGHT_OPERATORS = frozenset(
    {"Relu", "Clip", "LeakyRelu", "Sigmoid", "Mul", "Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool",
     "Flatten", "Reshape", "Resize", "Transpose", "Squeeze", "Unsqueeze", "Slice"}
)  # fmt: skip


@dataclass(frozen=True)
class LayerSelection:
    """The nodes of a ``graph`` whose weights may be int8, by name, in the order of the work.

    ``inner`` are the nodes after which there is still a layer with weights, of whatever precision.
    """

    graph: Any
    layer_names: tuple[str, ...]
    inner_nodes: frozenset[str]

    @classmethod
    def from_graph(cls, graph: Any) -> LayerSelection:
        """Return the layers of ``graph`` that gain: all with weights but the first and the last ones.

        A small convolution over fewer than four channels is slower in eight bits than in float; unless a max pool
        follows, which ONNX Runtime would do in eight bits all the same, some fifty times slower than between layers
        that are. What comes after the last layers is the answer itself, so these keep their precision.
        """
        # A vector is no layer: D-FINE multiplies by one to read a distance from its distribution.
        weights = {item.name: tuple(item.dims) for item in graph.initializer if len(item.dims) > 1}
        layers = [node for node in graph.node if node.op_type in _LAYER_OPERATORS and node.input[1] in weights]
        inner = _nodes_before_layers(graph, {node.name for node in layers})
        pooled = _nodes_before_max_pools(graph)
        paying = [
            node.name
            for node in layers
            if node.name in inner and (node.name in pooled or not _has_few_channels(node, weights[node.input[1]]))
        ]
        return cls(graph, tuple(paying), frozenset(inner))

    def add_light_nodes(self, chosen: Collection[str]) -> list[str]:
        """Return ``chosen`` and the light nodes between: those that read only eight-bit nodes and lead to a layer."""
        constants = {item.name for item in self.graph.initializer}
        eight: set[str] = set()  # tensors
        taken = []
        for node in self.graph.node:
            read = [name for name in node.input if name and name not in constants]
            light = (
                node.op_type in _LIGHT_OPERATORS
                and node.name in self.inner_nodes
                and bool(read)
                and eight.issuperset(read)
            )
            if node.name in chosen or light:
                taken.append(node.name)
                eight.update(node.output)
        return taken


def _nodes_before_layers(graph: Any, layers: Collection[str]) -> set[str]:
    """Return the names of the nodes after which there is still one of ``layers``."""
    wanted: set[str] = set()  # tensors
    found = set()
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            found.add(node.name)
        if node.name in layers or node.name in found:
            wanted.update(node.input)
    return found


def _has_few_channels(node: Any, weight: tuple[int, ...]) -> bool:
    grouped = any(item.name == "group" and item.i > 1 for item in node.attribute)
    few = weight[1] < _FEW_CHANNELS and math.prod(weight[1:]) < _FEW_WEIGHTS
    return node.op_type == "Conv" and not grouped and few


def _nodes_before_max_pools(graph: Any) -> set[str]:
    """Return the names of the nodes whose answer goes to a max pool, through an activation or not."""
    wanted: set[str] = set()  # tensors
    found = set()
    for node in reversed(graph.node):
        if node.op_type == "MaxPool":
            wanted.update(node.input)
        elif wanted.intersection(node.output):
            found.add(node.name)
            if node.op_type in ("Relu", "Clip"):
                wanted.update(node.input)
    return found
