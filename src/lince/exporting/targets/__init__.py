"""The targets of ``lince export``, one file each; a further one is a file and a line here."""

from __future__ import annotations

from lince.choices import one_of
from lince.exporting.targets import coreml, litert, onnx, openvino, tensorrt, torch_export, torchscript
from lince.exporting.targets.target import Target

__all__ = ["TARGETS", "Target", "find"]

TARGETS: dict[str, Target] = {
    one.name: one
    for one in (
        onnx.TARGET,
        openvino.TARGET,
        torchscript.TARGET,
        torch_export.TARGET,
        litert.TARGET,
        coreml.TARGET,
        tensorrt.TARGET,
    )
}


def find(name: str) -> Target:
    """Return the target called ``name``; raise ``UsageError`` with the known names otherwise."""
    return TARGETS[one_of("--to", name, TARGETS)]
