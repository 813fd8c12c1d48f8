"""Rewrites a network so that eight bits pay: pools become parts of convolutions, nodes share no constants."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

_KERNEL_ATTRIBUTES = ("kernel_shape", "strides", "pads", "auto_pad", "dilations")


def name_nodes(graph: Any) -> None:
    """Give every node of ``graph`` that has no name of its own one."""
    known = Counter(node.name for node in graph.node)
    for number, node in enumerate(graph.node):
        if not node.name or known[node.name] > 1:
            node.name = f"{node.op_type}.{number}"


def unshare_constants(graph: Any) -> None:
    """Give every node of ``graph`` constants of its own.

    What a layer in eight bits and one in float share would be turned into eight bits and back for the second, which
    then has no constant weights or bias, and no fast kernel.
    """
    stored = {item.name: item for item in graph.initializer}
    taken: set[str] = set()
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in taken:
                copy = graph.initializer.add()
                copy.CopyFrom(stored[name])
                copy.name = f"{name}.{node.name}.{place}"
                node.input[place] = copy.name
            elif name in stored:
                taken.add(name)


def fold_average_pools(graph: Any) -> None:
    """Turn average pools followed by a convolution of 1 x 1 alone into one convolution with the pool's kernel.

    The mean of k pixels times w is the sum of each times w / k. ONNX Runtime's average pool in eight bits takes five
    to ten times as long as such a convolution.
    """
    constants = {item.name: item for item in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(output.name for output in graph.output)
    for node in list(graph.node):
        pool = _average_pool_params(node)
        follower = next((other for other in graph.node if node.output[0] in other.input), None)
        if pool is None or follower is None or readers[node.output[0]] != 1:
            continue
        if _is_pointwise_conv(follower, constants, readers):
            _apply_pool_kernel(follower, pool, constants)
            follower.input[0] = node.input[0]
            graph.node.remove(node)


def _node_attributes(node: Any) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def _average_pool_params(node: Any) -> tuple[list[int], list[int]] | None:
    """Return (kernel, strides) of an average pool over whole windows; ``None`` for any other node."""
    if node.op_type != "AveragePool":
        return None
    found = _node_attributes(node)
    plain = not any(found.get("pads", ())) and found.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    plain = plain and not found.get("ceil_mode", 0) and set(found.get("dilations", (1,))) == {1}
    kernel = list(found["kernel_shape"])
    return (kernel, list(found.get("strides", [1] * len(kernel)))) if plain else None


def _is_pointwise_conv(node: Any, constants: dict[str, Any], readers: Counter[str]) -> bool:
    """Tell whether ``node`` is a convolution of 1 x 1, stride 1, no padding, with constant weights of its own."""
    if node.op_type != "Conv" or node.input[1] not in constants or readers[node.input[1]] != 1:
        return False
    found = _node_attributes(node)
    ones = set(constants[node.input[1]].dims[2:]) == {1} and set(found.get("strides", (1,))) == {1}
    return ones and not any(found.get("pads", ()))


def _apply_pool_kernel(node: Any, pool: tuple[list[int], list[int]], constants: dict[str, Any]) -> None:
    """Give the convolution ``node`` of 1 x 1 the kernel and strides of ``pool``."""
    kernel, strides = pool
    stored = constants[node.input[1]]
    weight = numpy_helper.to_array(stored)
    wide = np.broadcast_to(weight / np.prod(kernel), (*weight.shape[:2], *kernel))
    stored.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(wide, weight.dtype), stored.name))
    kept = [item for item in node.attribute if item.name not in _KERNEL_ATTRIBUTES]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(
        helper.make_attribute(name, value)
        for name, value in (("kernel_shape", kernel), ("strides", strides), ("pads", [0] * 2 * len(kernel)))
    )
