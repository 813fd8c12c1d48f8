"""Test model: tiny ONNX classifier that names the strongest of red, green and blue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lince.annotations import Classes
from lince.model_card import CARD_FILE, NETWORK_FILE, ModelCard
from lince.preprocess import PreprocessSpec

NAMES = ("blue", "green", "red")
WEIGHT = np.array([[0, 0, 9], [0, 9, 0], [9, 0, 0]], np.float32)


def network(names: tuple[str, ...] = NAMES, size: int = 16) -> onnx.ModelProto:
    """Return a network with a real one's outputs: the image as map, its mean as embedding, linear logits."""
    weights = {"weight": WEIGHT[: len(names)], "bias": np.zeros(len(names), np.float32)}
    nodes = [
        helper.make_node("Relu", ["images"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"], transB=1),
    ]
    shapes = {"logits": ["N", len(names)], "embedding": ["N", 3], "map": ["N", 3, size, size]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def card(names: tuple[str, ...] = NAMES, size: int = 16) -> ModelCard:
    spec = PreprocessSpec(size, size)
    return ModelCard("classify", Classes(names), spec, model="tiny", licence="Apache-2.0", source="made for a test")


def model_folder(folder: Path, names: tuple[str, ...] = NAMES, size: int = 16) -> Path:
    """Write the model and its card into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network(names, size), folder / NETWORK_FILE)
    card(names, size).save(folder)
    return folder


def run_folder(folder: Path) -> Path:
    """Write the parts of a finished run that prediction needs into ``folder`` and return it."""
    model_folder(folder / "model")
    assert (folder / "model" / CARD_FILE).is_file()
    return folder


def photo(name: str, height: int = 40, width: int = 60, seed: int = 0) -> NDArray[np.uint8]:
    """Return a noisy image in which the colour ``name`` is strongest."""
    noise = np.random.default_rng(seed).integers(0, 60, (height, width, 3))
    noise[..., ("red", "green", "blue").index(name)] += 150
    return noise.astype(np.uint8)
