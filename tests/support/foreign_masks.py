"""Test data: networks of instance segmentation in Ultralytics' layout that give the same outputs for every image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE, CELLS, MAPS = 64, 16, 32
SAID = {
    "description": "Nano model trained on nothing", "author": "Ultralytics", "task": "segment", "imgsz": "[64, 64]",
    "license": "AGPL-3.0 License (https://ultralytics.com/license)", "stride": "32", "names": "{0: 'gato', 1: 'ñu'}",
}  # fmt: skip


def make_outputs(seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return random outputs (1, 4 + 2 + 32, 84) and (1, 32, 16, 16): five boxes, two of them duplicates."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((1, 4 + 2 + MAPS, 84), np.float32)
    boxes = [[20, 30, 30, 40], [21, 30, 30, 40], [45, 40, 24, 30], [30, 20, 50, 20], [50, 10, 20, 14]]
    for column, (box, scores) in enumerate(zip(boxes, [(0.9, 0), (0.8, 0), (0, 0.7), (0.6, 0), (0.1, 0)], strict=True)):
        rows[0, :6, 7 * column] = [*box, *scores]
    rows[0, 6:] = rng.normal(0, 0.3, (MAPS, 84))
    blurred = rng.normal(0, 1, (MAPS, 4, 4)).repeat(4, axis=1).repeat(4, axis=2)
    rows[0, 6], blurred[0] = 2, 1  # so that every mask has pixels
    return rows, blurred[None].astype(np.float32)


def write_network(path: Path, rows: NDArray[np.float32], maps: NDArray[np.float32], said: dict[str, str]) -> Path:
    """Write a network that gives ``rows`` and ``maps`` for every image."""
    nodes = [
        helper.make_node("ReduceSum", ["images"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["rows", "nothing"], ["output0"]),
        helper.make_node("Add", ["maps", "nothing"], ["output1"]),
    ]
    outputs = (("output0", rows), ("output1", maps))
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(values.shape)) for name, values in outputs],
        [
            numpy_helper.from_array(rows, "rows"),
            numpy_helper.from_array(maps, "maps"),
            numpy_helper.from_array(np.array(0, np.float32), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, said)
    onnx.save(model, str(path))
    return path
