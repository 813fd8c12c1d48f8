"""Runs exported torch files behind the interface of ``Backend``, so that they are verified like all other targets."""

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

OUTPUT_NAMES_KEY = "outputs"  # the extra file with the names of the outputs, in order


class TorchBackend:
    """A network that torch runs on the CPU.

    ``module`` maps a tensor (N, C, H, W) to a tuple of outputs. ``file_info`` comes from the file: the entry ``input``
    has the input's C, H and W, the entry ``OUTPUT_NAMES_KEY`` the names of the outputs in order, both comma-separated.
    """

    metadata: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, path: Path, module: Callable[..., Any], file_info: Mapping[str, str]) -> None:
        self.path = Path(path)
        self._module, self._file_info = module, dict(file_info)
        input_sides = tuple(int(side) for side in file_info["input"].split(","))
        self.input_shape: tuple[Any, ...] = ("N", *input_sides)
        with torch.no_grad():
            example_outputs = module(torch.zeros(1, *input_sides))
        names = file_info[OUTPUT_NAMES_KEY].split(",")
        self.outputs: dict[str, tuple[Any, ...]] = {
            name: ("N", *output.shape[1:]) for name, output in zip(names, example_outputs, strict=True)
        }

    def with_threads(self, threads: int | None = None) -> TorchBackend:
        """Return this backend unchanged: torch's threads are set for the whole process."""
        return self

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the outputs named ``outputs`` for ``batch`` float32 (N, C, H, W), in that order."""
        with torch.no_grad():
            outputs_by_name = dict(zip(self.outputs, self._module(torch.from_numpy(batch)), strict=True))
        return [np.asarray(outputs_by_name[name].numpy()) for name in outputs]

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the median milliseconds per image of a batch of ``shape`` (N, C, H, W), called for ``seconds``."""
        return measure_latency(lambda batch: self.run(batch, list(self.outputs)[:1]), shape, seconds)


def load_torchscript(path: Path) -> TorchBackend:
    """Open the TorchScript file at ``path``; raise ``ModelError`` when it is not one that lince exported."""
    file_info: dict[str, Any] = {OUTPUT_NAMES_KEY: "", "input": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            module = torch.jit.load(str(path), "cpu", file_info)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise _unreadable_error(path) from error
    return TorchBackend(path, module, {name: _to_text(value) for name, value in file_info.items()})


def load_torch_export(path: Path) -> TorchBackend:
    """Open the torch export file at ``path``; raise ``ModelError`` when it is not one that lince exported."""
    file_info = {OUTPUT_NAMES_KEY: "", "input": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            program = torch.export.load(path, extra_files=file_info)
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise _unreadable_error(path) from error
    return TorchBackend(path, program.module(), file_info)


def _to_text(value: Any) -> str:
    """Return an extra file's content as text; torch returns bytes or str, depending on its version."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _unreadable_error(path: Path) -> ModelError:
    """Return the error for a file that torch cannot load."""
    return ModelError(
        _("{path} cannot be read as a torch network.").format(path=path),
        _("Expected the file that lince exported."),
        _("Export the run again."),
    )
