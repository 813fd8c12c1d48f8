"""The models that a server answers with: each with its name, its queue, and the files from which it was read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lince.errors import ImageError, LinceError, ModelError, UsageError
from lince.messages import _
from lince.runtime import loading, modelfolder
from lince.runtime.detection import DetectionPredictor
from lince.runtime.predictor import Predictor
from lince.runtime.reading import Seen
from lince.runtime.session import cores, shares
from lince.serving import photos
from lince.serving.batching import Batcher, Plan
from lince.serving.metrics import Metrics
from lince.serving.photos import Choices, Sent
from lince.serving.refusals import bad
from lince.serving.settings import Limits, Pacing, Settings

_SIZES = (1, 2, 4, 8, 16)
_PAYS = 0.95  # a larger batch must take less than this share of the time a photo
_WARM_SECONDS = 1.0
_SHORTEST_BOUND = 1.0
_LARGE = 8_000_000  # pixels from which on photos are decoded one after another, so that memory stays bounded
_ONE_LARGE = threading.Lock()
_BATCHES = 32  # whole batches that fit into the default bound
_SHORTEST_QUEUE = 64

Stamp = tuple[tuple[str, int, int, int], ...]  # of each file: name, time of change, bytes, number on its disk


@dataclass(frozen=True, eq=False)
class Version:
    """One state of a model's files, ready to be asked: alone on all cores, or on a share of them beside others."""

    predictor: Predictor | DetectionPredictor
    sharing: Predictor | DetectionPredictor
    limits: Limits

    def look(self, photo: Sent) -> Seen:
        """Return ``photo`` as the network is to see it; raise ``RefusedError`` when it cannot be read."""
        large = photos.check(photo.data, self.limits) > _LARGE
        try:
            with _ONE_LARGE if large else nullcontext():
                return self.predictor.look(photo.data)
        except ImageError as error:
            raise photos.damaged(photo.data) from error

    def answer(
        self, seen: Sequence[Seen], names: Sequence[str], threshold: float | None, alone: bool = True
    ) -> Sequence[Any]:
        """Return a ``Prediction`` or ``Found`` for each photo; ``threshold`` is a detector's."""
        model = self.predictor if alone else self.sharing
        if threshold is not None and isinstance(model, DetectionPredictor):
            model = model.with_threshold(threshold)
        return model.answer(seen, names)

    def check(self) -> None:
        """Ask for one answer; raise ``ModelError`` when it is none that could be told."""
        spec = self.predictor.card.preprocess
        noise = np.random.default_rng(0).integers(0, 256, (spec.height, spec.width, 3)).astype(np.uint8)
        try:
            json.dumps(self.predictor.predict(noise).to_dict(), allow_nan=False)
        except ValueError as error:
            raise ModelError(
                _("The model's answers are not numbers."), _("Expected probabilities from 0 to 1.")
            ) from error

    def measure(self, workers: int) -> dict[int, float]:
        """Return the seconds a photo when ``workers`` at one time answer batches of 1, 2, 4, ...

        No more sizes are tried than about a second allows.
        """
        spec = self.predictor.card.preprocess
        blank = Seen(np.zeros((spec.height, spec.width, 3), np.uint8), (spec.height, spec.width))
        fixed = self.predictor.session.input_shape[0]
        found: dict[int, float] = {}
        begun = time.monotonic()
        with ThreadPoolExecutor(workers, "lince-measure") as pool:
            for size in (fixed,) if isinstance(fixed, int) else _SIZES:
                if found and time.monotonic() - begun > _WARM_SECONDS:
                    break
                batches = [[blank] * size] * workers
                found[size] = min(self._timed(pool, batches) for _i in range(3)) / (size * workers)
        return found

    def _timed(self, pool: ThreadPoolExecutor, batches: Sequence[Sequence[Seen]]) -> float:
        begun = time.perf_counter()
        list(pool.map((self.predictor if len(batches) == 1 else self.sharing).answer, batches))
        return time.perf_counter() - begun


def plan(measured: dict[int, float], chosen: Pacing, workers: int = 1) -> Plan:
    """Return how batches are made for ``workers`` on the ground of ``measured``: the seconds a photo by batch size."""
    batch = chosen.batch or _worthwhile(measured)
    pace = measured.get(batch, min(measured.values()))
    bound = chosen.bound or max(_SHORTEST_BOUND, round(_BATCHES * batch * workers * pace, 1))
    # The bound is what keeps waits short; the queue guards memory, so it leaves room for a machine that gets faster.
    queue = chosen.queue or max(_SHORTEST_QUEUE, int(2 * bound / pace))
    return Plan(batch, chosen.hold, bound, queue, pace, workers)


def _worthwhile(measured: dict[int, float]) -> int:
    best = 1
    for size, seconds in measured.items():
        if best not in measured or seconds < measured[best] * _PAYS:
            best = size
    return best


@dataclass(frozen=True, eq=False)
class Current:
    """A version with the queue before it, and when (UTC, ISO 8601) it was loaded."""

    version: Version
    batcher: Batcher
    loaded: str


