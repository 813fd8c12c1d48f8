"""Export to TorchScript, for C++ or Python programs that use torch; PyTorch now recommends ``torch.export`` instead."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget
from lince.fileio import make_install_line
from lince.inference.backends.backend import Backend

TORCH_REQUIREMENT = ("torch", make_install_line("train"))


def trace_network(network: Path) -> Any:
    """Return ``network`` (ONNX) as a traced module: ``images`` (N, C, H, W) to a tuple of its outputs, in order."""
    import torch  # noqa: PLC0415

    from lince.export.onnx_to_torch import OnnxModule  # noqa: PLC0415
    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    module = OnnxModule(network).eval()
    images = torch.zeros(1, *OnnxRuntimeBackend(network, 1).input_shape[1:])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # the recommendation of torch.export
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(module, images, check_trace=False)  # type: ignore[no-untyped-call]


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` (ONNX) to ``path``.

    Input size and output names are stored as extra files, which ``TorchBackend`` reads.
    """
    import torch  # noqa: PLC0415

    from lince.export.torch_backend import OUTPUT_NAMES_KEY  # noqa: PLC0415
    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    backend = OnnxRuntimeBackend(network, 1)
    sides = ",".join(map(str, backend.input_shape[1:]))
    extra_files = {OUTPUT_NAMES_KEY: ",".join(backend.outputs), "input": sides}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(trace_network(network), str(path), _extra_files=extra_files)


def open_exported(path: Path) -> Backend:
    """Open the file at ``path`` with torch."""
    from lince.export.torch_backend import load_torchscript  # noqa: PLC0415

    return load_torchscript(path)


TARGET = ExportTarget(
    "torchscript", "model.ts", write, open_exported, requirements=(TORCH_REQUIREMENT, ONNX_REQUIREMENT)
)
