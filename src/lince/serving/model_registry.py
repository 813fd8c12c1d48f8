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
from lince.i18n import _
from lince.inference import load, model_folder
from lince.inference.backends.onnxruntime import count_cores, split_cores
from lince.inference.image_loading import PreparedImage
from lince.inference.predictor import Predictor
from lince.serving import request_images
from lince.serving.batcher import BatchPlan, RequestBatcher
from lince.serving.http_errors import client_error
from lince.serving.prometheus import ServerMetrics
from lince.serving.request_images import UploadedImage
from lince.serving.request_options import PredictOptions
from lince.serving.settings import BatchingSettings, RequestLimits, ServerSettings
from lince.tasks import get_task

_BATCH_SIZES = (1, 2, 4, 8, 16)
_WORTHWHILE_RATIO = 0.95  # a larger batch must take less than this share of the time a photo
_BENCHMARK_SECONDS = 1.0
_MIN_LATENCY_BOUND = 1.0
_LARGE_PIXELS = 8_000_000  # pixels from which on photos are decoded one after another, so that memory stays bounded
_LARGE_IMAGE_LOCK = threading.Lock()
_BATCHES_PER_BOUND = 32  # whole batches that fit into the default bound
_MIN_QUEUE = 64

FileStamp = tuple[tuple[str, int, int, int], ...]  # of each file: name, time of change, bytes, number on its disk


@dataclass(frozen=True, eq=False)
class ModelVersion:
    """One state of a model's files, ready to be asked: alone on all cores, or on a share of them beside others."""

    predictor: Predictor
    shared_predictor: Predictor
    limits: RequestLimits

    def prepare(self, photo: UploadedImage) -> PreparedImage:
        """Return ``photo`` as the network is to see it; raise ``RefusedError`` when it cannot be read."""
        large = request_images.check_image(photo.data, self.limits) > _LARGE_PIXELS
        try:
            with _LARGE_IMAGE_LOCK if large else nullcontext():
                return self.predictor.prepare(photo.data)
        except ImageError as error:
            raise request_images.damaged_image_error(photo.data) from error

    def predict_prepared(
        self, seen: Sequence[PreparedImage], names: Sequence[str], threshold: float | None, alone: bool = True
    ) -> Sequence[Any]:
        """Return a ``Prediction`` or ``Found`` for each photo; ``threshold`` is a detector's."""
        model = self.predictor if alone else self.shared_predictor
        if threshold is not None:
            model = model.with_threshold(threshold)
        return model.predict_prepared(seen, names)

    def validate_output(self) -> None:
        """Ask for one answer; raise ``ModelError`` when it is none that could be told."""
        spec = self.predictor.card.preprocess
        noise = np.random.default_rng(0).integers(0, 256, (spec.height, spec.width, 3)).astype(np.uint8)
        try:
            json.dumps(self.predictor.predict(noise).to_dict(), allow_nan=False)
        except ValueError as error:
            raise ModelError(
                _("The model's outputs are not numbers."), _("Expected probabilities from 0 to 1.")
            ) from error

    def benchmark_batch_sizes(self, workers: int) -> dict[int, float]:
        """Return the seconds a photo when ``workers`` at one time answer batches of 1, 2, 4, ...

        No more sizes are tried than about a second allows.
        """
        spec = self.predictor.card.preprocess
        blank = PreparedImage(np.zeros((spec.height, spec.width, 3), np.uint8), (spec.height, spec.width))
        fixed = self.predictor.backend.input_shape[0]
        found: dict[int, float] = {}
        begun = time.monotonic()
        with ThreadPoolExecutor(workers, "lince-measure") as pool:
            for size in (fixed,) if isinstance(fixed, int) else _BATCH_SIZES:
                if found and time.monotonic() - begun > _BENCHMARK_SECONDS:
                    break
                batches = [[blank] * size] * workers
                found[size] = min(self._time_batches(pool, batches) for _i in range(3)) / (size * workers)
        return found

    def _time_batches(self, pool: ThreadPoolExecutor, batches: Sequence[Sequence[PreparedImage]]) -> float:
        begun = time.perf_counter()
        list(pool.map((self.predictor if len(batches) == 1 else self.shared_predictor).predict_prepared, batches))
        return time.perf_counter() - begun


def make_batch_plan(measured: dict[int, float], chosen: BatchingSettings, workers: int = 1) -> BatchPlan:
    """Return how batches are made for ``workers`` on the ground of ``measured``: the seconds a photo by batch size."""
    batch = chosen.max_batch_size or _best_batch_size(measured)
    pace = measured.get(batch, min(measured.values()))
    bound = chosen.max_latency or max(_MIN_LATENCY_BOUND, round(_BATCHES_PER_BOUND * batch * workers * pace, 1))
    # The bound is what keeps waits short; the queue guards memory, so it leaves room for a machine that gets faster.
    queue = chosen.max_queue or max(_MIN_QUEUE, int(2 * bound / pace))
    return BatchPlan(batch, chosen.batch_delay, bound, queue, pace, workers)


def _best_batch_size(measured: dict[int, float]) -> int:
    best = 1
    for size, seconds in measured.items():
        if best not in measured or seconds < measured[best] * _WORTHWHILE_RATIO:
            best = size
    return best


@dataclass(frozen=True, eq=False)
class LoadedVersion:
    """A version with the queue before it, and when (UTC, ISO 8601) it was loaded."""

    version: ModelVersion
    batcher: RequestBatcher
    loaded_at: str


