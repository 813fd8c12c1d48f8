"""Test model: digit classifier in numpy and onnx, a random layer and one fitted to MNIST by least squares."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lince.annotations import Classes
from lince.model_card import NETWORK_FILE, ModelCard
from lince.preprocess import PreprocessSpec

SPEC = PreprocessSpec(28, 28, channels="grey", mean=(0.0,), std=(255.0,))
NAMES = tuple(map(str, range(10)))
_SURE = 12.0  # factor from the fitted 0 and 1 to logits
Weights = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def weights(hidden: int, mnist: Path | None = None, count: int = 20_000) -> Weights:
    """Return first layer, bias and second layer; the second is fitted to the first ``count`` digits in ``mnist``."""
    chance = np.random.default_rng(0)
    first = chance.normal(0, 0.06, (784, hidden)).astype(np.float32)
    bias = chance.normal(0, 0.3, hidden).astype(np.float32)
    if mnist is None:
        return first, bias, chance.normal(0, 1, (hidden, 10)).astype(np.float32)
    with gzip.open(mnist / "train-images-idx3-ubyte.gz") as stream:
        pictures = np.frombuffer(stream.read(16 + 784 * count), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(mnist / "train-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(8 + count), np.uint8, offset=8)
    seen = np.maximum(pictures.astype(np.float32) / 255 @ first + bias, 0)
    wanted = seen.T @ np.eye(10, dtype=np.float32)[labels]
    second = np.linalg.solve(seen.T @ seen + 20 * np.eye(hidden, dtype=np.float32), wanted)
    return first, bias, (_SURE * second).astype(np.float32)


def model_folder(folder: Path, made: Weights) -> Path:
    """Write the model and its card into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    first, bias, second = made
    none = np.zeros(10, np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Gemm", ["flat", "first", "bias"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "second", "none"], ["logits"]),
    ]
    values = {"first": first, "bias": bias, "second": second, "none": none}
    graph = helper.make_graph(
        nodes,
        "reader",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", len(bias)]),
        ],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, folder / NETWORK_FILE)
    ModelCard("classify", Classes(NAMES), SPEC, "reader", "Apache-2.0", "made for a test").save(folder)
    return folder
