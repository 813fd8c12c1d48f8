"""Runs a network file: the one place that knows ONNX Runtime, so that everything else asks for plain arrays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from lince.i18n import _
from lince.inference.backends.backend_errors import (
    missing_network_error,
    require_one_input,
    require_outputs,
    unreadable_network_error,
    unusable_network_error,
)

_RUNTIME_ERRORS = (ort.Fail, ort.InvalidArgument, ort.InvalidGraph, ort.InvalidProtobuf, ort.NoModel, ort.NoSuchFile,
           ort.NotImplemented, ort.RuntimeException)  # fmt: skip
_ERROR_LOG_LEVEL = 3
_MAX_PARALLEL_CALLS = 4


def count_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split_cores(threads: int | None = None) -> tuple[int, int]:
    """Return how many calls of a network share ``threads`` cores best (all of them by default), and the cores of each.

    The threads of one call wait for each other: on two cores, two calls on one core each do 1.4 times the photos of
    calls on both. Each needs memory of its own, so there are four at most.
    """
    whole = threads or count_cores()
    calls = min(whole, _MAX_PARALLEL_CALLS)
    return calls, whole // calls


class OnnxRuntimeBackend:
    """One network file, loaded and ready.

    ``threads`` is the number of cores that one call may use; ``None`` means all that the process may use. It is
    always told to ONNX Runtime, which otherwise pins threads to cores and complains where that is not allowed.
    ``beside`` says that other threads of this program work at the same time: those of the network sleep while they
    wait for each other, which costs a call a little and leaves the cores to the others. ``data`` is the content of
    the file where it does not lie in one of its own: ``path`` is then only told.
    Raises ``ModelError`` when the file is missing, cut off, or not a network that lince can run.
    """

    def __init__(
        self, path: str | Path, threads: int | None = None, share_cores: bool = False, data: bytes | None = None
    ) -> None:
        self.path = Path(path)
        self._threads, self._data = threads, data
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or count_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERROR_LOG_LEVEL
        if share_cores:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = _create_session(self.path, data, options)
        inputs = self._session.get_inputs()
        require_one_input(self.path, len(inputs))
        self._input_name = inputs[0].name
        self.input_shape: tuple[Any, ...] = tuple(inputs[0].shape)
        self.outputs: dict[str, tuple[Any, ...]] = {
            item.name: tuple(item.shape) for item in self._session.get_outputs()
        }
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def with_threads(self, threads: int | None = None) -> OnnxRuntimeBackend:
        """Return the same network, opened once more for work beside that of others; on ``threads`` cores, or as now."""
        return OnnxRuntimeBackend(self.path, threads or self._threads, True, self._data)

    def run(self, batch: NDArray[Any], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays called ``outputs`` for ``batch`` (N, C, H, W); raise ``ModelError`` if unfit.

        Many threads may call at once.
        """
        require_outputs(self.path, outputs, self.outputs)
        try:
            return list(self._session.run(list(outputs), {self._input_name: batch}))
        except _RUNTIME_ERRORS as error:
            raise unusable_network_error(self.path, str(error)) from error

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the milliseconds per image that a batch of ``shape`` (N, C, H, W) takes: the median of the calls."""
        names = list(self.outputs)[:1]
        return measure_latency(lambda batch: self.run(batch, names), shape, seconds)


def measure_latency(run: Callable[[NDArray[np.float32]], Any], shape: Sequence[int], seconds: float) -> float:
    """Return the milliseconds per image that ``run`` takes for a batch of ``shape`` (N, C, H, W).

    It is called for ``seconds``, once more before that, and the median of the calls counts.
    """
    batch = np.zeros(tuple(shape), np.float32)
    run(batch)
    taken: list[float] = []
    while not taken or sum(taken) < seconds:
        start = time.perf_counter()
        run(batch)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1000 / batch.shape[0]


def _create_session(
    path: Path, data: bytes | None, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    if data is None and not path.is_file():
        raise missing_network_error(path, _("Expected model.onnx, as lince writes it at the end of a run."))
    onnxruntime.disable_telemetry_events()  # its builds for Windows send usage events otherwise
    try:
        return onnxruntime.InferenceSession(data or str(path), options, providers=["CPUExecutionProvider"])
    except _RUNTIME_ERRORS as error:
        size = path.stat().st_size if data is None else len(data)
        raise unreadable_network_error(path, size, _("Expected a whole ONNX file.")) from error