@dataclass(eq=False)
class ServedModel:
    """A model under its name: where it lies, what answers now, and whether a newer version could not be used.

    ``stamp`` is that of the files that were looked at last.
    """

    name: str
    path: Path
    current: LoadedVersion
    file_stamp: FileStamp | None
    reload_failed: bool = False

    @property
    def version(self) -> ModelVersion:
        """The version that answers now."""
        return self.current.version

    @property
    def batcher(self) -> RequestBatcher:
        """The queue before the version that answers now."""
        return self.current.batcher

    @property
    def http(self) -> Any:
        """What the model's task is in the HTTP API: its records, options and corrections."""
        return get_task(self.version.predictor.card.task).load_part("http")

    def check_options(self, choices: PredictOptions) -> None:
        """Raise ``RefusedError`` for a choice that says nothing to this model."""
        given = {"top": choices.top, "threshold": choices.threshold}
        useless = [name for name, value in given.items() if value is not None and name not in self.http.PREDICT_OPTIONS]
        if useless:
            message = _("'{name}' cannot be used with this model.").format(name=useless[0])
            raise client_error("useless-option", message, 422)

    def describe(self) -> dict[str, Any]:
        """Return what clients may know of the model."""
        current = self.current
        card = current.version.predictor.card
        spec = card.preprocess
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
            "thresholds": self.http.list_thresholds(card),
            "network": card.model,
            "licence": card.licence,
            "source": card.source,
            "metrics": card.metrics,
            "target": card.target,
            "precision": card.precision,
            "loaded": current.loaded_at,
            "bound_seconds": current.batcher.plan.max_latency,
            "batch": current.batcher.plan.max_batch_size,
            "trouble": _("A newer version could not be loaded; see the server log.") if self.reload_failed else None,
        }


class ModelRegistry:
    """All models of a server, in the order in which they were given; the first answers where none is named."""

    def __init__(self, settings: ServerSettings, metrics: ServerMetrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.decoder_pool = ThreadPoolExecutor(count_cores(), "lince-look")
        self._served: dict[str, ServedModel] = {}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    def __len__(self) -> int:
        return len(self._served)

    def add(self, path: str | Path, name: str = "") -> ServedModel:
        """Load the model at ``path``, measure it and serve it as ``name`` (its folder's name); return it.

        Raises ``ModelError`` when it cannot be loaded, and ``UsageError`` when the name is taken.
        """
        chosen = name or derive_model_name(Path(path))
        if chosen in self._served:
            raise UsageError(
                _("Two models have the name '{name}'.").format(name=chosen),
                _("Expected different names."),
                _("Give one of them another name: {line}").format(line=f"{chosen}-2={path}"),
            )
        served = ServedModel(chosen, Path(path), *self._load_version(chosen, Path(path)))
        self._served[chosen] = served
        self.metrics.track_queue(chosen, lambda: served.batcher.pending_images)
        return served

    def reload(self, served: ServedModel) -> None:
        """Put what lies at the model's path now in place of its version; whoever waits for the old one gets its answer.

        Raises ``LinceError`` and others when it cannot be used; then everything stays as it was.
        """
        current, found = self._load_version(served.name, served.path)
        old, served.current, served.file_stamp, served.reload_failed = served.batcher, current, found, False
        old.retire()

    def _load_version(self, name: str, path: Path) -> tuple[LoadedVersion, FileStamp | None]:
        """Return what lies at ``path``, tried and measured, and its stamp from before it was read."""
        found = compute_file_stamp(path)
        workers, threads = split_cores(self.settings.batching.threads)
        model = load.load(path, self.settings.batching.threads).with_threads()
        version = ModelVersion(model, model if workers == 1 else model.with_threads(threads), self.settings.limits)
        version.validate_output()
        made = make_batch_plan(version.benchmark_batch_sizes(workers), self.settings.batching, workers)
        batcher = RequestBatcher(version, made, self.decoder_pool, partial(self.metrics.observe_batch, name))
        return LoadedVersion(version, batcher, _utc_timestamp()), found

    def find(self, name: str | None) -> ServedModel:
        """Return the model called ``name``; the only one where none is named. Raise ``RefusedError`` otherwise."""
        known = ", ".join(self._served)
        if name is None:
            if len(self._served) > 1:
                message = _("Several models are served. Expected 'model' to be one of: {known}.").format(known=known)
                raise client_error("which-model", message, 422)
            return next(iter(self._served.values()))
        if name not in self._served:
            message = _("There is no model '{name}'. Expected one of: {known}.").format(
                name=request_images.shorten_text(name), known=known
            )
            raise client_error("unknown-model", message, 404)
        return self._served[name]

    def close(self) -> None:
        """Let the threads end when what was taken in is answered."""
        for served in self._served.values():
            served.batcher.retire()
        self.decoder_pool.shutdown(wait=False)


def derive_model_name(path: Path) -> str:
    """Return the name under which the model at ``path`` is served unless another is chosen: its run's or file's."""
    whole = path.resolve()
    if whole.is_file():
        return whole.parent.name if whole.stem == "model" else whole.stem
    return whole.parent.name if whole.name == "model" else whole.name


def compute_file_stamp(path: Path) -> FileStamp | None:
    """Return what changes when the files of the model at ``path`` do; ``None`` while there is none."""
    try:
        folder = path if path.is_file() else model_folder.find_model_folder(path)
        files = [folder] if folder.is_file() else sorted(item for item in folder.iterdir() if item.is_file())
        return tuple(
            (item.name, fact.st_mtime_ns, fact.st_size, fact.st_ino) for item in files if (fact := item.stat())
        )
    except (OSError, LinceError):
        return None


def _utc_timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
