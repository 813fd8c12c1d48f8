"""Export to ONNX, the format of lince's own runs, in the requested precision."""

from __future__ import annotations

import shutil
from pathlib import Path

from lince.export import float16
from lince.export.targets.target import ExportTarget, make_runtime_opener

ONNX_REQUIREMENT = ("onnx", "pip install onnx")


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` (ONNX) to ``path``: its weights in float16 with ``fp16``, otherwise as a plain copy."""
    if precision == "fp16":
        float16.convert_to_float16_weights(network, path)
    else:
        shutil.copyfile(network, path)


TARGET = ExportTarget(
    "onnx", "model.onnx", write, make_runtime_opener("onnx"), ("fp32", "fp16", "int8"), (ONNX_REQUIREMENT,)
)
