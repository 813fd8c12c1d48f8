"""Export to OpenVINO IR, for Intel CPUs, GPUs and NPUs; often the fastest on a laptop."""

from __future__ import annotations

from pathlib import Path

from lince.errors import ModelError
from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget, make_runtime_opener
from lince.i18n import _
from lince.inference.backends.backend import RUNTIMES


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` (ONNX) to ``path`` (.xml) and its weights beside it (.bin).

    With ``fp16`` the weights are stored as float16. Raises ``ModelError`` when OpenVINO does not support the network.
    """
    import openvino  # noqa: PLC0415

    try:
        # OpenVINO's command-line converter loads a telemetry package; reading and saving the model does not.
        model = openvino.Core().read_model(network)
        openvino.save_model(model, path, compress_to_fp16=precision == "fp16")
    except RuntimeError as error:
        raise ModelError(
            _("OpenVINO cannot read this network: {reason}.").format(
                reason=str(error).strip().splitlines()[-1].rstrip(".")
            ),
            _("Expected operations that it supports."),
            _("Export it to onnx instead."),
        ) from error


REQUIREMENTS = ((RUNTIMES["openvino"].module, RUNTIMES["openvino"].install_command), ONNX_REQUIREMENT)
TARGET = ExportTarget(
    "openvino", "model.xml", write, make_runtime_opener("openvino"), ("fp32", "fp16", "int8"), REQUIREMENTS
)
