"""TorchScript: for programs in C++ or Python that hold torch already. PyTorch itself now recommends torch export."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from lince.exporting.targets.onnx import ONNX
from lince.exporting.targets.target import Target
from lince.runtime.engines import Engine

TORCH = ("torch", 'pip install -e ".[train]"')


def traced(network: Path) -> Any:
    """Return ``network`` traced: ``images`` (N, C, H, W) to a tuple of its outputs, in their order."""
    import torch  # noqa: PLC0415 (takes seconds to load)

    from lince.exporting.torchgraph import TorchGraph  # noqa: PLC0415
    from lince.runtime.session import Session  # noqa: PLC0415

    module = TorchGraph(network).eval()
    images = torch.zeros(1, *Session(network, 1).input_shape[1:])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # that torch export is recommended
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(module, images, check_trace=False)  # type: ignore[no-untyped-call]


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path``, the names of its outputs beside it in the file."""
    import torch  # noqa: PLC0415 (takes seconds to load)

    from lince.exporting.torchengine import NAMES  # noqa: PLC0415
    from lince.runtime.session import Session  # noqa: PLC0415

    session = Session(network, 1)
    sides = ",".join(map(str, session.input_shape[1:]))
    extra = {NAMES: ",".join(session.outputs), "input": sides}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(traced(network), str(path), _extra_files=extra)


def opened(path: Path) -> Engine:
    """Return the file at ``path``, run by torch."""
    from lince.exporting.torchengine import scripted  # noqa: PLC0415 (takes seconds to load)

    return scripted(path)


TARGET = Target("torchscript", "model.ts", write, opened, needs=(TORCH, ONNX))
