"""Photos read and prepared in threads while the network works on those before them; memory stays bounded."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as Picture

from lince import images, preprocess
from lince.annotations import RejectedItem
from lince.errors import ImageError
from lince.i18n import _
from lince.inference import http_image, sources
from lince.inference.backends.onnxruntime import count_cores, split_cores
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.inference.sources import ImageInput, ImageItem, is_url
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT, Progress

Image = NDArray[np.uint8]
BATCH_SIZE = 16
_PREFETCHED_BATCHES = 3  # batches that are read or wait at one time
A = TypeVar("A")
M = TypeVar("M", bound="ImagePreparer")


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """A photo as a network is to see it, uint8 RGB (H, W, 3) of its input's size, and its own (height, width)."""

    image: Image
    size: tuple[int, int]


class ImagePreparer(Protocol):
    """A model that many threads may ask at once."""

    def prepare_or_reject(self, item: ImageItem) -> PreparedImage | RejectedItem:
        """Return ``photo`` as the network is to see it, or why it cannot be read."""

    def with_threads(self, threads: int | None = None) -> Self:
        """Return the same model for work beside that of others, on ``threads`` cores."""


@dataclass(frozen=True, eq=False)
class BatchRunner(Generic[M, A]):
    """How many photos are answered: ``model`` looks at each of them in threads, ``answer`` tells of a batch together.

    Of more photos than a few batches, several batches are answered at one time, each by a model on its share of the
    cores and as much smaller, so that memory stays as it was.
    """

    model: M
    predict: Callable[[M, Sequence[ImageItem], Sequence[PreparedImage]], Iterable[A]]
    batch_size: int = BATCH_SIZE

    def run(self, items: Iterable[ImageItem], progress: Progress = SILENT) -> Iterator[A | RejectedItem]:
        """Yield an answer or a rejection for each of ``photos``, in order; those of a generator as they are needed."""
        with progress.open_stage(_("Predicting"), operator.length_hint(items)) as stage:
            for one in self._run_items(items):
                stage.advance()
                yield one

    def _run_items(self, photos: Iterable[ImageItem]) -> Iterator[A | RejectedItem]:
        rest = iter(photos)
        first = list(islice(rest, _PREFETCHED_BATCHES * self.batch_size))
        calls, threads = split_cores()
        if calls == 1 or len(first) < _PREFETCHED_BATCHES * self.batch_size:
            yield from self._run_prefetched(chain(first, rest))
        else:
            yield from self._run_parallel(chain(first, rest), calls, self.model.with_threads(threads))

    def _run_prefetched(self, photos: Iterator[ImageItem]) -> Iterator[A | RejectedItem]:
        """Look at photos in threads while the network answers those before them."""
        looked = ordered_map(self._prepare_item, photos, count_cores(), _PREFETCHED_BATCHES * self.batch_size)
        for batch in iter_batches(looked, self.batch_size):
            yield from self._predict_batch(self.model, batch)

    def _run_parallel(self, photos: Iterator[ImageItem], calls: int, model: M) -> Iterator[A | RejectedItem]:
        """Look at and answer ``calls`` batches at one time."""

        def one(batch: list[ImageItem]) -> list[A | RejectedItem]:
            return list(self._predict_batch(model, [self._prepare_item(photo) for photo in batch]))

        for told in ordered_map(one, iter_batches(photos, max(1, self.batch_size // calls)), calls, calls + 1):
            yield from told

    def _prepare_item(self, photo: ImageItem) -> tuple[ImageItem, PreparedImage | RejectedItem]:
        return photo, self.model.prepare_or_reject(photo)

    def _predict_batch(
        self, model: M, looked: Sequence[tuple[ImageItem, PreparedImage | RejectedItem]]
    ) -> Iterator[A | RejectedItem]:
        fit = [(photo, seen) for photo, seen in looked if isinstance(seen, PreparedImage)]
        told = self.predict(model, [photo for photo, _seen in fit], [seen for _photo, seen in fit]) if fit else ()
        answers = iter(told)
        for _photo, seen in looked:
            yield seen if isinstance(seen, RejectedItem) else next(answers)


def prepare_or_reject(item: ImageItem, spec: PreprocessSpec, allow_urls: bool = False) -> PreparedImage | RejectedItem:
    """Return ``photo`` ready for a network that reads as ``spec`` says, or why it cannot be read."""
    try:
        source = item.source
        return prepare_image(images.read_bytes(source) if source is item.path else source, spec, allow_urls)
    except ImageError as error:
        return RejectedItem(item.name, error.problem, error.remedy or error.expected)


def prepare_image(source: ImageInput, spec: PreprocessSpec, allow_urls: bool = False) -> PreparedImage:
    """Return a photo, wherever it is, ready for a network; web addresses are asked only where ``urls`` allows it.

    A large JPEG is read at a part of its size where that is enough for the network; ``size`` is that of the whole.
    Raises ``ImageError`` when it cannot be read.
    """
    found = open_source(source, allow_urls)
    if isinstance(found, Picture):
        image = images.from_pillow(found)
    elif isinstance(found, np.ndarray):
        image = images.array_to_rgb(found)
    else:
        return _prepare_encoded(found, spec, os.fspath(source) if isinstance(source, (str, os.PathLike)) else "")
    return PreparedImage(preprocess.resize_to_input(image, spec), image.shape[:2])


def read_pixels(source: ImageInput, allow_urls: bool = False) -> Image:
    """Return all pixels of a photo, uint8 RGB (H, W, 3), upright; raise ``ImageError`` when it cannot be read."""
    found = open_source(source, allow_urls)
    if isinstance(found, Picture):
        return images.from_pillow(found)
    return images.array_to_rgb(found) if isinstance(found, np.ndarray) else images.decode_image(found)


def open_image_item(source: ImageInput, allow_urls: bool = False) -> ImageItem:
    """Return the photo ``source``; what lies in no file is opened, and held. Raises ``ImageError`` as ``opened``."""
    photo = sources.to_image_item(source)
    return photo if photo.path else replace(photo, data=open_source(source, allow_urls))


def open_source(source: ImageInput, allow_urls: bool = False) -> bytes | Picture | Image:
    """Return what ``source`` holds: pixels as they are given, anything else as the bytes of a file.

    Raises ``ImageError`` when it cannot be had, or is the web's and ``urls`` does not allow that.
    """
    if isinstance(source, (Picture, np.ndarray, bytes)):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, str) and is_url(source):
        return http_image.download_image(source, allow_urls)
    if isinstance(source, (str, os.PathLike)):
        return images.read_bytes(source)
    data = source.read() if hasattr(source, "read") else source
    if not isinstance(data, bytes):
        raise ImageError(
            _("{kind} is no photo.").format(kind=type(data).__name__),
            _("Expected a path, the bytes of a file, a file opened for bytes, a picture of Pillow, or an array."),
        )
    return data


def _prepare_encoded(data: bytes, spec: PreprocessSpec, where: str) -> PreparedImage:
    try:
        image = images.decode_image(data, (spec.height, spec.width))
    except ImageError as error:
        raise ImageError(
            f"{where}: {error.problem}" if where else error.problem, error.expected, error.remedy
        ) from error
    return PreparedImage(preprocess.resize_to_input(image, spec), images.read_size(data))
