"""Runs networks with OpenVINO on the CPU; ``lince.telemetry`` keeps its telemetry package out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.i18n import _
from lince.inference.backends.backend_errors import (
    missing_network_error,
    require_one_input,
    require_outputs,
    unreadable_network_error,
    unusable_network_error,
)
from lince.inference.backends.onnxruntime import count_cores, measure_latency


class OpenVinoBackend:
    """A ``Backend`` for OpenVINO IR (``.xml`` with its ``.bin`` beside it) or ONNX, compiled for this CPU.

    ``threads`` and ``share_cores`` are those of ``OnnxRuntimeBackend``; sharing means here that threads are not pinned
    to cores. Computed in float32, or in int8 where the file says so: OpenVINO would use bfloat16 on CPUs that have it,
    and results would depend on the machine. Raises ``ModelError`` when the file is missing or not a network.
    """

    metadata: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, path: str | Path, threads: int | None = None, share_cores: bool = False) -> None:
        self.path = Path(path)
        self._threads = threads
        self._network = _compile_network(self.path, threads or count_cores(), share_cores)
        require_one_input(self.path, len(self._network.inputs))
        self._thread_local = threading.local()
        self.input_shape: tuple[Any, ...] = _read_shape(self._network.inputs[0])
        self.outputs: dict[str, tuple[Any, ...]] = {
            output.get_any_name(): _read_shape(output) for output in self._network.outputs
        }

    def with_threads(self, threads: int | None = None) -> OpenVinoBackend:
        """Return the network, compiled a second time with ``share_cores``; see ``Backend.with_threads``."""
        return OpenVinoBackend(self.path, threads or self._threads, True)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return copies of the arrays of ``outputs`` for ``batch`` (N, C, H, W); see ``Backend.run``."""
        require_outputs(self.path, outputs, self.outputs)
        request = self._get_request()
        try:
            request.infer([batch], share_inputs=True)
        except RuntimeError as error:
            raise unusable_network_error(self.path, str(error).strip().splitlines()[-1]) from error
        return [np.array(request.get_tensor(name).data) for name in outputs]

    def _get_request(self) -> Any:
        """Return this thread's infer request: its input and output buffers must not be used by two threads."""
        if not hasattr(self._thread_local, "request"):
            self._thread_local.request = self._network.create_infer_request()
        return self._thread_local.request

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the latency in milliseconds per image for a batch of ``shape`` (N, C, H, W), for the first output."""
        names = list(self.outputs)[:1]
        return measure_latency(lambda batch: self.run(batch, names), shape, seconds)


def _compile_network(path: Path, threads: int, share_cores: bool) -> Any:
    """Return the compiled model for the CPU, tuned for the latency of one call."""
    import openvino  # noqa: PLC0415

    expected = _("Expected an .xml file with its .bin next to it, as exported by lince.")
    if not path.is_file():
        raise missing_network_error(path, expected)
    properties = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": not share_cores,
    }
    try:
        core = openvino.Core()
        return core.compile_model(core.read_model(path), "CPU", properties)
    except RuntimeError as error:
        raise unreadable_network_error(path, path.stat().st_size, expected) from error


def _read_shape(port: Any) -> tuple[Any, ...]:
    """Return the dimensions of an input or output; "N" stands for a dynamic one."""
    return tuple(side.get_length() if side.is_static else "N" for side in port.get_partial_shape())
