"""Test model: tiny ONNX multilabel model that says which of red, green and blue an image has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from tests.support import tiny_classifier

from lince.annotations import Classes
from lince.model_card import NETWORK_FILE, ModelCard
from lince.preprocess import PreprocessSpec

NAMES = tiny_classifier.NAMES
THRESHOLDS = (0.5, 0.25, 0.75)
_BIAS = -4.0  # a colour that an image does not have has a probability of 2 percent


def network(names: tuple[str, ...] = NAMES, size: int = 16) -> onnx.ModelProto:
    """Return the network of ``tiny_classifier`` with logits below 0 for the colours that an image does not have."""
    model = tiny_classifier.network(names, size)
    (bias,) = (one for one in model.graph.initializer if one.name == "bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(len(names), _BIAS, np.float32), "bias"))
    return model


def card(names: tuple[str, ...] = NAMES, thresholds: tuple[float, ...] = THRESHOLDS, size: int = 16) -> ModelCard:
    spec = PreprocessSpec(size, size)
    return ModelCard(
        "multilabel",
        Classes(names),
        spec,
        model="tiny",
        licence="Apache-2.0",
        source="made for a test",
        thresholds=thresholds,
    )


def model_folder(
    folder: Path, names: tuple[str, ...] = NAMES, thresholds: tuple[float, ...] = THRESHOLDS, size: int = 16
) -> Path:
    """Write the model and its card into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network(names, size), folder / NETWORK_FILE)
    card(names, thresholds, size).save(folder)
    return folder


def photo(*names: str, height: int = 40, width: int = 60, seed: int = 0) -> NDArray[np.uint8]:
    """Return a noisy image that has the colours ``names``, none without any."""
    noise = np.random.default_rng(seed).integers(0, 60, (height, width, 3))
    for name in names:
        noise[..., ("red", "green", "blue").index(name)] += 150
    return noise.astype(np.uint8)
