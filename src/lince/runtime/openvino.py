"""Runs a network by OpenVINO, behind the face of ``Session``. Nothing of OpenVINO that reports on its use is loaded."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.messages import _
from lince.runtime.session import cores, measured
from lince.runtime.unfit import missing, require_one_input, require_outputs, unfit, unreadable


class OpenVino:
    """A network file that OpenVINO reads (``.xml`` with its ``.bin``, or ``.onnx``), compiled for this processor.

    ``threads`` and ``beside`` are those of ``Session``: beside others, threads are not bound to cores. All is computed
    in float32 or in the eight bits that the file asks for, so that answers do not depend on the processor.
    Raises ``ModelError`` when the file is missing or not a network.
    """

    metadata: dict[str, str] = {}  # noqa: RUF012 (empty for all: OpenVINO's files carry none)

    def __init__(self, path: str | Path, threads: int | None = None, beside: bool = False) -> None:
        self.path = Path(path)
        self._threads = threads
        self._network = _compiled(self.path, threads or cores(), beside)
        require_one_input(self.path, len(self._network.inputs))
        self._own = threading.local()
        self.input_shape: tuple[Any, ...] = _sides(self._network.inputs[0])
        self.outputs: dict[str, tuple[Any, ...]] = {
            output.get_any_name(): _sides(output) for output in self._network.outputs
        }

    def beside(self, threads: int | None = None) -> OpenVino:
        """Return the same network, opened once more for work beside that of others; on ``threads`` cores, or as now."""
        return OpenVino(self.path, threads or self._threads, True)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays called ``outputs`` for ``batch`` (N, C, H, W); raise ``ModelError`` if unfit.

        Many threads may call at once.
        """
        require_outputs(self.path, outputs, self.outputs)
        request = self._request()
        try:
            request.infer([batch], share_inputs=True)
        except RuntimeError as error:
            raise unfit(self.path, str(error).strip().splitlines()[-1]) from error
        return [np.array(request.get_tensor(name).data) for name in outputs]

    def _request(self) -> Any:
        """Return this thread's own place for inputs and outputs: OpenVINO's may not be shared."""
        if not hasattr(self._own, "request"):
            self._own.request = self._network.create_infer_request()
        return self._own.request

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the milliseconds per image that a batch of ``shape`` (N, C, H, W) takes: the median of the calls."""
        names = list(self.outputs)[:1]
        return measured(lambda batch: self.run(batch, names), shape, seconds)


def _compiled(path: Path, threads: int, beside: bool) -> Any:
    import openvino  # noqa: PLC0415 (a part that need not be installed)

    expected = _("Expected an .xml file with its .bin beside it, as lince exports them.")
    if not path.is_file():
        raise missing(path, expected)
    properties = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": not beside,
    }
    try:
        core = openvino.Core()
        return core.compile_model(core.read_model(path), "CPU", properties)
    except RuntimeError as error:
        raise unreadable(path, path.stat().st_size, expected) from error


def _sides(port: Any) -> tuple[Any, ...]:
    return tuple(side.get_length() if side.is_static else "N" for side in port.get_partial_shape())
