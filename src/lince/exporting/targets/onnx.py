"""ONNX: the form that lince's own runs have, in the precision that was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

from lince.exporting import halves
from lince.exporting.targets.target import Target, by_runtime

ONNX = ("onnx", "pip install onnx")


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path``; in float16 its weights are halved."""
    if precision == "fp16":
        halves.halve(network, path)
    else:
        shutil.copyfile(network, path)


TARGET = Target("onnx", "model.onnx", write, by_runtime("onnx"), ("fp32", "fp16", "int8"), (ONNX,))
