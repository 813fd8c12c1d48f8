"""Measures which installed runtime is fastest for a model on this machine: ``lince.time_model``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lince.errors import ModelError
from lince.fileio import quote_path
from lince.i18n import _
from lince.inference import model_folder
from lince.inference.backends.backend import RUNTIMES, Backend, open_network
from lince.inference.backends.onnxruntime import count_cores
from lince.model_card import ModelCard
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress

MEASURE_SECONDS = 0.7  # of measuring for each runtime, number of threads and batch size
_BATCH_SIZES = (1, 8)


@dataclass(frozen=True)
class BenchmarkRow:
    """The latency of one runtime with ``threads`` threads.

    ``one`` is milliseconds for a single image, ``eight`` milliseconds per image in a batch of eight (in batches of its
    fixed size where the network has one). Where the runtime cannot run the model both are ``None`` and ``reason`` says
    why.
    """

    runtime: str
    threads: int
    one: float | None = None
    eight: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class BenchmarkResult:
    """The latencies of one model, in the order of the runtimes.

    ``model`` is its path as given; ``install`` holds the shell commands that install the runtimes that are missing.
    """

    model: str
    measured: tuple[BenchmarkRow, ...]
    install: tuple[str, ...]

    @property
    def fastest(self) -> BenchmarkRow:
        """The row with the lowest latency for one image."""
        return min(self.measured, key=lambda row: float("inf") if row.one is None else row.one)

    @property
    def line(self) -> str:
        """The command to type next: predict where ONNX Runtime is fastest, else export to the fastest runtime."""
        best = self.fastest.runtime
        model = quote_path(self.model)
        return f"lince predict {model} PHOTO" if best == "onnx" else f"lince export {model} --to {best}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {**asdict(self), "fastest": asdict(self.fastest), "line": self.line}


def time_model(
    model: str | os.PathLike[str], *, seconds: float = MEASURE_SECONDS, progress: Progress = AUTOMATIC
) -> BenchmarkResult:
    """Return the latency of a run's model, or of a model folder, with each installed runtime.

    Each runtime is measured with one thread, with half of the cores and with all of them, about ``seconds`` for each
    batch size. Raises ``ModelError`` when there is no model, or no installed runtime can run it.
    """
    folder = model_folder.find_model_folder(Path(model))
    card = ModelCard.load(folder)
    # Only ONNX files are read by several runtimes; an export to another format is read by its own runtime alone.
    onnx_runtimes = tuple(name for name, runtime in RUNTIMES.items() if runtime.reads_onnx)
    candidates = onnx_runtimes if card.target == "onnx" else (card.target,)
    ready = [name for name in candidates if name not in RUNTIMES or RUNTIMES[name].is_installed]
    thread_counts = sorted({1, (count_cores() + 1) // 2, count_cores()})
    with progress.open_stage(_("Benchmarking the runtimes"), len(ready) * len(thread_counts)) as stage:
        rows = []
        for row in _iter_timings(folder / card.network, ready, thread_counts, (card.preprocess.shape, seconds)):
            rows.append(row)
            stage.advance()
    if all(row.one is None for row in rows):
        raise ModelError(
            _("No installed runtime can run this model: {reason}").format(reason="; ".join(row.reason for row in rows))
        )
    missing = tuple(
        RUNTIMES[name].install_command for name in candidates if name in RUNTIMES and not RUNTIMES[name].is_installed
    )
    return BenchmarkResult(str(model), tuple(rows), missing)


def _iter_timings(
    network: Path, runtimes: list[str], thread_counts: list[int], measured: tuple[tuple[int, int, int], float]
) -> Iterator[BenchmarkRow]:
    """Yield one row for each runtime and number of threads; a runtime that fails gives a row with the reason.

    ``measured`` is the input shape (C, H, W) and the seconds for each batch size.
    """
    for name in runtimes:
        for threads in thread_counts:
            try:
                yield _time_backend(name, open_network(name, network, threads), threads, *measured)
            except ModelError as error:
                yield BenchmarkRow(name, threads, reason=error.problem)


def _time_backend(
    name: str, backend: Backend, threads: int, shape: tuple[int, int, int], seconds: float
) -> BenchmarkRow:
    """Return the row of one open network; ``shape`` is (C, H, W)."""
    fixed_size = backend.input_shape[0]
    sizes = (fixed_size, fixed_size) if isinstance(fixed_size, int) else _BATCH_SIZES
    single_ms, batch_ms = (backend.measure((count, *shape), seconds) for count in sizes)
    return BenchmarkRow(name, threads, single_ms, batch_ms)
