"""The served models: loading, benchmarking and replacing their versions, each with a batcher of its own.

A ``ModelRegistry`` has a ``ServedModel`` for each name. Its files can change while the server runs; each state of them
that was loaded is a ``ModelVersion``, and a ``LoadedVersion`` is one in use, with its queue.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lince.errors import LinceError, ModelError, UsageError
from lince.fileio import quote_path
from lince.i18n import _
from lince.inference import load, model_folder
from lince.inference.backends.onnxruntime import count_cores, split_cores
from lince.inference.image_loading import PreparedImage
from lince.inference.predictor import Predictor
from lince.serving import request_images
from lince.serving.batcher import BatchPlan, RequestBatcher
from lince.serving.prometheus import ServerMetrics
from lince.serving.request_images import UploadedImage
from lince.serving.request_options import PredictOptions
from lince.serving.settings import BatchingSettings, RequestLimits, ServerSettings
from lince.tasks import get_task
from lince.web.http_errors import client_error

_BATCH_SIZES = (1, 2, 4, 8, 16)
_WORTHWHILE_RATIO = 0.95  # a larger batch must need less than this fraction of the seconds per image
_BENCHMARK_SECONDS = 1.0
_MIN_LATENCY_BOUND = 1.0  # seconds
_BATCHES_PER_BOUND = 32  # full batches that fit into the default latency bound
_MIN_QUEUE = 64  # images

FileStamp = tuple[tuple[str, int, int, int], ...]  # of each file: name, modification time in ns, bytes, inode


@dataclass(frozen=True, eq=False)
class ModelVersion:
    """One state of a model's files, loaded for inference.

    ``predictor`` uses all cores of the server for one batch, ``shared_predictor`` as many as are left to each of
    several batches that run at the same time; both are of the same network. Thread-safe. A ``batcher.BatchModel``.
    """

    predictor: Predictor
    shared_predictor: Predictor
    limits: RequestLimits

    def prepare(self, image: UploadedImage) -> PreparedImage:
        """Return ``image`` decoded and resized for the network.

        Raises ``ApiError`` when it has too many bytes or pixels (413), is no image (415), or is damaged (422).
        """
        with request_images.guard_decoding(image.data, self.limits):
            return self.predictor.prepare(image.data)

    def predict_prepared(
        self, prepared: Sequence[PreparedImage], names: Sequence[str], threshold: float | None, alone: bool = True
    ) -> Sequence[Any]:
        """Return the task's ``PredictionResult`` for each image, in one call of the network.

        ``names`` are those of the images. ``threshold`` (0..1) replaces the score thresholds of a model that has some;
        ``None`` keeps them. ``alone`` says that no other batch runs, so all cores may be used.
        """
        predictor = self.predictor if alone else self.shared_predictor
        if threshold is not None:
            predictor = predictor.with_threshold(threshold)
        return predictor.predict_prepared(prepared, names)

    def validate_output(self) -> None:
        """Predict one image of random pixels; raise ``ModelError`` when its record cannot be written as JSON.

        So a model that gives NaN is refused when it is loaded, and not at the first request.
        """
        spec = self.predictor.card.preprocess
        noise = np.random.default_rng(0).integers(0, 256, (spec.height, spec.width, 3)).astype(np.uint8)
        try:
            json.dumps(self.predictor.predict(noise).to_dict(), allow_nan=False)
        except ValueError as error:
            raise ModelError(
                _("The model's outputs are not numbers."), _("Expected probabilities from 0 to 1.")
            ) from error

    def benchmark_batch_sizes(self, workers: int) -> dict[int, float]:
        """Return the seconds per image for each batch size, while ``workers`` batches run at the same time.

        The sizes are those of ``_BATCH_SIZES``, in ascending order, as many as can be tried in about a second, or the
        only one that the network accepts. Each is the best of three runs with black images, so decoding does not count.
        """
        spec = self.predictor.card.preprocess
        blank = PreparedImage(np.zeros((spec.height, spec.width, 3), np.uint8), (spec.height, spec.width))
        fixed_size = self.predictor.backend.input_shape[0]
        seconds_by_size: dict[int, float] = {}
        start = time.monotonic()
        with ThreadPoolExecutor(workers, "lince-benchmark") as pool:
            for size in (fixed_size,) if isinstance(fixed_size, int) else _BATCH_SIZES:
                if seconds_by_size and time.monotonic() - start > _BENCHMARK_SECONDS:
                    break
                batches = [[blank] * size] * workers
                seconds_by_size[size] = min(self._time_batches(pool, batches) for _i in range(3)) / (size * workers)
        return seconds_by_size

    def _time_batches(self, pool: ThreadPoolExecutor, batches: Sequence[Sequence[PreparedImage]]) -> float:
        """Return the seconds until all ``batches`` are predicted, which run at the same time in ``pool``."""
        predictor = self.predictor if len(batches) == 1 else self.shared_predictor
        start = time.perf_counter()
        list(pool.map(predictor.predict_prepared, batches))
        return time.perf_counter() - start


def make_batch_plan(seconds_by_size: dict[int, float], settings: BatchingSettings, workers: int = 1) -> BatchPlan:
    """Return the plan for ``workers`` batches at a time: what ``settings`` say, and the rest from a benchmark.

    ``seconds_by_size`` are the seconds per image by batch size (``ModelVersion.benchmark_batch_sizes``). The default
    latency bound is the time of 32 full batches per worker, at least 1 s. The default queue has room for twice the
    images that can be predicted within the bound, at least 64.
    """
    batch_size = settings.max_batch_size or _best_batch_size(seconds_by_size)
    pace = seconds_by_size.get(batch_size, min(seconds_by_size.values()))
    default_bound = max(_MIN_LATENCY_BOUND, round(_BATCHES_PER_BOUND * batch_size * workers * pace, 1))
    bound = settings.max_latency or default_bound
    # The bound is what keeps waits short; the queue guards memory, so it leaves room for a machine that gets faster.
    max_queue = settings.max_queue or max(_MIN_QUEUE, int(2 * bound / pace))
    return BatchPlan(batch_size, settings.batch_delay, bound, max_queue, pace, workers)


def _best_batch_size(seconds_by_size: dict[int, float]) -> int:
    """Return the batch size with the fewest seconds per image; a larger one must be 5 % faster than a smaller."""
    best = 1
    for size, seconds in seconds_by_size.items():
        if best not in seconds_by_size or seconds < seconds_by_size[best] * _WORTHWHILE_RATIO:
            best = size
    return best


@dataclass(frozen=True, eq=False)
class LoadedVersion:
    """A version in use: ``batcher`` is its queue, ``loaded_at`` the time at which it was loaded (UTC, ISO 8601)."""

    version: ModelVersion
    batcher: RequestBatcher
    loaded_at: str


@dataclass(eq=False)
class ServedModel:
    """A model under its name, whatever version is in use.

    ``path`` is its folder or network file. ``file_stamp`` is that of the files that were loaded, or that failed to load
    last; ``reload_failed`` says that the files are newer than the version in use and could not be loaded.
    """

    name: str
    path: Path
    current: LoadedVersion
    file_stamp: FileStamp | None
    reload_failed: bool = False

    @property
    def version(self) -> ModelVersion:
        """The version in use; it can be another one a moment later."""
        return self.current.version

    @property
    def batcher(self) -> RequestBatcher:
        """The queue of the version in use.

        Its ``predict`` raises ``ModelReplacedError`` when the version has been replaced meanwhile.
        """
        return self.current.batcher

    @property
    def http(self) -> Any:
        """The ``http`` part of the model's task, a module: schema of the records, options and corrections."""
        return get_task(self.version.predictor.card.task).load_part("http")

    def check_options(self, options: PredictOptions) -> None:
        """Raise ``ApiError`` (422) for an option that is given but does not belong to the model's task."""
        values = {"top": options.top, "threshold": options.threshold, "outline": options.outline}
        allowed = self.http.PREDICT_OPTIONS
        foreign = [name for name, value in values.items() if value is not None and name not in allowed]
        if foreign:
            message = _("'{name}' cannot be used with this model.").format(name=foreign[0])
            raise client_error("useless-option", message, 422)

    def describe(self) -> dict[str, Any]:
        """Return the public description of the model as JSON values, with the keys of ``schemas.ModelInfo``.

        Its path is not part of it.
        """
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
    """All models of a server by name, in the order in which they were added.

    ``decoder_pool`` decodes the images of all models, in a thread per core. Models are added before the server starts;
    after that only their versions change, in ``reload``.
    """

    def __init__(self, settings: ServerSettings, metrics: ServerMetrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.decoder_pool = ThreadPoolExecutor(count_cores(), "lince-decode")
        self._served: dict[str, ServedModel] = {}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    def __len__(self) -> int:
        return len(self._served)

    def add(self, path: str | os.PathLike[str], name: str = "") -> ServedModel:
        """Load and benchmark the model at ``path``, a run, model folder or network file, and serve it as ``name``.

        The default name is that of ``derive_model_name``. Raises ``ModelError`` when it cannot be loaded or its output
        is not finite, and ``UsageError`` when another model has the name.
        """
        model_name = name or derive_model_name(Path(path))
        if model_name in self._served:
            raise UsageError(
                _("Two models have the name '{name}'.").format(name=model_name),
                _("Expected different names."),
                _("Give one of them another name: {line}").format(line=quote_path(f"{model_name}-2={path}")),
            )
        served = ServedModel(model_name, Path(path), *self._load_version(model_name, Path(path)))
        self._served[model_name] = served
        self.metrics.track_queue(model_name, lambda: served.batcher.pending_images)
        return served

    def reload(self, served: ServedModel) -> None:
        """Load the files at the path of ``served`` and put them in place of its version.

        Both versions are in memory meanwhile. Images that the old one has accepted are predicted by it. Raises
        ``LinceError``, or whatever a damaged file makes a library raise; then the old version stays in use.
        """
        version, stamp = self._load_version(served.name, served.path)
        old_batcher = served.batcher
        served.current, served.file_stamp, served.reload_failed = version, stamp, False
        old_batcher.retire()

    def _load_version(self, name: str, path: Path) -> tuple[LoadedVersion, FileStamp | None]:
        """Return the model at ``path``, validated and benchmarked, and the stamp of its files.

        The stamp is taken before they are read, so that a change in between is noticed later.
        """
        stamp = compute_file_stamp(path)
        workers, threads = split_cores(self.settings.batching.threads)
        model = load.load(path, self.settings.batching.threads).with_threads()
        get_task(model.card.task).load_part("http")  # raises UsageError for a task that cannot be served
        version = ModelVersion(model, model if workers == 1 else model.with_threads(threads), self.settings.limits)
        version.validate_output()
        plan = make_batch_plan(version.benchmark_batch_sizes(workers), self.settings.batching, workers)
        batcher = RequestBatcher(version, plan, self.decoder_pool, partial(self.metrics.observe_batch, name))
        return LoadedVersion(version, batcher, _utc_timestamp()), stamp

    def find(self, name: str | None) -> ServedModel:
        """Return the model called ``name``, or the only one for ``None``.

        Raises ``ApiError`` when there is no such model (404), or several and none is named (422).
        """
        names = ", ".join(self._served)
        if name is None:
            if len(self._served) > 1:
                message = _("Several models are served. Expected 'model' to be one of: {known}.").format(known=names)
                raise client_error("which-model", message, 422)
            return next(iter(self._served.values()))
        if name not in self._served:
            message = _("There is no model '{name}'. Expected one of: {known}.").format(
                name=request_images.shorten_text(name), known=names
            )
            raise client_error("unknown-model", message, 404)
        return self._served[name]

    def close(self) -> None:
        """Release all threads once the images that were accepted are predicted; do not wait for that."""
        for served in self._served.values():
            served.batcher.retire()
        self.decoder_pool.shutdown(wait=False)


def derive_model_name(path: Path) -> str:
    """Return the default name of the model at ``path``: that of its run, its folder or its network file.

    A folder or file called "model" has the name of the folder around it, so ``runs/a``, ``runs/a/model`` and
    ``runs/a/model/model.onnx`` are "a", "a" and "model".
    """
    resolved = path.resolve()
    if resolved.is_file():
        return resolved.parent.name if resolved.stem == "model" else resolved.stem
    return resolved.parent.name if resolved.name == "model" else resolved.name


def compute_file_stamp(path: Path) -> FileStamp | None:
    """Return a value that changes with the files of the model at ``path``; ``None`` while there is no model.

    File contents are not read, so it is cheap enough to be polled.
    """
    try:
        folder = path if path.is_file() else model_folder.find_model_folder(path)
        files = [folder] if folder.is_file() else sorted(item for item in folder.iterdir() if item.is_file())
        return tuple(
            (item.name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for item in files if (stat := item.stat())
        )
    except (OSError, LinceError):
        return None


def _utc_timestamp() -> str:
    """Return the time now in UTC (ISO 8601, to the second)."""
    return datetime.now(UTC).isoformat(timespec="seconds")
