"""Photos read and prepared in threads while the network works on those before them; memory stays bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import images, preprocess
from lince.annotations import Rejected
from lince.errors import ImageError
from lince.messages import _
from lince.preprocess import Preprocess
from lince.progress import SILENT, Progress
from lince.runtime.session import cores
from lince.runtime.sources import Photo

Image = NDArray[np.uint8]
BATCH = 16
_AHEAD = 3  # batches that are read or wait at one time
A = TypeVar("A")


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo as a network is to see it, uint8 RGB (H, W, 3) of its input's size, and its own (height, width)."""

    image: Image
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Asking(Generic[A]):
    """How photos are answered: ``look`` at each of them in threads, ``answer`` those of a batch together."""

    look: Callable[[Photo], Seen | Rejected]
    answer: Callable[[Sequence[Photo], Sequence[Seen]], Iterable[A]]
    batch: int = BATCH

    def all(self, photos: Sequence[Photo], progress: Progress = SILENT) -> Iterator[A | Rejected]:
        """Yield an answer or a rejection for each of ``photos``, in order."""
        with progress.stage(_("Predicting"), len(photos)) as stage:
            for one in self._all(photos):
                stage.advance()
                yield one

    def _all(self, photos: Sequence[Photo]) -> Iterator[A | Rejected]:
        with ThreadPoolExecutor(cores()) as pool:
            waiting: deque[tuple[Photo, Future[Seen | Rejected]]] = deque()
            try:
                for photo in photos:
                    waiting.append((photo, pool.submit(self.look, photo)))
                    if len(waiting) >= _AHEAD * self.batch:
                        yield from self._next(waiting)
                while waiting:
                    yield from self._next(waiting)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _next(self, waiting: deque[tuple[Photo, Future[Seen | Rejected]]]) -> Iterator[A | Rejected]:
        taken = [waiting.popleft() for _i in range(min(self.batch, len(waiting)))]
        looked = [(photo, future.result()) for photo, future in taken]
        fit = [(photo, seen) for photo, seen in looked if isinstance(seen, Seen)]
        answers = iter(self.answer([photo for photo, _seen in fit], [seen for _photo, seen in fit]) if fit else ())
        for _photo, seen in looked:
            yield seen if isinstance(seen, Rejected) else next(answers)


def look(photo: Photo, spec: Preprocess) -> Seen | Rejected:
    """Return ``photo`` ready for a network that reads as ``spec`` says, or why it cannot be read."""
    try:
        return see(images.read_bytes(photo.path), spec)
    except ImageError as error:
        return Rejected(photo.name, error.found, error.remedy or error.expected)


def see(source: str | Path | bytes | Image, spec: Preprocess) -> Seen:
    """Return a photo, given by its path, the bytes of its file or as an array (H, W, 3) uint8 RGB, ready for a network.

    A large JPEG is read at a part of its size where that is enough for the network; ``size`` is that of the whole.
    Raises ``ImageError`` when it cannot be read.
    """
    if isinstance(source, np.ndarray):
        _require_image(source)
        return Seen(preprocess.fit(source, spec), source.shape[:2])
    data = source if isinstance(source, bytes) else images.read_bytes(source)
    try:
        image = images.decode(data, (spec.height, spec.width))
    except ImageError as error:
        where = "" if isinstance(source, bytes) else f"{os.fspath(source)}: "
        raise ImageError(where + error.found, error.expected, error.remedy) from error
    return Seen(preprocess.fit(image, spec), images.size(data))


def _require_image(array: NDArray[Any]) -> None:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ImageError(
            _("An array of {kind} {shape} is no image.").format(kind=array.dtype, shape=array.shape),
            _("Expected uint8 RGB (height, width, 3), as lince.images.read gives it."),
        )
