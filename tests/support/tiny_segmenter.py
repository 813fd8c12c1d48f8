"""Test model: tiny ONNX segmentation model that names the strongest of red, green and blue of every 4 x 4 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests.support import tiny_classifier

from lince import images
from lince.annotations import Classes
from lince.formats.masks import color_map, png
from lince.model_card import NETWORK_FILE, ModelCard
from lince.preprocess import PreprocessSpec

NAMES = tiny_classifier.NAMES
STRIDE = 4


def network(names: tuple[str, ...] = NAMES, size: int = 64) -> onnx.ModelProto:
    """Return a network whose logits are the mean colours; where none is strong, the background is on top."""
    weight = np.concatenate([np.zeros((1, 3), np.float32), tiny_classifier.WEIGHT[: len(names)]])
    bias = np.array([4.0] + [0.0] * len(names), np.float32)
    weights = {"weight": weight[:, :, None, None], "bias": bias}
    nodes = [
        helper.make_node("AveragePool", ["images"], ["means"], kernel_shape=[STRIDE, STRIDE], strides=[STRIDE, STRIDE]),
        helper.make_node("Conv", ["means", "weight", "bias"], ["logits"]),
    ]
    side = size // STRIDE
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(names) + 1, side, side])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def card(names: tuple[str, ...] = NAMES, size: int = 64, resize: str = "squash") -> ModelCard:
    spec = PreprocessSpec(size, size, resize)
    return ModelCard("segment", Classes(names), spec, model="tiny", licence="Apache-2.0", source="made for a test")


def model_folder(folder: Path, names: tuple[str, ...] = NAMES, size: int = 64, resize: str = "squash") -> Path:
    """Write the model and its card into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network(names, size), folder / NETWORK_FILE)
    card(names, size, resize).save(folder)
    return folder


def photo(
    *boxes: tuple[str, int, int, int, int], height: int = 64, width: int = 96, seed: int = 0
) -> NDArray[np.uint8]:
    """Return a noisy dark image with coloured boxes: name of the colour, left, top, right, bottom."""
    image = np.random.default_rng(seed).integers(0, 40, (height, width, 3))
    for name, left, top, right, bottom in boxes:
        image[top:bottom, left:right, ("red", "green", "blue").index(name)] += 200
    return image.astype(np.uint8)


def write_masks(folder: Path, count: int = 24) -> Path:
    """Write labelled photos with one to three coloured boxes each into ``folder``, as mask images, and return it."""
    rng = np.random.default_rng(0)
    palette = np.array(color_map.make_voc_palette(), np.uint8)
    for place in ("images", "masks"):
        (folder / place).mkdir(parents=True)
    (folder / color_map.LABELMAP_FILE).write_text(color_map.format_labelmap(NAMES), "utf-8")
    for number in range(count):
        height, width = 60 + number, 90 - number
        mask = np.zeros((height, width), np.uint8)
        boxes = []
        for name in rng.permutation(NAMES)[: 1 + number % 3].tolist():
            left, top = int(rng.integers(0, width // 2)), int(rng.integers(0, height // 2))
            free = mask[top : top + height // 3, left : left + width // 3]
            if not free.any():
                free[:] = 1 + NAMES.index(name)
                boxes.append((name, left, top, left + width // 3, top + height // 3))
        image = photo(*boxes, height=height, width=width, seed=number)
        (folder / "images" / f"{number:02}.png").write_bytes(images.encode_png(image))
        (folder / "masks" / f"{number:02}.png").write_bytes(png.encode_mask_png(mask, palette))
    return folder
