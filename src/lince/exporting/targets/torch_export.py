"""Torch export (.pt2): what PyTorch compiles, and carries to other devices with its own tools."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from lince.exporting.targets.onnx import ONNX
from lince.exporting.targets.target import Target
from lince.exporting.targets.torchscript import TORCH
from lince.runtime.engines import Engine


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path``, for any number of images."""
    import torch  # noqa: PLC0415 (takes seconds to load)

    from lince.exporting.torchengine import NAMES  # noqa: PLC0415
    from lince.exporting.torchgraph import TorchGraph  # noqa: PLC0415
    from lince.runtime.session import Session  # noqa: PLC0415

    session = Session(network, 1)
    sides = session.input_shape[1:]
    images = torch.zeros(2, *sides)  # of one image, one would become a constant
    free = ({0: torch.export.Dim.DYNAMIC},)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(TorchGraph(network).eval(), (images,), dynamic_shapes=free, strict=False)
        extra = {NAMES: ",".join(session.outputs), "input": json.dumps(sides)[1:-1].replace(" ", "")}
        torch.export.save(program, path, extra_files=extra)


def opened(path: Path) -> Engine:
    """Return the file at ``path``, run by torch."""
    from lince.exporting.torchengine import exported  # noqa: PLC0415 (takes seconds to load)

    return exported(path)


TARGET = Target("torch-export", "model.pt2", write, opened, needs=(TORCH, ONNX))
