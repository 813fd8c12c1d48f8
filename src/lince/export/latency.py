"""Measures the latency of a network on this machine, once it is exported to ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.preprocess import PreprocessSpec


def measure_export(write: Callable[[Path], None], spec: PreprocessSpec) -> float:
    """Return the milliseconds per image of the network that ``write`` exports to a file, for an input of ``spec``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NETWORK_FILE
        write(path)
        return OnnxRuntimeBackend(path).measure((1, *spec.shape))
