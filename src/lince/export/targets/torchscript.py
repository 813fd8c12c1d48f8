"""TorchScript: for programs in C++ or Python that hold torch already. PyTorch itself now recommends torch export."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget
from lince.inference.backends.backend import Backend

TORCH_REQUIREMENT = ("torch", 'pip install -e ".[train]"')


def trace_network(network: Path) -> Any:
    """Return ``network`` traced: ``images`` (N, C, H, W) to a tuple of its outputs, in their order."""
    import torch  # noqa: PLC0415

    from lince.export.onnx_to_torch import OnnxModule  # noqa: PLC0415
    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    module = OnnxModule(network).eval()
    images = torch.zeros(1, *OnnxRuntimeBackend(network, 1).input_shape[1:])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # that torch export is recommended
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(module, images, check_trace=False)  # type: ignore[no-untyped-call]


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path``, the names of its outputs beside it in the file."""
    import torch  # noqa: PLC0415

    from lince.export.torch_backend import OUTPUT_NAMES_KEY  # noqa: PLC0415
    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    session = OnnxRuntimeBackend(network, 1)
    sides = ",".join(map(str, session.input_shape[1:]))
    extra = {OUTPUT_NAMES_KEY: ",".join(session.outputs), "input": sides}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(trace_network(network), str(path), _extra_files=extra)


def open_exported(path: Path) -> Backend:
    """Return the file at ``path``, run by torch."""
    from lince.export.torch_backend import load_torchscript  # noqa: PLC0415

    return load_torchscript(path)


TARGET = ExportTarget(
    "torchscript", "model.ts", write, open_exported, requirements=(TORCH_REQUIREMENT, ONNX_REQUIREMENT)
)
