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
from lince.annotations import Rejected
from lince.errors import ImageError
from lince.messages import _
from lince.preprocess import Preprocess
from lince.progress import SILENT, Progress
from lince.runtime import fetching, sources
from lince.runtime.inorder import batched, in_order
from lince.runtime.session import cores, shares
from lince.runtime.sources import Photo, Source, is_address

Image = NDArray[np.uint8]
BATCH = 16
_AHEAD = 3  # batches that are read or wait at one time
A = TypeVar("A")
M = TypeVar("M", bound="Looking")


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo as a network is to see it, uint8 RGB (H, W, 3) of its input's size, and its own (height, width)."""

    image: Image
    size: tuple[int, int]


class Looking(Protocol):
    """A model that many threads may ask at once."""

    def look_at(self, photo: Photo) -> Seen | Rejected:
        """Return ``photo`` as the network is to see it, or why it cannot be read."""

    def beside(self, threads: int | None = None) -> Self:
        """Return the same model for work beside that of others, on ``threads`` cores."""


@dataclass(frozen=True, eq=False)
class Asking(Generic[M, A]):
    """How many photos are answered: ``model`` looks at each of them in threads, ``answer`` tells of a batch together.

    Of more photos than a few batches, several batches are answered at one time, each by a model on its share of the
    cores and as much smaller, so that memory stays as it was.
    """

    model: M
    answer: Callable[[M, Sequence[Photo], Sequence[Seen]], Iterable[A]]
    batch: int = BATCH

    def all(self, photos: Iterable[Photo], progress: Progress = SILENT) -> Iterator[A | Rejected]:
        """Yield an answer or a rejection for each of ``photos``, in order; those of a generator as they are needed."""
        with progress.stage(_("Predicting"), operator.length_hint(photos)) as stage:
            for one in self._all(photos):
                stage.advance()
                yield one

    def _all(self, photos: Iterable[Photo]) -> Iterator[A | Rejected]:
        rest = iter(photos)
        first = list(islice(rest, _AHEAD * self.batch))
        calls, threads = shares()
        if calls == 1 or len(first) < _AHEAD * self.batch:
            yield from self._ahead(chain(first, rest))
        else:
            yield from self._together(chain(first, rest), calls, self.model.beside(threads))

    def _ahead(self, photos: Iterator[Photo]) -> Iterator[A | Rejected]:
        """Look at photos in threads while the network answers those before them."""
        looked = in_order(self._looked, photos, cores(), _AHEAD * self.batch)
        for batch in batched(looked, self.batch):
            yield from self._told(self.model, batch)

    def _together(self, photos: Iterator[Photo], calls: int, model: M) -> Iterator[A | Rejected]:
        """Look at and answer ``calls`` batches at one time."""

        def one(batch: list[Photo]) -> list[A | Rejected]:
            return list(self._told(model, [self._looked(photo) for photo in batch]))

        for told in in_order(one, batched(photos, max(1, self.batch // calls)), calls, calls + 1):
            yield from told

    def _looked(self, photo: Photo) -> tuple[Photo, Seen | Rejected]:
        return photo, self.model.look_at(photo)

    def _told(self, model: M, looked: Sequence[tuple[Photo, Seen | Rejected]]) -> Iterator[A | Rejected]:
        fit = [(photo, seen) for photo, seen in looked if isinstance(seen, Seen)]
        told = self.answer(model, [photo for photo, _seen in fit], [seen for _photo, seen in fit]) if fit else ()
        answers = iter(told)
        for _photo, seen in looked:
            yield seen if isinstance(seen, Rejected) else next(answers)


def look(photo: Photo, spec: Preprocess, urls: bool = False) -> Seen | Rejected:
    """Return ``photo`` ready for a network that reads as ``spec`` says, or why it cannot be read."""
    try:
        source = photo.source
        return see(images.read_bytes(source) if source is photo.path else source, spec, urls)
    except ImageError as error:
        return Rejected(photo.name, error.found, error.remedy or error.expected)


def see(source: Source, spec: Preprocess, urls: bool = False) -> Seen:
    """Return a photo, wherever it is, ready for a network; web addresses are asked only where ``urls`` allows it.

    A large JPEG is read at a part of its size where that is enough for the network; ``size`` is that of the whole.
    Raises ``ImageError`` when it cannot be read.
    """
    found = opened(source, urls)
    if isinstance(found, Picture):
        image = images.upright(found)
    elif isinstance(found, np.ndarray):
        image = images.coloured(found)
    else:
        return _from_file(found, spec, os.fspath(source) if isinstance(source, (str, os.PathLike)) else "")
    return Seen(preprocess.fit(image, spec), image.shape[:2])


def pixels(source: Source, urls: bool = False) -> Image:
    """Return all pixels of a photo, uint8 RGB (H, W, 3), upright; raise ``ImageError`` when it cannot be read."""
    found = opened(source, urls)
    if isinstance(found, Picture):
        return images.upright(found)
    return images.coloured(found) if isinstance(found, np.ndarray) else images.decode(found)


def one(source: Source, urls: bool = False) -> Photo:
    """Return the photo ``source``; what lies in no file is opened, and held. Raises ``ImageError`` as ``opened``."""
    photo = sources.one(source)
    return photo if photo.path else replace(photo, held=opened(source, urls))


def opened(source: Source, urls: bool = False) -> bytes | Picture | Image:
    """Return what ``source`` holds: pixels as they are given, anything else as the bytes of a file.

    Raises ``ImageError`` when it cannot be had, or is the web's and ``urls`` does not allow that.
    """
    if isinstance(source, (Picture, np.ndarray, bytes)):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, str) and is_address(source):
        return fetching.fetch(source, urls)
    if isinstance(source, (str, os.PathLike)):
        return images.read_bytes(source)
    data = source.read() if hasattr(source, "read") else source
    if not isinstance(data, bytes):
        raise ImageError(
            _("{kind} is no photo.").format(kind=type(data).__name__),
            _("Expected a path, the bytes of a file, a file opened for bytes, a picture of Pillow, or an array."),
        )
    return data


def _from_file(data: bytes, spec: Preprocess, where: str) -> Seen:
    try:
        image = images.decode(data, (spec.height, spec.width))
    except ImageError as error:
        raise ImageError(f"{where}: {error.found}" if where else error.found, error.expected, error.remedy) from error
    return Seen(preprocess.fit(image, spec), images.size(data))
