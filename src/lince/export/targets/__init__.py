"""The targets of ``lince export``, one module each; a new target is a module and an entry in ``TARGETS``."""

from __future__ import annotations

from lince.export.targets import coreml, onnx, openvino_ir, tensorrt, tflite, torch_export, torchscript
from lince.export.targets.target import ExportTarget
from lince.validation import require_choice

__all__ = ["TARGETS", "ExportTarget", "get_target"]

TARGETS: dict[str, ExportTarget] = {
    target.name: target
    for target in (
        onnx.TARGET,
        openvino_ir.TARGET,
        torchscript.TARGET,
        torch_export.TARGET,
        tflite.TARGET,
        coreml.TARGET,
        tensorrt.TARGET,
    )
}


def get_target(name: str) -> ExportTarget:
    """Return the target called ``name``; raise ``UsageError`` with the available names when there is none."""
    return TARGETS[require_choice("--to", name, TARGETS)]
