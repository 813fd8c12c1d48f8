"""Export to Core ML, for iPhones and Macs. Only macOS runs such models, so they are not verified."""

from __future__ import annotations

import warnings
from pathlib import Path

from lince.errors import ModelError
from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget
from lince.export.targets.torchscript import TORCH_REQUIREMENT, trace_network
from lince.i18n import _

_MAX_BATCH = 64  # images per call


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` (ONNX) to the folder ``path`` (.mlpackage), for batches of 1 to ``_MAX_BATCH`` images.

    ``precision`` is ``fp16`` or ``fp32``, for weights and computation. Raises ``ModelError`` when the converter does
    not support the network.
    """
    import coremltools  # noqa: PLC0415

    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    backend = OnnxRuntimeBackend(network, 1)
    shape = coremltools.Shape((coremltools.RangeDim(1, _MAX_BATCH), *backend.input_shape[1:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = coremltools.convert(
                trace_network(network),
                inputs=[coremltools.TensorType("images", shape)],
                outputs=[coremltools.TensorType(name) for name in backend.outputs],
                convert_to="mlprogram",
                compute_precision=getattr(coremltools.precision, "FLOAT16" if precision == "fp16" else "FLOAT32"),
            )
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
            raise ModelError(
                _("The Core ML converter does not support this network: {reason}.").format(
                    reason=str(error).rstrip(".")
                ),
                _("Expected operations that it supports."),
                _("Export it to onnx instead."),
            ) from error
    model.save(str(path))


def get_unverifiable_reason() -> str:
    """Return the translated reason why an exported model is not verified."""
    return _("models for Core ML run only on Macs, and lince does not run them there yet")


REQUIREMENTS = (("coremltools", "pip install coremltools"), TORCH_REQUIREMENT, ONNX_REQUIREMENT)
TARGET = ExportTarget("coreml", "model.mlpackage", write, None, ("fp32", "fp16"), REQUIREMENTS, get_unverifiable_reason)