@dataclass(eq=False)
class Served:
    """A model under its name: where it lies, what answers now, and whether a newer version could not be used.

    ``stamp`` is that of the files that were looked at last.
    """

    name: str
    path: Path
    current: Current
    stamp: Stamp | None
    trouble: bool = False

    @property
    def version(self) -> Version:
        """The version that answers now."""
        return self.current.version

    @property
    def batcher(self) -> Batcher:
        """The queue before the version that answers now."""
        return self.current.batcher

    @property
    def detects(self) -> bool:
        """Whether the model finds objects."""
        return isinstance(self.version.predictor, DetectionPredictor)

    def check(self, choices: Choices) -> None:
        """Raise ``RefusedError`` for a choice that says nothing to this model."""
        useless = "top" if self.detects and choices.top else ""
        useless = "threshold" if not self.detects and choices.threshold is not None else useless
        if useless:
            message = _("'{name}' says nothing to this model.").format(name=useless)
            raise bad("useless-option", message, 422)

    def facts(self) -> dict[str, Any]:
        """Return what clients may know of the model."""
        current = self.current
        card = current.version.predictor.card
        spec = card.preprocess
        thresholds = card.keeping.of(np.arange(len(card.classes), dtype=np.int32)).tolist() if self.detects else None
        return {
            "name": self.name,
            "task": card.task,
            "classes": list(card.classes.names),
            "colours": list(card.classes.colours),
            "input": {
                "height": spec.height,
                "width": spec.width,
                "channels": spec.channels,
                "resize": spec.resize,
            },
            "thresholds": thresholds,
            "network": card.model,
            "licence": card.licence,
            "source": card.source,
            "metrics": card.metrics,
            "target": card.target,
            "precision": card.precision,
            "loaded": current.loaded,
            "bound_seconds": current.batcher.plan.bound,
            "batch": current.batcher.plan.batch,
            "trouble": _("A newer version could not be used; the server's log tells why.") if self.trouble else None,
        }


class Models:
    """All models of a server, in the order in which they were given; the first answers where none is named."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.decoders = ThreadPoolExecutor(cores(), "lince-look")
        self._served: dict[str, Served] = {}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def __len__(self) -> int:
        return len(self._served)

    def add(self, path: str | Path, name: str = "") -> Served:
        """Load the model at ``path``, measure it and serve it as ``name`` (its folder's name); return it.

        Raises ``ModelError`` when it cannot be loaded, and ``UsageError`` when the name is taken.
        """
        chosen = name or default_name(Path(path))
        if chosen in self._served:
            raise UsageError(
                _("Two models are called '{name}'.").format(name=chosen),
                _("Expected different names."),
                _("Give one another name: {line}").format(line=f"{chosen}-2={path}"),
            )
        served = Served(chosen, Path(path), *self._fresh(chosen, Path(path)))
        self._served[chosen] = served
        self.metrics.watch_queue(chosen, lambda: served.batcher.pending)
        return served

    def renew(self, served: Served) -> None:
        """Put what lies at the model's path now in place of its version; whoever waits for the old one gets its answer.

        Raises ``LinceError`` and others when it cannot be used; then everything stays as it was.
        """
        current, found = self._fresh(served.name, served.path)
        old, served.current, served.stamp, served.trouble = served.batcher, current, found, False
        old.retire()

    def _fresh(self, name: str, path: Path) -> tuple[Current, Stamp | None]:
        """Return what lies at ``path``, tried and measured, and its stamp from before it was read."""
        found = stamp(path)
        workers, threads = shares(self.settings.pacing.threads)
        model = loading.load(path, self.settings.pacing.threads).beside()
        version = Version(model, model if workers == 1 else model.beside(threads), self.settings.limits)
        version.check()
        made = plan(version.measure(workers), self.settings.pacing, workers)
        batcher = Batcher(version, made, self.decoders, partial(self.metrics.batch, name))
        return Current(version, batcher, _now()), found

    def find(self, name: str | None) -> Served:
        """Return the model called ``name``; the only one where none is named. Raise ``RefusedError`` otherwise."""
        known = ", ".join(self._served)
        if name is None:
            if len(self._served) > 1:
                message = _("Several models are served; expected model to be one of: {known}.").format(known=known)
                raise bad("which-model", message, 422)
            return next(iter(self._served.values()))
        if name not in self._served:
            message = _("There is no model '{name}'. Expected one of: {known}.").format(
                name=photos.short(name), known=known
            )
            raise bad("unknown-model", message, 404)
        return self._served[name]

    def close(self) -> None:
        """Let the threads end when what was taken in is answered."""
        for served in self._served.values():
            served.batcher.retire()
        self.decoders.shutdown(wait=False)


def default_name(path: Path) -> str:
    """Return the name under which the model at ``path`` is served unless another is chosen: its run's or file's."""
    whole = path.resolve()
    if whole.is_file():
        return whole.parent.name if whole.stem == "model" else whole.stem
    return whole.parent.name if whole.name == "model" else whole.name


def stamp(path: Path) -> Stamp | None:
    """Return what changes when the files of the model at ``path`` do; ``None`` while there is none."""
    try:
        folder = path if path.is_file() else modelfolder.locate(path)
        files = [folder] if folder.is_file() else sorted(item for item in folder.iterdir() if item.is_file())
        return tuple(
            (item.name, fact.st_mtime_ns, fact.st_size, fact.st_ino) for item in files if (fact := item.stat())
        )
    except (OSError, LinceError):
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
