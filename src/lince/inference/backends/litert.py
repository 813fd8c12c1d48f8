"""Runs ``.tflite`` networks with LiteRT (formerly TensorFlow Lite), the runtime of phones and small boards."""

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
    require_outputs,
    unreadable_network_error,
    unusable_network_error,
)
from lince.inference.backends.onnxruntime import count_cores, measure_latency

INPUT_NAME = "images"


class LiteRtBackend:
    """A ``Backend`` for a ``.tflite`` file that lince exported: one signature with a single input, ``images``.

    The network takes one image per call; ``run`` loops over a batch. ``threads`` is that of ``OnnxRuntimeBackend``;
    ``share_cores`` changes nothing here, since LiteRT's threads never wait busily. Raises ``ModelError`` when the file
    is missing, damaged, or has other inputs.
    """

    metadata: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, path: str | Path, threads: int | None = None, _share_cores: bool = False) -> None:
        self.path = Path(path)
        self._threads = threads
        self._thread_local = threading.local()
        runner = self._get_runner()
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        if list(inputs) != [INPUT_NAME]:
            raise unusable_network_error(self.path, _("it has {count} inputs").format(count=len(inputs)))
        self.input_shape: tuple[Any, ...] = _read_shape(inputs[INPUT_NAME])
        self.outputs: dict[str, tuple[Any, ...]] = {name: _read_shape(detail) for name, detail in outputs.items()}

    def with_threads(self, threads: int | None = None) -> LiteRtBackend:
        """Return the network, loaded a second time; see ``Backend.with_threads``."""
        return LiteRtBackend(self.path, threads or self._threads)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays of ``outputs`` for ``batch`` (N, C, H, W), image by image; see ``Backend.run``."""
        require_outputs(self.path, outputs, self.outputs)
        runner = self._get_runner()
        try:
            results = [runner(**{INPUT_NAME: batch[row : row + 1]}) for row in range(len(batch))]
        except (ValueError, RuntimeError) as error:
            raise unusable_network_error(self.path, str(error).strip().splitlines()[-1]) from error
        return [np.concatenate([result[name] for result in results]) for name in outputs]

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the latency in milliseconds per image for a batch of ``shape`` (N, C, H, W), for the first output."""
        names = list(self.outputs)[:1]
        return measure_latency(lambda batch: self.run(batch, names), shape, seconds)

    def _get_runner(self) -> Any:
        """Return this thread's interpreter: its buffers must not be used by two threads."""
        if not hasattr(self._thread_local, "runner"):
            self._thread_local.runner = _open_runner(self.path, self._threads or count_cores())
        return self._thread_local.runner


def _open_runner(path: Path, threads: int) -> Any:
    """Return a LiteRT signature runner, called with the input by name and returning a dict of output arrays."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    expected = _("Expected a .tflite file exported by lince.")
    if not path.is_file():
        raise missing_network_error(path, expected)
    try:
        return Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
    except (ValueError, RuntimeError) as error:
        raise unreadable_network_error(path, path.stat().st_size, expected) from error


def _read_shape(detail: dict[str, Any]) -> tuple[Any, ...]:
    """Return the shape with the batch dimension free: ``run`` takes batches of any size."""
    return ("N", *map(int, detail["shape"][1:]))
