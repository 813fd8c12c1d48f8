"""Attaches a linear head for pixels to a frozen body: one 1 x 1 convolution for each of its maps, summed at the finest.

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
from lince.export.onnx_builder import GraphBuilder, GraphValue

_PREFIX = "head/"


def attach_pixel_head(body: Path, weights: Sequence[NDArray[Any]], bias: NDArray[Any], path: Path) -> None:
    """Write to ``path`` the network of ``body`` with a head that outputs ``logits`` (N, K, h, w) at its finest map.

    ``body`` has an output ``map0``, ``map1``, ... for each of ``weights`` (K, channels), the finest first; ``bias`` is
    (K,). Coarser maps are interpolated linearly between the centres of their cells. The maps are outputs no more.
    Raises ``ModelError`` when ``body`` cannot be read.
    """
    model = onnx_graph.read_onnx(body)
    builder = GraphBuilder(prefix=_PREFIX)
    shapes = {
        output.name: [side.dim_value for side in output.type.tensor_type.shape.dim] for output in model.graph.output
    }
    finest = shapes[onnx_graph.name_feature_map(0)]
    total: GraphValue | None = None
    for level, weight in enumerate(weights):
        name = onnx_graph.name_feature_map(level)
        value = GraphValue(builder, name, np.dtype(np.float32))
        kernel = np.asarray(weight, np.float32)[:, :, None, None]
        shift = np.asarray(bias if total is None else np.zeros_like(bias), np.float32)
        logits = value.apply("Conv", kernel, shift, kernel_shape=[1, 1])
        if shapes[name][2:] != finest[2:]:
            logits = _enlarge(logits, shapes[name], finest)
        total = logits if total is None else total + logits
    if total is None:
        raise ValueError("a head needs a map")
    builder.nodes.append(helper.make_node("Identity", [total.name], [onnx_graph.LOGITS], name="logits_output"))
    graph = model.graph
    graph.node.extend(builder.nodes)
    graph.initializer.extend(builder.constants)
    del graph.output[:]
    shape = ["N", len(bias), *finest[2:]]
    graph.output.append(helper.make_tensor_value_info(onnx_graph.LOGITS, TensorProto.FLOAT, shape))
    onnx_graph.write_onnx(model, path)


def _enlarge(value: GraphValue, shape: Sequence[int], finest: Sequence[int]) -> GraphValue:
    """Return ``value``, of a map of ``shape``, at the size of the map of shape ``finest``."""
    scales = [1.0, 1.0, *(large / small for large, small in zip(finest[2:], shape[2:], strict=True))]
    builder = value.builder
    inputs = [value, GraphValue(builder, "", np.dtype(np.float32)), builder.add_constant(scales, np.float32)]
    return builder.add_node("Resize", inputs, mode="linear", coordinate_transformation_mode="half_pixel")[0]
