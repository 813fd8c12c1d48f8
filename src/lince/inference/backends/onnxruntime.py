"""Runs ``.onnx`` networks with ONNX Runtime on the CPU; also the core counting and timing that all backends use."""

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
    """Return the number of CPU cores that this process may use: its affinity mask where the system has one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split_cores(threads: int | None = None) -> tuple[int, int]:
    """Return (parallel calls, threads per call) for the best throughput on ``threads`` cores (default: all).

    The threads of one call wait for each other: on two cores, two calls with one thread each process 1.4 times the
    images of single calls with two threads. Each call needs its own memory, so there are 4 at most.
    """
    cores = threads or count_cores()
    calls = min(cores, _MAX_PARALLEL_CALLS)
    return calls, cores // calls


class OnnxRuntimeBackend:
    """A ``Backend`` for an ONNX file.

    ``threads`` is the number of cores that one call may use (default: all of the process). It is always passed to ONNX
    Runtime, which otherwise pins threads to cores and logs errors where that is not allowed.
    ``share_cores`` is for programs with other threads at work: the network's threads then sleep while they wait for
    each other instead of spinning, which makes a call slightly slower and leaves the cores to the others.
    ``data`` is the content of the network where it is not a file of its own (packed models); ``path`` then only serves
    messages. Raises ``ModelError`` when the file is missing, truncated, not ONNX, or has not exactly one input.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int | None = None,
        share_cores: bool = False,
        data: bytes | None = None,
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
            output.name: tuple(output.shape) for output in self._session.get_outputs()
        }
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def with_threads(self, threads: int | None = None) -> OnnxRuntimeBackend:
        """Return the network, loaded a second time with ``share_cores``; see ``Backend.with_threads``."""
        return OnnxRuntimeBackend(self.path, threads or self._threads, True, self._data)

    def run(self, batch: NDArray[Any], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays of ``outputs`` for ``batch`` (N, C, H, W); see ``Backend.run``.

        The input of self-contained exports is an image instead, uint8 (H, W, 3).
        """
        require_outputs(self.path, outputs, self.outputs)
        try:
            return list(self._session.run(list(outputs), {self._input_name: batch}))
        except _RUNTIME_ERRORS as error:
            raise unusable_network_error(self.path, str(error)) from error

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the latency in milliseconds per image for a batch of ``shape`` (N, C, H, W), for the first output."""
        names = list(self.outputs)[:1]
        return measure_latency(lambda batch: self.run(batch, names), shape, seconds)


def measure_latency(run: Callable[[NDArray[np.float32]], Any], shape: Sequence[int], seconds: float) -> float:
    """Return the milliseconds per image that ``run`` takes for a float32 batch of zeros of ``shape`` (N, C, H, W).

    One warm-up call, then calls until their times sum to ``seconds``, at least one; the median of these, divided by N.
    """
    batch = np.zeros(tuple(shape), np.float32)
    run(batch)
    durations: list[float] = []
    while not durations or sum(durations) < seconds:
        start = time.perf_counter()
        run(batch)
        durations.append(time.perf_counter() - start)
    return float(np.median(durations)) * 1000 / batch.shape[0]


def _create_session(
    path: Path, data: bytes | None, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    """Return a session on the CPU for ``data`` or the file ``path``, without reports of ONNX Runtime."""
    if data is None and not path.is_file():
        raise missing_network_error(path, _("Expected model.onnx, which lince writes at the end of training."))
    # On Windows, and where it was imported before lince, ``lince.telemetry`` does not reach it; this stops most events.
    onnxruntime.disable_telemetry_events()
    try:
        return onnxruntime.InferenceSession(data or str(path), options, providers=["CPUExecutionProvider"])
    except _RUNTIME_ERRORS as error:
        size = path.stat().st_size if data is None else len(data)
        raise unreadable_network_error(path, size, _("Expected a complete ONNX file.")) from error
