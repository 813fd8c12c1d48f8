"""LiteRT (TensorFlow Lite): for phones and small boards."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from lince.errors import ModelError
from lince.exporting.targets.onnx import ONNX
from lince.exporting.targets.target import Target, by_runtime
from lince.messages import _
from lince.runtime.engines import RUNTIMES
from lince.runtime.litert import INPUT

# Its converter is not made for the newest torch yet; pip then takes the one before, which lince trains with as well.
CONVERTER = ("litert_torch", 'pip install litert-torch "torch<2.15" torchvision')


def write(network: Path, path: Path, precision: str) -> None:
    """Write ``network`` to ``path``: one image at a time, its outputs by their names.

    Raises ``ModelError`` if it cannot be.
    """
    import torch  # noqa: PLC0415 (takes seconds to load)

    from lince.exporting.torchgraph import NamedGraph  # noqa: PLC0415
    from lince.runtime.session import Session  # noqa: PLC0415

    images, module = torch.zeros(1, *Session(network, 1).input_shape[1:]), NamedGraph(network).eval()
    with _quietly(), torch.no_grad():
        import litert_torch  # noqa: PLC0415 (takes many seconds to load)

        try:
            model = litert_torch.convert(module, sample_kwargs={INPUT: images})
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
            reason = (str(error).strip().splitlines() or [""])[0].rstrip(".")
            raise ModelError(
                _("LiteRT's converter cannot take this network: {reason}.").format(reason=reason),
                _("Expected operations that it knows."),
                _("Export it to onnx instead."),
            ) from error
        model.export(str(path))


@contextmanager
def _quietly() -> Iterator[None]:
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
NEEDS = (CONVERTER, (RUNTIME.module, RUNTIME.install), ONNX)
TARGET = Target("litert", "model.tflite", write, by_runtime("litert"), needs=NEEDS)
