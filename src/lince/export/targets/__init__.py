"""The targets of ``lince export``, one module each; a new target is a module and a row in ``_MODULES``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from lince.validation import require_choice

if TYPE_CHECKING:
    from lince.export.targets.target import ExportTarget

__all__ = ["TARGETS", "TargetRegistry", "get_target"]

# Name: the module here that holds ``TARGET``, in the order in which help pages and error messages list them.
_MODULES = {
    "onnx": "onnx",
    "openvino": "openvino_ir",
    "torchscript": "torchscript",
    "torch-export": "torch_export",
    "litert": "tflite",
    "coreml": "coreml",
    "tensorrt": "tensorrt",
}


class TargetRegistry(Mapping[str, "ExportTarget"]):
    """The ``ExportTarget`` records by name.

    A target's modules are imported when its record is first looked up. Iterating over the names, ``len`` and ``in``
    import nothing, so the command line can list targets on its help page.
    """

    def __getitem__(self, name: str) -> ExportTarget:
        target: ExportTarget = import_module(f"{__name__}.{_MODULES[name]}").TARGET
        return target

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)

    def __contains__(self, name: object) -> bool:
        return name in _MODULES


TARGETS = TargetRegistry()


def get_target(name: str) -> ExportTarget:
    """Return the target called ``name``; raise ``UsageError`` with the available names when there is none."""
    return TARGETS[require_choice("--to", name, TARGETS)]
