"""Runs two models on the same images: outputs, headline metric, and latency measured alternately."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.datasets import Dataset
from lince.export.agreement import OutputAgreement, OutputTolerance
from lince.i18n import _
from lince.inference.backends.backend import Backend
from lince.inference.image_loading import PreparedImage
from lince.inference.predictor import Predictor
from lince.preprocess import normalise_images
from lince.progress import SILENT, Progress

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)
BATCH = 8  # images per call of the network
STRIPPED_IMAGES = 4  # images of which a wide and a tall strip are tested, too
_MIN_ROUNDS, _MAX_ROUNDS, _MAX_SECONDS = 6, 40, 4.0  # of latency measurements
_WARM_UP_ROUNDS = 2  # that are not counted


@dataclass(frozen=True, eq=False)
class EvaluationImages:
    """The images of ``dataset``, on which models are compared.

    ``split`` names what they are of the data: ``test``, ``val``, ``train`` or ``all``.
    """

    dataset: Dataset
    split: str

    def __len__(self) -> int:
        return len(self.dataset)

    def iter_encoded(self) -> Iterator[bytes]:
        """Yield the content of each image file."""
        for row in range(len(self.dataset)):
            yield self.dataset.images.read_bytes(row)

    def iter_strips(self) -> Iterator[NDArray[np.uint8]]:
        """Yield a wide and a tall strip, uint8 RGB (H, W, 3), of each of the first images.

        Images with the usual aspect ratios would not show differences in resizing and padding.
        """
        for row in range(min(STRIPPED_IMAGES, len(self.dataset))):
            image = images.decode_image(self.dataset.images.read_bytes(row))
            height, width = image.shape[:2]
            yield image[height // 3 : height // 3 + max(1, height // 3)]
            yield image[:, width // 3 : width // 3 + max(1, width // 3)]


class ModelOutputs(Protocol):
    """The outputs of a model for images, followed by those for strips of some of them; each task has its own class.

    ``metric_name`` is the name of the headline metric, such as ``accuracy``.
    """

    metric_name: str

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the headline metric in 0..1 on ``images``; ``None`` where they are not labelled."""

    def compare_with(self, reference: Any, tolerance: OutputTolerance) -> OutputAgreement:
        """Return how far these outputs are from those of ``reference``, of the same class."""

    def compare_with_recorded(
        self, rows: Sequence[int], recorded: Any, recorded_rows: Sequence[int], tolerance: OutputTolerance
    ) -> OutputAgreement | None:
        """Return how far the outputs at ``rows`` are from the predictions of a run at ``recorded_rows``.

        ``None`` where the recorded predictions are of other classes.
        """


def predict_images(
    model: Predictor, images: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> tuple[list[PreparedImage], list[Any]]:
    """Return the prepared images and the results of ``model`` for ``images``, then for strips of some of them.

    The pixels of the prepared images are dropped to save memory; their sizes stay.
    """
    strips = list(images.iter_strips()) if with_strips else []
    total = len(images) + len(strips)
    batch: list[PreparedImage] = []
    prepared: list[PreparedImage] = []
    results: list[Any] = []
    with progress.open_stage(_("Running the model"), len(images)) as stage:
        for number, source in enumerate(chain[bytes | NDArray[np.uint8]](images.iter_encoded(), strips)):
            batch.append(model.prepare(source))
            if len(batch) == BATCH or number == total - 1:
                results += model.predict_prepared(batch)
                prepared += [replace(image, image=_NO_PIXELS) for image in batch]
                batch = []
            stage.advance(int(number < len(images)))
    return prepared, results


def build_input_batch(model: Predictor, images: EvaluationImages, count: int) -> NDArray[np.float32]:
    """Return network inputs, float32 (``count``, C, H, W), of the first images.

    They are repeated where there are fewer than ``count``.
    """
    prepared = [model.prepare(data).image for data, _row in zip(images.iter_encoded(), range(count), strict=False)]
    return normalise_images([prepared[i % len(prepared)] for i in range(count)], model.card.preprocess)


def benchmark_backends(backends: Sequence[Backend], batch: NDArray[np.float32]) -> list[float]:
    """Return the latency of each backend in milliseconds per call for ``batch`` (N, C, H, W).

    It is the median of calls that alternate between the backends, so that the load of the machine affects all of them.
    Each gets a new session whose threads sleep between calls, so that none takes the cores from the next.
    """
    backends = [backend.with_threads() for backend in backends]
    durations: list[list[float]] = [[] for _backend in backends]
    started_at = time.perf_counter()
    for turn in range(_MAX_ROUNDS):
        for backend, seconds in zip(backends, durations, strict=True):
            start = time.perf_counter()
            backend.run(batch, list(backend.outputs)[:1])
            seconds.append(time.perf_counter() - start)
        if turn + 1 >= _MIN_ROUNDS and time.perf_counter() - started_at > _MAX_SECONDS:
            break
    return [float(np.median(seconds[_WARM_UP_ROUNDS:])) * 1000 for seconds in durations]
