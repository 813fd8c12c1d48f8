"""Runs a network by LiteRT (TensorFlow Lite), behind the face of ``Session``: what phones and small boards will do."""

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
    """A network file of LiteRT (``.tflite``) that lince exported, which sees one image at a time.

    ``threads`` and ``beside`` are those of ``Session``: its threads sleep while they wait in any case. Raises
    ``ModelError`` when the file is missing or not a network of lince.
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
        """Return the same network, opened once more for work beside that of others; on ``threads`` cores, or as now."""
        return LiteRtBackend(self.path, threads or self._threads)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays called ``outputs`` for ``batch`` (N, C, H, W); raise ``ModelError`` if unfit.

        Many threads may call at once.
        """
        require_outputs(self.path, outputs, self.outputs)
        runner = self._get_runner()
        try:
            answers = [runner(**{INPUT_NAME: batch[at : at + 1]}) for at in range(len(batch))]
        except (ValueError, RuntimeError) as error:
            raise unusable_network_error(self.path, str(error).strip().splitlines()[-1]) from error
        return [np.concatenate([answer[name] for answer in answers]) for name in outputs]

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the milliseconds per image that a batch of ``shape`` (N, C, H, W) takes: the median of the calls."""
        names = list(self.outputs)[:1]
        return measure_latency(lambda batch: self.run(batch, names), shape, seconds)

    def _get_runner(self) -> Any:
        """Return what runs the network in this thread: its memory may not be shared."""
        if not hasattr(self._thread_local, "runner"):
            self._thread_local.runner = _open_runner(self.path, self._threads or count_cores())
        return self._thread_local.runner


def _open_runner(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    expected = _("Expected a .tflite file, as lince exports it.")
    if not path.is_file():
        raise missing_network_error(path, expected)
    try:
        return Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
    except (ValueError, RuntimeError) as error:
        raise unreadable_network_error(path, path.stat().st_size, expected) from error


def _read_shape(detail: dict[str, Any]) -> tuple[Any, ...]:
    return ("N", *map(int, detail["shape"][1:]))
