"""OpenVINO: for processors, graphics and neural units of Intel; often the fastest on a laptop."""

from __future__ import annotations

from pathlib import Path

from lince.errors import ModelError
from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget, make_runtime_opener
from lince.i18n import _
from lince.inference.backends.backend import RUNTIMES


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path`` (.xml) and its weights beside it (.bin); raise ``ModelError`` if it cannot be."""
    import openvino  # noqa: PLC0415

    try:
        # The converter of its command line would load a package that reports on its use; this one does not.
        model = openvino.Core().read_model(network)
        openvino.save_model(model, path, compress_to_fp16=precision == "fp16")
    except RuntimeError as error:
        raise ModelError(
            _("OpenVINO cannot read this network: {reason}.").format(
                reason=str(error).strip().splitlines()[-1].rstrip(".")
            ),
            _("Expected operations that it knows."),
            _("Export it to onnx instead."),
        ) from error


REQUIREMENTS = ((RUNTIMES["openvino"].module, RUNTIMES["openvino"].install_command), ONNX_REQUIREMENT)
TARGET = ExportTarget(
    "openvino", "model.xml", write, make_runtime_opener("openvino"), ("fp32", "fp16", "int8"), REQUIREMENTS
)
