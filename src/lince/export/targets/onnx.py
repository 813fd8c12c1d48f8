"""ONNX: the form that lince's own runs have, in the precision that was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

from lince.export import float16
from lince.export.targets.target import ExportTarget, make_runtime_opener

ONNX_REQUIREMENT = ("onnx", "pip install onnx")


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path``; in float16 its weights are halved."""
    if precision == "fp16":
        float16.convert_to_float16_weights(network, path)
    else:
        shutil.copyfile(network, path)


TARGET = ExportTarget(
    "onnx", "model.onnx", write, make_runtime_opener("onnx"), ("fp32", "fp16", "int8"), (ONNX_REQUIREMENT,)
)
