"""The common interface of all inference backends, and the table that selects one by a model's export target."""

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
    """A network file, loaded and ready to run; every runtime has one implementation.

    A network has a single image input and one or more named outputs. All methods may be called from many threads.
    """

    @property
    def path(self) -> Path:
        """The network's file; of a packed model, the file that contains it."""

    @property
    def input_shape(self) -> tuple[Any, ...]:
        """The input's (N, C, H, W). A dimension of any size, usually N, is a name or ``None`` instead of an int."""

    @property
    def outputs(self) -> Mapping[str, tuple[Any, ...]]:
        """The shape of each output by its name, dimensions as in ``input_shape``."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """The custom metadata in the file; empty for formats without any."""

    def with_threads(self, threads: int | None = None) -> Backend:
        """Return the network, loaded a second time, for calls that run beside others.

        ``threads`` is the number of cores per call, by default that of this backend. The new one shares its cores:
        see ``share_cores`` of ``OnnxRuntimeBackend``.
        """

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str] = ("logits",)) -> list[NDArray[np.float32]]:
        """Return the arrays of ``outputs``, in that order, for ``batch`` (N, C, H, W).

        Raises ``ModelError`` when there is no such output or the batch does not fit the network.
        """

    def measure(self, shape: Sequence[int], seconds: float = 1.0) -> float:
        """Return the latency in milliseconds per image for a batch of ``shape`` (N, C, H, W).

        The median over repeated calls for ``seconds``, after one warm-up call (``measure_latency``).
        """


@dataclass(frozen=True)
class RuntimeSpec:
    """The runtime for one export target.

    ``module`` is the Python module it needs, ``install_command`` the shell command that installs it.
    ``backend_factory(path, threads, share_cores)`` opens a network file. ``reads_onnx`` says that it also opens the
    ``.onnx`` file of a training run, not only a network exported for its target.
    """

    module: str
    install_command: str
    backend_factory: Callable[[Path, int | None, bool], Backend]
    reads_onnx: bool = True

    @property
    def is_installed(self) -> bool:
        """Whether the runtime's module can be found; it is not imported for this."""
        return find_spec(self.module) is not None


# OpenVINO requires a telemetry package but runs without it, hence --no-deps.
RUNTIMES = {
    "onnx": RuntimeSpec("onnxruntime", "pip install onnxruntime", OnnxRuntimeBackend),
    "openvino": RuntimeSpec("openvino", "pip install --no-deps openvino", OpenVinoBackend),
    "litert": RuntimeSpec("ai_edge_litert", "pip install ai-edge-litert", LiteRtBackend, reads_onnx=False),
}


def open_backend(card: ModelCard, folder: Path, threads: int | None = None, share_cores: bool = False) -> Backend:
    """Return the network file named by ``card`` in ``folder``, opened by the runtime of the card's target.

    ``threads`` and ``share_cores`` are those of ``OnnxRuntimeBackend``. Raises ``ModelError`` when lince runs no models
    of that target or the file is damaged, ``MissingExtraError`` when the runtime is not installed.
    """
    return open_network(card.target, Path(folder) / card.network, threads, share_cores)


def open_network(target: str, path: Path, threads: int | None = None, share_cores: bool = False) -> Backend:
    """Return the network file ``path``, opened by the runtime of ``target``; raises as ``open_backend``."""
    if target not in RUNTIMES:
        raise ModelError(
            _("lince cannot run a model for {target}.").format(target=target),
            _("Expected a model for one of: {names}.").format(names=", ".join(RUNTIMES)),
            _("Use {path} as described in docs/export.md, or use the run that it was exported from.").format(path=path),
        )
    runtime = RUNTIMES[target]
    if not runtime.is_installed:
        raise MissingExtraError(
            _("This model is for {target}, and {module} is not installed.").format(
                target=target, module=runtime.module
            ),
            _("Expected the inference runtime of that target."),
            _("Type: {line}").format(line=runtime.install_command),
        )
    return runtime.backend_factory(path, threads, share_cores)
