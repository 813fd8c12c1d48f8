"""Runs a model over many images: prepares them in threads, predicts in batches, keeps order and bounds memory."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, Protocol, Self, TypeVar

from lince.annotations import RejectedItem
from lince.i18n import _
from lince.inference.backends.onnxruntime import count_cores, split_cores
from lince.inference.image_loading import PreparedImage
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.inference.sources import ImageItem
from lince.progress import SILENT, Progress

BATCH_SIZE = 16
_PREFETCHED_BATCHES = 3  # batches in memory at one time: being prepared, or waiting for the network
R = TypeVar("R")
M = TypeVar("M", bound="ImagePreparer")


class ImagePreparer(Protocol):
    """What ``BatchRunner`` needs of a model; both methods may be called from many threads at once."""

    def prepare_or_reject(self, item: ImageItem) -> PreparedImage | RejectedItem:
        """Return ``item`` resized for the network, or the reason why it cannot be read."""

    def with_threads(self, threads: int | None = None) -> Self:
        """Return a copy of the model that uses ``threads`` cores per call and shares them with other calls."""


@dataclass(frozen=True, eq=False)
class BatchRunner(Generic[M, R]):
    """Predicts any number of images with ``model``, ``batch_size`` at a time.

    ``predict(model, items, prepared)`` returns one result per item of a batch, in order; it never gets an empty batch.
    With few images, threads prepare the next batches while one call of the network uses all cores. From
    ``3 * batch_size`` images on, and with several cores, several smaller batches run at the same time, each on its
    share of the cores: faster, at the same number of images in memory.
    """

    model: M
    predict: Callable[[M, Sequence[ImageItem], Sequence[PreparedImage]], Iterable[R]]
    batch_size: int = BATCH_SIZE

    def run(self, items: Iterable[ImageItem], progress: Progress = SILENT) -> Iterator[R | RejectedItem]:
        """Yield a result or a rejection for each of ``items``, in their order.

        ``items`` may be a generator, also an endless one: it is read a few batches ahead and no further.
        """
        with progress.open_stage(_("Predicting"), operator.length_hint(items)) as stage:
            for result in self._run_items(items):
                stage.advance()
                yield result

    def _run_items(self, items: Iterable[ImageItem]) -> Iterator[R | RejectedItem]:
        """Choose between the two ways of running by the number of items and cores."""
        remaining = iter(items)
        first = list(islice(remaining, _PREFETCHED_BATCHES * self.batch_size))
        calls, threads = split_cores()
        if calls == 1 or len(first) < _PREFETCHED_BATCHES * self.batch_size:
            yield from self._run_prefetched(chain(first, remaining))
        else:
            yield from self._run_parallel(chain(first, remaining), calls, self.model.with_threads(threads))

    def _run_prefetched(self, items: Iterator[ImageItem]) -> Iterator[R | RejectedItem]:
        """Prepare items in threads while the network predicts those before them, one batch at a time."""
        prepared = ordered_map(self._prepare_item, items, count_cores(), _PREFETCHED_BATCHES * self.batch_size)
        for batch in iter_batches(prepared, self.batch_size):
            yield from self._predict_batch(self.model, batch)

    def _run_parallel(self, items: Iterator[ImageItem], calls: int, model: M) -> Iterator[R | RejectedItem]:
        """Prepare and predict ``calls`` batches of ``batch_size / calls`` items at the same time."""

        def run_batch(batch: list[ImageItem]) -> list[R | RejectedItem]:
            return list(self._predict_batch(model, [self._prepare_item(item) for item in batch]))

        for results in ordered_map(run_batch, iter_batches(items, max(1, self.batch_size // calls)), calls, calls + 1):
            yield from results

    def _prepare_item(self, item: ImageItem) -> tuple[ImageItem, PreparedImage | RejectedItem]:
        return item, self.model.prepare_or_reject(item)

    def _predict_batch(
        self, model: M, batch: Sequence[tuple[ImageItem, PreparedImage | RejectedItem]]
    ) -> Iterator[R | RejectedItem]:
        """Yield the results of the readable images of ``batch``, with the rejections of the others in their places."""
        readable = [(item, image) for item, image in batch if isinstance(image, PreparedImage)]
        items, prepared = [item for item, _image in readable], [image for _item, image in readable]
        results = iter(self.predict(model, items, prepared) if readable else ())
        for _item, image in batch:
            yield image if isinstance(image, RejectedItem) else next(results)
