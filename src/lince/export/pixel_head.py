"""Attaches a linear head for pixels to a frozen body: one 1 x 1 convolution for each of its maps, summed at the finest.

To these the logits of the whole image are added, from the mean and the maximum of its coarsest map.

Does not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from lince.export import onnx_graph
from lince.export.onnx_builder import GraphBuilder, GraphValue, concat_values

_PREFIX = "head/"


def attach_pixel_head(
    body: Path, weights: Sequence[NDArray[Any]], scene: NDArray[Any], bias: NDArray[Any], path: Path
) -> None:
    """Write to ``path`` the network of ``body`` with a head that outputs ``logits`` (N, K, h, w) at its finest map.

    ``body`` has an output ``map0``, ``map1``, ... for each of ``weights`` (K, channels), the finest first. ``scene``
    (K, 2 * channels) is for the mean and the maximum of the last, ``bias`` is (K,). Coarser maps are interpolated
    linearly between the centres of their cells. The maps are outputs no more. Raises ``ModelError`` when ``body``
    cannot be read.
    """
    model = onnx_graph.read_onnx(body)
    builder = GraphBuilder(prefix=_PREFIX)
    shapes = {
        output.name: [side.dim_value for side in output.type.tensor_type.shape.dim] for output in model.graph.output
    }
    finest = shapes[onnx_graph.name_feature_map(0)]
    coarsest = GraphValue(builder, onnx_graph.name_feature_map(len(weights) - 1), np.dtype(np.float32))
    pooled = [coarsest.apply(name, axes=[2, 3], keepdims=1) for name in ("ReduceMean", "ReduceMax")]
    total = _convolve(concat_values(pooled, axis=1), scene, bias)
    for level, weight in enumerate(weights):
        name = onnx_graph.name_feature_map(level)
        value = GraphValue(builder, name, np.dtype(np.float32))
        logits = _convolve(value, weight, np.zeros_like(bias))
        if shapes[name][2:] != finest[2:]:
            logits = _enlarge(logits, shapes[name], finest)
        total = logits + total
    builder.nodes.append(helper.make_node("Identity", [total.name], [onnx_graph.LOGITS], name="logits_output"))
    graph = model.graph
    graph.node.extend(builder.nodes)
    graph.initializer.extend(builder.constants)
    del graph.output[:]
    shape = ["N", len(bias), *finest[2:]]
    graph.output.append(helper.make_tensor_value_info(onnx_graph.LOGITS, TensorProto.FLOAT, shape))
    onnx_graph.write_onnx(model, path)


def _convolve(value: GraphValue, weight: NDArray[Any], bias: NDArray[Any]) -> GraphValue:
    """Return the 1 x 1 convolution of ``value`` with ``weight`` (K, C) and ``bias`` (K,)."""
    kernel = np.asarray(weight, np.float32)[:, :, None, None]
    return value.apply("Conv", kernel, np.asarray(bias, np.float32), kernel_shape=[1, 1])


def _enlarge(value: GraphValue, shape: Sequence[int], finest: Sequence[int]) -> GraphValue:
    """Return ``value``, of a map of ``shape``, at the size of the map of shape ``finest``."""
    scales = [1.0, 1.0, *(large / small for large, small in zip(finest[2:], shape[2:], strict=True))]
    builder = value.builder
    inputs = [value, GraphValue(builder, "", np.dtype(np.float32)), builder.add_constant(scales, np.float32)]
    return builder.add_node("Resize", inputs, mode="linear", coordinate_transformation_mode="half_pixel")[0]
