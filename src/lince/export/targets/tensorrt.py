"""TensorRT: for NVIDIA's processors. Its engines are built by the machine that runs them, so lince writes none."""

from __future__ import annotations

from lince.export.targets.target import ExportTarget
from lince.i18n import _


def get_build_instructions() -> str:
    """Return what to do on the machine with the GPU."""
    return _(
        "An engine of TensorRT fits only the GPU and the version that built it. Export to onnx, and type on that"
        " machine:  trtexec --onnx=model.onnx --fp16 --minShapes=images:1xCxHxW --optShapes=images:8xCxHxW"
        " --maxShapes=images:32xCxHxW --saveEngine=model.plan"
    )


TARGET = ExportTarget(
    "tensorrt", "model.plan", None, None, ("fp32", "fp16", "int8"), build_instructions=get_build_instructions
)
