"""Which runtime answers fastest for one model on this machine, found by measuring: ``lince doctor --model``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lince.errors import ModelError
from lince.i18n import _
from lince.inference import model_folder
from lince.inference.backends.backend import RUNTIMES, Backend, open_network
from lince.inference.backends.onnxruntime import count_cores
from lince.model_card import ModelCard
from lince.progress import SILENT, Progress

MEASURE_SECONDS = 0.7  # that each is measured, for one image and for eight


@dataclass(frozen=True)
class BenchmarkRow:
    """What one runtime with ``threads`` takes: milliseconds for one image, and an image of a batch of eight.

    Where it cannot run the model, both are ``None``, and ``reason`` says why.
    """

    runtime: str
    threads: int
    one: float | None = None
    eight: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class BenchmarkResult:
    """What was measured of a model, in the order of the runtimes; ``install`` brings those that are not there."""

    model: str
    measured: tuple[BenchmarkRow, ...]
    install: tuple[str, ...]

    @property
    def fastest(self) -> BenchmarkRow:
        """The one that takes least for one image."""
        return min(self.measured, key=lambda one: float("inf") if one.one is None else one.one)

    @property
    def line(self) -> str:
        """What to type to have the model in the form of the fastest."""
        best = self.fastest.runtime
        return f"lince predict {self.model} PHOTO" if best == "onnx" else f"lince export {self.model} --to {best}"

    def to_dict(self) -> dict[str, Any]:
        """Return this as JSON."""
        return {**asdict(self), "fastest": asdict(self.fastest), "line": self.line}


def time_model(model: str | Path, *, seconds: float = MEASURE_SECONDS, progress: Progress = SILENT) -> BenchmarkResult:
    """Return how fast each installed runtime, with one thread and with more, answers for a run or a model folder.

    Raises ``ModelError`` when there is no model, or no runtime here runs it.
    """
    folder = model_folder.find_model_folder(Path(model))
    card = ModelCard.load(folder)
    # What was exported for a runtime is read by that one alone.
    reading = tuple(name for name, runtime in RUNTIMES.items() if runtime.reads_onnx)
    asked = reading if card.target == "onnx" else (card.target,)
    ready = [name for name in asked if name not in RUNTIMES or RUNTIMES[name].is_installed]
    counts = sorted({1, (count_cores() + 1) // 2, count_cores()})
    with progress.open_stage(_("Timing the runtimes"), len(ready) * len(counts)) as stage:
        found = []
        for one in _iter_timings(folder / card.network, ready, counts, (card.preprocess.shape, seconds)):
            found.append(one)
            stage.advance()
    if all(one.one is None for one in found):
        raise ModelError(
            _("No runtime here runs this model: {reason}").format(reason="; ".join(one.reason for one in found))
        )
    missing = tuple(
        RUNTIMES[name].install_command for name in asked if name in RUNTIMES and not RUNTIMES[name].is_installed
    )
    return BenchmarkResult(str(model), tuple(found), missing)


def _iter_timings(
    network: Path, runtimes: list[str], counts: list[int], asked: tuple[tuple[int, int, int], float]
) -> Iterator[BenchmarkRow]:
    for name in runtimes:
        for threads in counts:
            try:
                yield _time_backend(name, open_network(name, network, threads), threads, *asked)
            except ModelError as error:
                yield BenchmarkRow(name, threads, reason=error.problem)


def _time_backend(
    name: str, engine: Backend, threads: int, shape: tuple[int, int, int], seconds: float
) -> BenchmarkRow:
    fixed = engine.input_shape[0]
    batches = (fixed, fixed) if isinstance(fixed, int) else (1, 8)
    one, eight = (engine.measure((count, *shape), seconds) for count in batches)
    return BenchmarkRow(name, threads, one, eight)
