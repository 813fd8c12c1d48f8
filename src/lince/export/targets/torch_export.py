"""Torch export (.pt2): what PyTorch compiles, and carries to other devices with its own tools."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget
from lince.export.targets.torchscript import TORCH_REQUIREMENT
from lince.inference.backends.backend import Backend


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path``, for any number of images."""
    import torch  # noqa: PLC0415

    from lince.export.onnx_to_torch import OnnxModule  # noqa: PLC0415
    from lince.export.torch_backend import OUTPUT_NAMES_KEY  # noqa: PLC0415
    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    session = OnnxRuntimeBackend(network, 1)
    sides = session.input_shape[1:]
    images = torch.zeros(2, *sides)  # of one image, one would become a constant
    free = ({0: torch.export.Dim.DYNAMIC},)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(OnnxModule(network).eval(), (images,), dynamic_shapes=free, strict=False)
        extra = {OUTPUT_NAMES_KEY: ",".join(session.outputs), "input": json.dumps(sides)[1:-1].replace(" ", "")}
        torch.export.save(program, path, extra_files=extra)


def open_exported(path: Path) -> Backend:
    """Return the file at ``path``, run by torch."""
    from lince.export.torch_backend import load_torch_export  # noqa: PLC0415

    return load_torch_export(path)


TARGET = ExportTarget(
    "torch-export", "model.pt2", write, open_exported, requirements=(TORCH_REQUIREMENT, ONNX_REQUIREMENT)
)
