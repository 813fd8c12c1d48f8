"""LiteRT (TensorFlow Lite): for phones and small boards."""

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

# Its converter is not made for the newest torch yet; pip then takes the one before, which lince trains with as well.
CONVERTER_REQUIREMENT = ("litert_torch", 'pip install litert-torch "torch<2.15" torchvision')


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path``: one image at a time, its outputs by their names.

    Raises ``ModelError`` if it cannot be.
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
                _("LiteRT's converter cannot take this network: {reason}.").format(reason=reason),
                _("Expected operations that it knows."),
                _("Export it to onnx instead."),
            ) from error
        model.export(str(path))


@contextmanager
def _silence_output() -> Iterator[None]:
    """Keep to itself what the converter tells of its steps: errors come as exceptions."""
    known = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(known)


RUNTIME = RUNTIMES["litert"]
REQUIREMENTS = (CONVERTER_REQUIREMENT, (RUNTIME.module, RUNTIME.install_command), ONNX_REQUIREMENT)
TARGET = ExportTarget("litert", "model.tflite", write, make_runtime_opener("litert"), requirements=REQUIREMENTS)
