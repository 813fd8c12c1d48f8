"""Runs a network by LiteRT (TensorFlow Lite), behind the face of ``Session``: what phones and small boards will do."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.messages import _
from lince.runtime.session import cores, measured
from lince.runtime.unfit import missing, require_outputs, unfit, unreadable

INPUT = "images"


class LiteRt:
    """A network file of LiteRT (``.tflite``) that lince exported, which sees one image at a time.

    ``threads`` and ``beside`` are those of ``Session``: its threads sleep while they wait in any case. Raises
    ``ModelError`` when the file is missing or not a network of lince.
    """

    metadata: dict[str, str] = {}  # noqa: RUF012 (empty for all: the card says it)

    def __init__(self, path: str | Path, threads: int | None = None, _beside: bool = False) -> None:
        self.path = Path(path)
        self._threads = threads
        self._own = threading.local()
        runner = self._runner()
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        if list(inputs) != [INPUT]:
            raise unfit(self.path, _("it has {count} inputs").format(count=len(inputs)))
        self.input_shape: tuple[Any, ...] = _sides(inputs[INPUT])
        self.outputs: dict[str, tuple[Any, ...]] = {name: _sides(detail) for name, detail in outputs.items()}

    def beside(self, threads: int | None = None) -> LiteRt:
        """Return the same network, opened once more for work beside that of others; on ``threads`` cores, or as now."""
        return LiteRt(self.path, threads or self._threads)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays called ``outputs`` for ``batch`` (N, C, H, W); raise ``ModelError`` if unfit.

        Many threads may call at once.
        """
        require_outputs(self.path, outputs, self.outputs)
        runner = self._runner()
        try:
            answers = [runner(**{INPUT: batch[at : at + 1]}) for at in range(len(batch))]
        except (ValueError, RuntimeError) as error:
            raise unfit(self.path, str(error).strip().splitlines()[-1]) from error
        return [np.concatenate([answer[name] for answer in answers]) for name in outputs]

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the milliseconds per image that a batch of ``shape`` (N, C, H, W) takes: the median of the calls."""
        names = list(self.outputs)[:1]
        return measured(lambda batch: self.run(batch, names), shape, seconds)

    def _runner(self) -> Any:
        """Return what runs the network in this thread: its memory may not be shared."""
        if not hasattr(self._own, "runner"):
            self._own.runner = _opened(self.path, self._threads or cores())
        return self._own.runner


def _opened(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 (a part that need not be installed)

    expected = _("Expected a .tflite file, as lince exports it.")
    if not path.is_file():
        raise missing(path, expected)
    try:
        return Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
    except (ValueError, RuntimeError) as error:
        raise unreadable(path, path.stat().st_size, expected) from error


def _sides(detail: dict[str, Any]) -> tuple[Any, ...]:
    return ("N", *map(int, detail["shape"][1:]))
