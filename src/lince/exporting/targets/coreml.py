"""Core ML: for iPhones and Macs. Only a Mac runs such models, so anywhere else they cannot be judged."""

from __future__ import annotations

import warnings
from pathlib import Path

from lince.errors import ModelError
from lince.exporting.targets.onnx import ONNX
from lince.exporting.targets.target import Target
from lince.exporting.targets.torchscript import TORCH, traced
from lince.messages import _

_LARGEST = 64  # images at a time


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to the folder ``path`` (.mlpackage)."""
    import coremltools  # noqa: PLC0415 (a part that need not be installed)

    from lince.runtime.session import Session  # noqa: PLC0415

    session = Session(network, 1)
    shape = coremltools.Shape((coremltools.RangeDim(1, _LARGEST), *session.input_shape[1:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = coremltools.convert(
                traced(network),
                inputs=[coremltools.TensorType("images", shape)],
                outputs=[coremltools.TensorType(name) for name in session.outputs],
                convert_to="mlprogram",
                compute_precision=getattr(coremltools.precision, "FLOAT16" if precision == "fp16" else "FLOAT32"),
            )
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
            raise ModelError(
                _("Core ML's converter cannot take this network: {reason}.").format(reason=str(error).rstrip(".")),
                _("Expected operations that it knows."),
                _("Export it to onnx instead."),
            ) from error
    model.save(str(path))


def why() -> str:
    """Return why such models are not judged."""
    return _("models for Core ML run on Macs alone, and lince does not run them there yet")


NEEDS = (("coremltools", "pip install coremltools"), TORCH, ONNX)
TARGET = Target("coreml", "model.mlpackage", write, None, ("fp32", "fp16"), NEEDS, why)
