"""Test model: tiny ONNX detector that finds red and blue squares on grey."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lince.annotations import Classes
from lince.model_card import NETWORK_FILE, ModelCard
from lince.postprocess import DEFAULT_FILTER, DetectionFilter
from lince.preprocess import PreprocessSpec

NAMES = ("rojo ñ", "azul")
SIZE = 64
CELLS = 8
SPEC = PreprocessSpec(SIZE, SIZE, "corner", "rgb", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def network(batch: int | str = "N", declared: bool = True) -> onnx.ModelProto:
    """Return a network with YOLOX's outputs: each cell of 8 pixels without green is a red or blue object."""
    box = np.array([0.5, 0.5, 0.0, 0.0], np.float32)  # this cell
    probabilities = np.array([[0, -0.2, 0], [0.2, 0, -0.2], [-0.2, 0, 0.2]], np.float32)
    nodes, constants, places = [], {"shape": np.array([0, 7, -1], np.int64)}, []
    for stride in (8, 16, 32):
        # Only the finest map has detections.
        bias = np.array([12.0 if stride == 8 else -99.0, 0.0, 0.0], np.float32)
        constants |= {
            f"box{stride}": np.zeros((4, 3, 1, 1), np.float32), f"boxbias{stride}": box,
            f"say{stride}": probabilities[:, :, None, None], f"saybias{stride}": bias,
        }  # fmt: skip
        nodes += [
            helper.make_node(
                "AveragePool", ["images"], [f"p{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2
            ),
            helper.make_node("Conv", [f"p{stride}", f"box{stride}", f"boxbias{stride}"], [f"b{stride}"]),
            helper.make_node("Conv", [f"p{stride}", f"say{stride}", f"saybias{stride}"], [f"l{stride}"]),
            helper.make_node("Sigmoid", [f"l{stride}"], [f"s{stride}"]),
            helper.make_node("Concat", [f"b{stride}", f"s{stride}"], [f"c{stride}"], axis=1),
            helper.make_node("Reshape", [f"c{stride}", "shape"], [f"f{stride}"]),
        ]
        places.append(f"f{stride}")
    nodes.append(helper.make_node("Concat", places, ["rows"], axis=2))
    nodes.append(helper.make_node("Transpose", ["rows"], ["raw"], perm=[0, 2, 1]))
    sides = [batch, 84, 7] if declared else [batch, "places", "numbers"]
    graph = helper.make_graph(
        nodes,
        "finder",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, sides)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def card(
    names: Sequence[str] = NAMES, spec: PreprocessSpec = SPEC, keeping: DetectionFilter = DEFAULT_FILTER
) -> ModelCard:
    return ModelCard(
        "detect", Classes(tuple(names)), spec, "finder", "Apache-2.0", "made for a test", decoder="yolox",
        detection_filter=keeping,
    )  # fmt: skip


def model_folder(folder: Path, batch: int | str = "N", declared: bool = True) -> Path:
    """Write the model and its card into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network(batch, declared), folder / NETWORK_FILE)
    card().save(folder)
    return folder


def scene(
    squares: Sequence[tuple[int, int, int]], height: int = SIZE, width: int = SIZE, seed: int = 0
) -> NDArray[np.uint8]:
    """Return a noisy grey photo with ``squares`` (class, column, row), in cells of 1/8 of its longer side."""
    picture = np.random.default_rng(seed).integers(90, 140, (height, width, 3)).astype(np.uint8)
    side = max(height, width) // CELLS
    for class_id, column, row in squares:
        picture[row * side : (row + 1) * side, column * side : (column + 1) * side] = ((255, 0, 0), (0, 0, 255))[
            class_id
        ]
    return picture
