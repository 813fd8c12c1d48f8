"""Export with ``torch.export`` (.pt2), the format that PyTorch compiles and deploys to other devices."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget
from lince.export.targets.torchscript import TORCH_REQUIREMENT
from lince.inference.backends.backend import Backend


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` (ONNX) to ``path`` with a free batch size.

    Input size and output names are stored as extra files, which ``TorchBackend`` reads.
    """
    import torch  # noqa: PLC0415

    from lince.export.onnx_to_torch import OnnxModule  # noqa: PLC0415
    from lince.export.torch_backend import OUTPUT_NAMES_KEY  # noqa: PLC0415
    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    backend = OnnxRuntimeBackend(network, 1)
    sides = backend.input_shape[1:]
    images = torch.zeros(2, *sides)  # a batch of 1 would make the batch size a constant
    dynamic_shapes = ({0: torch.export.Dim.DYNAMIC},)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(
            OnnxModule(network).eval(), (images,), dynamic_shapes=dynamic_shapes, strict=False
        )
        extra_files = {OUTPUT_NAMES_KEY: ",".join(backend.outputs), "input": json.dumps(sides)[1:-1].replace(" ", "")}
        torch.export.save(program, path, extra_files=extra_files)


def open_exported(path: Path) -> Backend:
    """Open the file at ``path`` with torch."""
    from lince.export.torch_backend import load_torch_export  # noqa: PLC0415

    return load_torch_export(path)


TARGET = ExportTarget(
    "torch-export", "model.pt2", write, open_exported, requirements=(TORCH_REQUIREMENT, ONNX_REQUIREMENT)
)
