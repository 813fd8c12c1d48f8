"""Export to LiteRT (TensorFlow Lite), for phones and small boards."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from lince.errors import ModelError
from lince.export.targets.onnx import ONNX_REQUIREMENT
from lince.export.targets.target import ExportTarget, make_runtime_opener
from lince.i18n import _
from lince.inference.backends.backend import RUNTIMES
from lince.inference.backends.litert import INPUT_NAME

# The converter does not support the newest torch yet; pip then installs the previous one, which lince supports too.
CONVERTER_REQUIREMENT = ("litert_torch", 'pip install litert-torch "torch<2.15" torchvision')


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` (ONNX) to ``path`` for a batch of one image, with named outputs.

    Raises ``ModelError`` when the converter does not support the network.
    """
    import torch  # noqa: PLC0415

    from lince.export.onnx_to_torch import NamedOutputModule  # noqa: PLC0415
    from lince.inference.backends.onnxruntime import OnnxRuntimeBackend  # noqa: PLC0415

    images, module = torch.zeros(1, *OnnxRuntimeBackend(network, 1).input_shape[1:]), NamedOutputModule(network).eval()
    with _silence_output(), torch.no_grad():
        import litert_torch  # noqa: PLC0415

        try:
            model = litert_torch.convert(module, sample_kwargs={INPUT_NAME: images})
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
            reason = (str(error).strip().splitlines() or [""])[0].rstrip(".")
            raise ModelError(
                _("The LiteRT converter does not support this network: {reason}.").format(reason=reason),
                _("Expected operations that it supports."),
                _("Export it to onnx instead."),
            ) from error
        model.export(str(path))


@contextmanager
def _silence_output() -> Iterator[None]:
    """Suppress the converter's prints, warnings and log messages; errors still come as exceptions."""
    previous_level = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous_level)


RUNTIME = RUNTIMES["litert"]
REQUIREMENTS = (CONVERTER_REQUIREMENT, (RUNTIME.module, RUNTIME.install_command), ONNX_REQUIREMENT)
TARGET = ExportTarget("litert", "model.tflite", write, make_runtime_opener("litert"), requirements=REQUIREMENTS)
