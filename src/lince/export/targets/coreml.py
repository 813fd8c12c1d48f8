"""Core ML: for iPhones and Macs. Only a Mac runs such models, so anywhere else they cannot be judged."""

from __future__ import annotations

import warnings
from pathlib import Path

from lince.errors import ModelError
from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget
from lince.export.targets.torchscript import TORCH_REQUIREMENT, trace_network
from lince.i18n import _

_MAX_BATCH = 64  # images at a time


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to the folder ``path`` (.mlpackage)."""
    import coremltools  # noqa: PLC0415

    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    session = OnnxRuntimeBackend(network, 1)
    shape = coremltools.Shape((coremltools.RangeDim(1, _MAX_BATCH), *session.input_shape[1:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = coremltools.convert(
                trace_network(network),
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


def get_unverifiable_reason() -> str:
    """Return why such models are not judged."""
    return _("models for Core ML run on Macs alone, and lince does not run them there yet")


REQUIREMENTS = (("coremltools", "pip install coremltools"), TORCH_REQUIREMENT, ONNX_REQUIREMENT)
TARGET = ExportTarget("coreml", "model.mlpackage", write, None, ("fp32", "fp16"), REQUIREMENTS, get_unverifiable_reason)
