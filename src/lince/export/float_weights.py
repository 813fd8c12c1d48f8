"""Writes a network in int8 (QDQ format) without its rounding: the same weights in float32, the same limits as clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from lince.export import onnx_graph

_QUANTISE, _DEQUANTISE = "QuantizeLinear", "DequantizeLinear"


def write_dequantised(network: Path, path: Path) -> None:
    """Write to ``path`` the ONNX ``network`` with its int8 weights as float32, and values that are not rounded.

    What a map of 8 bits cannot represent is still clipped. A network without int8 is written as it is.
    """
    model = onnx_graph.read_onnx(network)
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    quantised = {node.output[0]: node for node in graph.node if node.op_type == _QUANTISE}
    nodes, renamed, added = [], dict[str, str](), []
    for node in graph.node:
        if node.op_type == _DEQUANTISE and node.input[0] in constants:
            added.append(numpy_helper.from_array(_dequantise(node, constants), node.output[0]))
        elif node.op_type == _DEQUANTISE and node.input[0] in quantised:
            renamed[node.output[0]] = node.input[0]
        elif node.op_type == _QUANTISE:
            limits = _find_limits(node, constants)
            names = [f"{node.output[0]}.{end}" for end in ("least", "greatest")]
            added += [numpy_helper.from_array(limit, name) for limit, name in zip(limits, names, strict=True)]
            nodes.append(helper.make_node("Clip", [node.input[0], *names], [node.output[0]], node.name))
        else:
            nodes.append(node)
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    used = {name for node in nodes for name in node.input}
    kept = [item for item in (*graph.initializer, *added) if item.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    onnx_graph.write_onnx(model, path)


def _dequantise(node: Any, constants: dict[str, Any]) -> NDArray[np.float32]:
    """Return the constant that ``node`` dequantises, float32."""
    values, scale, zero = (numpy_helper.to_array(constants[name]) for name in node.input)
    axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
    if scale.ndim:
        shape = [1] * values.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((values.astype(np.int64) - zero.astype(np.int64)) * scale.astype(np.float64), np.float32)


def _find_limits(node: Any, constants: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the least and the greatest number that the quantisation ``node`` represents, float32 scalars."""
    scale, zero = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
    range_of_type = np.iinfo(zero.dtype)
    least, greatest = ((limit - int(zero)) * float(scale) for limit in (range_of_type.min, range_of_type.max))
    return np.asarray(least, np.float32), np.asarray(greatest, np.float32)
