"""Rewrites ONNX graphs before quantisation: folds average pools into convolutions, gives nodes their own constants."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

_KERNEL_ATTRIBUTES = ("kernel_shape", "strides", "pads", "auto_pad", "dilations")


def name_nodes(graph: Any) -> None:
    """Give every node of ``graph`` without a unique name one of the form ``<operator>.<index>``."""
    name_counts = Counter(node.name for node in graph.node)
    for index, node in enumerate(graph.node):
        if not node.name or name_counts[node.name] > 1:
            node.name = f"{node.op_type}.{index}"


def unshare_constants(graph: Any) -> None:
    """Give every node of ``graph`` its own copies of the constants that it shares with an earlier node.

    When an int8 layer and a float layer share a weight or bias, the quantiser makes the float layer read it through a
    dequantisation; its weights are then no longer constant, and it gets no fast kernel.
    """
    initializers = {item.name: item for item in graph.initializer}
    used_names: set[str] = set()
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in used_names:
                copy = graph.initializer.add()
                copy.CopyFrom(initializers[name])
                copy.name = f"{name}.{node.name}.{position}"
                node.input[position] = copy.name
            elif name in initializers:
                used_names.add(name)


def fold_average_pools(graph: Any) -> None:
    """Merge each average pool whose only reader is a 1 x 1 convolution into that convolution, with the pool's kernel.

    The mean of k pixels times w is the sum over the pixels of each times w / k. ONNX Runtime's int8 average pool takes
    five to ten times as long as such a convolution.
    """
    constants = {item.name: item for item in graph.initializer}
    reader_counts = Counter(name for node in graph.node for name in node.input)
    reader_counts.update(output.name for output in graph.output)
    for node in list(graph.node):
        pool = _average_pool_params(node)
        consumer = next((candidate for candidate in graph.node if node.output[0] in candidate.input), None)
        if pool is None or consumer is None or reader_counts[node.output[0]] != 1:
            continue
        if _is_pointwise_conv(consumer, constants, reader_counts):
            _apply_pool_kernel(consumer, pool, constants)
            consumer.input[0] = node.input[0]
            graph.node.remove(node)


def _node_attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of ``node`` by name, as Python values."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def _average_pool_params(node: Any) -> tuple[list[int], list[int]] | None:
    """Return (kernel, strides) of an average pool without padding or dilation; ``None`` for any other node."""
    if node.op_type != "AveragePool":
        return None
    attributes = _node_attributes(node)
    is_plain = not any(attributes.get("pads", ())) and attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    is_plain = is_plain and not attributes.get("ceil_mode", 0) and set(attributes.get("dilations", (1,))) == {1}
    kernel = list(attributes["kernel_shape"])
    return (kernel, list(attributes.get("strides", [1] * len(kernel)))) if is_plain else None


def _is_pointwise_conv(node: Any, constants: dict[str, Any], reader_counts: Counter[str]) -> bool:
    """Return whether ``node`` is a 1 x 1 convolution of stride 1, unpadded, with constant weights of its own."""
    if node.op_type != "Conv" or node.input[1] not in constants or reader_counts[node.input[1]] != 1:
        return False
    attributes = _node_attributes(node)
    is_pointwise = set(constants[node.input[1]].dims[2:]) == {1} and set(attributes.get("strides", (1,))) == {1}
    return is_pointwise and not any(attributes.get("pads", ()))


def _apply_pool_kernel(node: Any, pool: tuple[list[int], list[int]], constants: dict[str, Any]) -> None:
    """Give the 1 x 1 convolution ``node`` the kernel and strides of ``pool``, with its weights divided.

    ``constants`` are the graph's initializers by name; the one with the weights is replaced in place.
    """
    kernel, strides = pool
    initializer = constants[node.input[1]]
    weight = numpy_helper.to_array(initializer)
    kernel_weight = np.broadcast_to(weight / np.prod(kernel), (*weight.shape[:2], *kernel))
    initializer.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kernel_weight, weight.dtype), initializer.name))
    other_attributes = [item for item in node.attribute if item.name not in _KERNEL_ATTRIBUTES]
    del node.attribute[:]
    node.attribute.extend(other_attributes)
    node.attribute.extend(
        helper.make_attribute(name, value)
        for name, value in (("kernel_shape", kernel), ("strides", strides), ("pads", [0] * 2 * len(kernel)))
    )
