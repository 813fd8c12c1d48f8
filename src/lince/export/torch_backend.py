"""Runs what was exported for torch, behind the face of ``Session``, so that it can be judged as everything else is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lince.errors import ModelError
from lince.i18n import _
from lince.inference.backends.onnxruntime import measure_latency

OUTPUT_NAMES_KEY = "outputs"  # the entry of the file that names its outputs, in their order


class TorchBackend:
    """A network as torch runs it; ``notes`` are the file's own: the names of its outputs and its input's sides."""

    metadata: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, path: Path, module: Callable[..., Any], notes: Mapping[str, str]) -> None:
        self.path = Path(path)
        self._module, self._notes = module, dict(notes)
        sides = tuple(int(side) for side in notes["input"].split(","))
        self.input_shape: tuple[Any, ...] = ("N", *sides)
        with torch.no_grad():
            answers = module(torch.zeros(1, *sides))
        names = notes[OUTPUT_NAMES_KEY].split(",")
        self.outputs: dict[str, tuple[Any, ...]] = {
            name: ("N", *answer.shape[1:]) for name, answer in zip(names, answers, strict=True)
        }

    def with_threads(self, threads: int | None = None) -> TorchBackend:
        """Return this: torch's threads sleep while they wait, and are those of the whole program."""
        return self

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays called ``outputs`` for ``batch`` (N, C, H, W)."""
        with torch.no_grad():
            answers = dict(zip(self.outputs, self._module(torch.from_numpy(batch)), strict=True))
        return [np.asarray(answers[name].numpy()) for name in outputs]

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the milliseconds per image that a batch of ``shape`` (N, C, H, W) takes: the median of the calls."""
        return measure_latency(lambda batch: self.run(batch, list(self.outputs)[:1]), shape, seconds)


def load_torchscript(path: Path) -> TorchBackend:
    """Return the TorchScript file at ``path``; raise ``ModelError`` when it is not one of lince's."""
    notes: dict[str, Any] = {OUTPUT_NAMES_KEY: "", "input": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            module = torch.jit.load(str(path), "cpu", notes)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise _unreadable_error(path) from error
    return TorchBackend(path, module, {name: _to_text(value) for name, value in notes.items()})


def load_torch_export(path: Path) -> TorchBackend:
    """Return the file of torch export at ``path``; raise ``ModelError`` when it is not one of lince's."""
    notes = {OUTPUT_NAMES_KEY: "", "input": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            program = torch.export.load(path, extra_files=notes)
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise _unreadable_error(path) from error
    return TorchBackend(path, program.module(), notes)


def _to_text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _unreadable_error(path: Path) -> ModelError:
    return ModelError(
        _("{path} cannot be read as a network of torch.").format(path=path),
        _("Expected the file that lince exported."),
        _("Export the run again."),
    )
