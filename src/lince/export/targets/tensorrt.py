"""TensorRT, for NVIDIA GPUs: engines only run on the kind of machine that built them, so lince writes none."""

from __future__ import annotations

from lince.export.targets.target import ExportTarget
from lince.i18n import _


def get_build_instructions() -> str:
    """Return translated instructions for building an engine on the machine with the GPU."""
    return _(
        "A TensorRT engine only works with the GPU and the version that built it. Export to onnx, and run on "
        "that machine:  trtexec --onnx=model.onnx --fp16 --minShapes=images:1xCxHxW --optShapes=images:8xCxHxW "
        "--maxShapes=images:32xCxHxW --saveEngine=model.plan"
    )


TARGET = ExportTarget(
    "tensorrt", "model.plan", None, None, ("fp32", "fp16", "int8"), build_instructions=get_build_instructions
)
