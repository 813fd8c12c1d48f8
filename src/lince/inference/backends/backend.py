"""The runtimes that open a network file, behind one face: whoever asks a model need not know which of them answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lince.errors import MissingExtraError, ModelError
from lince.i18n import _
from lince.inference.backends.litert import LiteRtBackend
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.backends.openvino import OpenVinoBackend
from lince.model_card import ModelCard


class Backend(Protocol):
    """A network, loaded and ready: the public face of ``runtime.session.Session``, whatever runs it."""

    @property
    def path(self) -> Path:
        """The network's file."""

    @property
    def input_shape(self) -> tuple[Any, ...]:
        """The input's (N, C, H, W); N is no number where any count will do."""

    @property
    def outputs(self) -> Mapping[str, tuple[Any, ...]]:
        """The shape of each output by its name."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself."""

    def with_threads(self, threads: int | None = None) -> Backend:
        """Return the same network, opened once more for work beside that of others; on ``threads`` cores, or as now."""

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays called ``outputs`` for ``batch`` (N, C, H, W); raise ``ModelError`` if unfit.

        Many threads may call at once.
        """

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the milliseconds per image that a batch of ``shape`` (N, C, H, W) takes: the median of the calls."""


@dataclass(frozen=True)
class RuntimeSpec:
    """What opens the models of one target: the module that it needs, and the line that installs it.

    ``reads_onnx`` says that it opens a run's own network, too.
    """

    module: str
    install_command: str
    backend_factory: Callable[[Path, int | None, bool], Backend]
    reads_onnx: bool = True

    @property
    def is_installed(self) -> bool:
        """Whether it is there."""
        return find_spec(self.module) is not None


# OpenVINO names a package that reports on its use among its needs; it runs without, so it is installed alone.
RUNTIMES = {
    "onnx": RuntimeSpec("onnxruntime", "pip install onnxruntime", OnnxRuntimeBackend),
    "openvino": RuntimeSpec("openvino", "pip install --no-deps openvino", OpenVinoBackend),
    "litert": RuntimeSpec("ai_edge_litert", "pip install ai-edge-litert", LiteRtBackend, reads_onnx=False),
}


def open_backend(card: ModelCard, folder: Path, threads: int | None = None, share_cores: bool = False) -> Backend:
    """Return the network beside ``card`` in ``folder``, opened by the runtime of its target.

    ``threads`` and ``beside`` are those of ``Session``. Raises ``ModelError`` when lince cannot run models of that
    target, or the file is damaged, and ``MissingExtraError`` when the runtime is not installed.
    """
    return open_network(card.target, Path(folder) / card.network, threads, share_cores)


def open_network(target: str, path: Path, threads: int | None = None, share_cores: bool = False) -> Backend:
    """Return the network at ``path``, made for ``target``; raises as ``open_engine``."""
    if target not in RUNTIMES:
        raise ModelError(
            _("A model for {target} is not opened by lince itself.").format(target=target),
            _("lince runs models for: {names}.").format(names=", ".join(RUNTIMES)),
            _("Open {path} as docs/export.md tells, or use the run that it was exported from.").format(path=path),
        )
    runtime = RUNTIMES[target]
    if not runtime.is_installed:
        raise MissingExtraError(
            _("This model is for {target}, and {module} is not installed.").format(
                target=target, module=runtime.module
            ),
            _("Expected the runtime of that target."),
            _("Type: {line}").format(line=runtime.install_command),
        )
    return runtime.backend_factory(path, threads, share_cores)
