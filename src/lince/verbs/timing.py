"""Which runtime answers fastest for one model on this machine, found by measuring: ``lince doctor --model``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lince.card import ModelCard
from lince.errors import ModelError
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime import modelfolder
from lince.runtime.engines import RUNTIMES, Engine, open_network
from lince.runtime.session import cores

SECONDS = 0.7  # that each is measured, for one image and for eight


@dataclass(frozen=True)
class Timing:
    """What one runtime with ``threads`` takes: milliseconds for one image, and an image of a batch of eight.

    Where it cannot run the model, both are ``None``, and ``reason`` says why.
    """

    runtime: str
    threads: int
    one: float | None = None
    eight: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Timings:
    """What was measured of a model, in the order of the runtimes; ``install`` brings those that are not there."""

    model: str
    measured: tuple[Timing, ...]
    install: tuple[str, ...]

    @property
    def fastest(self) -> Timing:
        """The one that takes least for one image."""
        return min(self.measured, key=lambda one: float("inf") if one.one is None else one.one)

    @property
    def line(self) -> str:
        """What to type to have the model in the form of the fastest."""
        best = self.fastest.runtime
        return f"lince predict {self.model} PHOTO" if best == "onnx" else f"lince export {self.model} --to {best}"

    def record(self) -> dict[str, Any]:
        """Return this as JSON."""
        return {**asdict(self), "fastest": asdict(self.fastest), "line": self.line}


def time_model(model: str | Path, *, seconds: float = SECONDS, progress: Progress = SILENT) -> Timings:
    """Return how fast each installed runtime, with one thread and with more, answers for a run or a model folder.

    Raises ``ModelError`` when there is no model, or no runtime here runs it.
    """
    folder = modelfolder.locate(Path(model))
    card = ModelCard.load(folder)
    # What was exported for a runtime is read by that one alone.
    reading = tuple(name for name, runtime in RUNTIMES.items() if runtime.reads_onnx)
    asked = reading if card.target == "onnx" else (card.target,)
    ready = [name for name in asked if name not in RUNTIMES or RUNTIMES[name].installed]
    counts = sorted({1, (cores() + 1) // 2, cores()})
    with progress.stage(_("Timing the runtimes"), len(ready) * len(counts)) as stage:
        found = []
        for one in _all(folder / card.network, ready, counts, (card.preprocess.shape, seconds)):
            found.append(one)
            stage.advance()
    if all(one.one is None for one in found):
        raise ModelError(
            _("No runtime here runs this model: {reason}").format(reason="; ".join(one.reason for one in found))
        )
    missing = tuple(RUNTIMES[name].install for name in asked if name in RUNTIMES and not RUNTIMES[name].installed)
    return Timings(str(model), tuple(found), missing)


def _all(
    network: Path, runtimes: list[str], counts: list[int], asked: tuple[tuple[int, int, int], float]
) -> Iterator[Timing]:
    for name in runtimes:
        for threads in counts:
            try:
                yield _measured(name, open_network(name, network, threads), threads, *asked)
            except ModelError as error:
                yield Timing(name, threads, reason=error.found)


def _measured(name: str, engine: Engine, threads: int, shape: tuple[int, int, int], seconds: float) -> Timing:
    fixed = engine.input_shape[0]
    batches = (fixed, fixed) if isinstance(fixed, int) else (1, 8)
    one, eight = (engine.measure((count, *shape), seconds) for count in batches)
    return Timing(name, threads, one, eight)
