"""Answers for photos: the same preparation, network and decoding as in training's evaluation, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import decode, preprocess, tasks
from lince.annotations import Classes, Label, Rejected
from lince.card import ModelCard
from lince.errors import ImageError, ModelError
from lince.messages import _, localised
from lince.progress import SILENT, Progress
from lince.runtime import draw, modelfolder, reading, sources
from lince.runtime.engines import Engine, open_engine
from lince.runtime.reading import BATCH, Asking, Image, Seen
from lince.runtime.shown import Shown
from lince.runtime.sources import Photo, Source

_SIDE, _NAMED = 360, 3  # pixels of a photo that is shown with its answer, and the classes named below it


@dataclass(frozen=True)
class Prediction(Shown):
    """What a model says of one photo; ``truth`` is the class id when it is known, ``path`` where the photo lies."""

    name: str
    label: Label
    classes: Classes
    truth: int | None = None
    path: str | None = None
    source: Any = field(default=None, repr=False, compare=False)

    @property
    def class_name(self) -> str:
        """The name of the most probable class."""
        return self.classes.names[self.label.class_id]

    @property
    def truth_name(self) -> str | None:
        """The name of the true class, when it is known."""
        return None if self.truth is None else self.classes.names[self.truth]

    @property
    def right(self) -> bool | None:
        """Whether the prediction is the truth; ``None`` when the truth is not known."""
        return None if self.truth is None else self.truth == self.label.class_id

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return this as a plain record for JSON, with the ``top`` most probable classes (all by default)."""
        ranked = self.label.top(top or len(self.classes))
        record: dict[str, Any] = {"file": self.name, "class": self.class_name, "probability": self.label.score}
        record["classes"] = [{"name": self.classes.names[index], "probability": score} for index, score in ranked]
        if self.truth is not None:
            record |= {"truth": self.truth_name, "right": self.right}
        return record

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of the table: a row for each class, the most probable first."""
        return "file", "class", "probability"

    def rows(self) -> list[dict[str, Any]]:
        """Return the answer as the rows of a table."""
        ranked = self.label.top(len(self.classes))
        return [{"file": self.name, "class": self.classes.names[at], "probability": share} for at, share in ranked]

    def drawn(self, image: Image) -> Image:
        """Return ``image`` (H, W, 3), uint8 RGB, brought to 360 pixels, with the most probable classes below it."""
        ranked = self.label.top(_NAMED)
        lines = tuple(f"{localised(f'{share:.1%}')} {self.classes.names[at]}" for at, share in ranked)
        return draw.contact_sheet([draw.Cell(image, lines, self.right)], side=_SIDE)


class Predictor:
    """A model ready to be asked: its card and its network; web addresses are asked only where ``urls`` allows it.

    Raises ``ModelError`` when the network does not belong to the card.
    """

    def __init__(self, card: ModelCard, session: Engine, urls: bool = False) -> None:
        modelfolder.require_task(card, tasks.CLASSIFY)
        _check_belongs(card, session)
        self.card = card
        self.session = session
        self.urls = urls

    @property
    def classes(self) -> Classes:
        """The classes that the model tells apart."""
        return self.card.classes

    def beside(self, threads: int | None = None) -> Predictor:
        """Return the same model for work beside that of others: its threads sleep while they wait for each other.

        ``threads`` is the number of cores that a call may use, by default as many as now.
        """
        return Predictor(self.card, self.session.beside(threads), self.urls)

    def predict(self, source: Source) -> Prediction:
        """Return the prediction for one photo.

        A photo is a path, the bytes of a file, a file opened for bytes, a picture of Pillow, an array uint8 (grey, RGB
        or RGBA), or an address on the web where the model was loaded to allow that. Raises ``ImageError`` when it
        cannot be read.
        """
        photo = reading.one(source, self.urls)
        (answer,) = self.answer([self.look(photo.source)], [photo.name])
        return replace(answer, path=photo.path or None, source=photo.held)

    def look(self, source: Source) -> Seen:
        """Return a photo as the network is to see it; many threads may look at once.

        Raises ``ImageError`` when it cannot be read.
        """
        return reading.see(source, self.card.preprocess, self.urls)

    def answer(self, seen: Sequence[Seen], names: Sequence[str] = ()) -> list[Prediction]:
        """Return the prediction for each photo of a batch, in one call of the network; many threads may answer at once.

        ``names`` are those of the photos, in order; empty where there are none.
        """
        labels = self._labels([one.image for one in seen])
        named = names or [""] * len(seen)
        return [Prediction(name, label, self.classes) for name, label in zip(named, labels, strict=True)]

    def predict_many(
        self,
        where: Source | Iterable[Source],
        truth: str = "auto",
        batch: int = BATCH,
        progress: Progress = SILENT,
    ) -> Iterator[Prediction | Rejected]:
        """Yield a prediction for each photo of ``where``, in order: files, folders, patterns, or any photos.

        What is not a readable image comes out as ``Rejected``, and the others go on. Photos are decoded in threads
        while the network works; no more than a few batches are held in memory, those of a generator too. ``truth``
        says how the true class is known (``sources.truths``); of a generator ``auto`` knows none. Raises
        ``DataError`` when there is nothing to look at.
        """
        return self.predict_photos(sources.each(where), truth, batch, progress)

    def predict_photos(
        self, photos: Iterable[Photo], truth: str = "none", batch: int = BATCH, progress: Progress = SILENT
    ) -> Iterator[Prediction | Rejected]:
        """Yield a prediction or a rejection for each of ``photos``, as ``predict_many``."""
        how = sources.how_known(photos, self.classes, truth)

        def answer(model: Predictor, asked: Sequence[Photo], seen: Sequence[Seen]) -> Iterator[Prediction]:
            known = sources.truths(asked, self.classes, how)
            answers = model.answer(seen, [photo.name for photo in asked])
            for photo, one, right in zip(asked, answers, known, strict=True):
                yield replace(one, truth=right, path=photo.path or None)

        return Asking(self, answer, batch).all(photos, progress)

    def embed(self, source: Source) -> NDArray[np.float32]:
        """Return the embedding (D,) of one photo: near to each other where photos look alike to the model.

        Raises ``ImageError`` when it cannot be read, ``ModelError`` when the network has no embeddings.
        """
        return np.asarray(self.embeddings([self.look(source)])[0], np.float32)

    def embed_many(
        self, where: Source | Iterable[Source], batch: int = BATCH, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        """Return the embeddings (N, D) of the photos of ``where``, as ``predict_many`` takes them, in order.

        Raises ``ImageError`` at the first that cannot be read, so that rows and photos never part.
        """

        rows = list(self.embed_photos(sources.each(where), batch, progress))
        return np.stack([_whole(row) for row in rows]) if rows else np.empty((0, 0), np.float32)

    def embed_photos(
        self, photos: Iterable[Photo], batch: int = BATCH, progress: Progress = SILENT
    ) -> Iterator[NDArray[np.float32] | Rejected]:
        """Yield the embedding (D,) or the rejection of each of ``photos``, in order."""

        def answer(model: Predictor, _asked: Sequence[Photo], seen: Sequence[Seen]) -> Iterator[NDArray[np.float32]]:
            yield from model.embeddings(seen)

        return Asking(self, answer, batch).all(photos, progress)

    def embeddings(self, seen: Sequence[Seen]) -> NDArray[np.float32]:
        """Return the embeddings (N, D) of a batch of photos, in one call of the network."""
        batch = preprocess.normalise([one.image for one in seen], self.card.preprocess)
        return self.session.run(batch, ("embedding",))[0]

    def probabilities(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities (N, classes) of prepared images (N, C, H, W)."""
        return decode.probabilities(self.logits(batch))

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's raw answer (N, classes) for prepared images (N, C, H, W)."""
        return self.session.run(batch, ("logits",))[0]

    def _labels(self, fitted: Sequence[Image]) -> list[Label]:
        batch = preprocess.normalise(fitted, self.card.preprocess)
        return [Label.of(row) for row in self.probabilities(batch)]

    def look_at(self, photo: Photo) -> Seen | Rejected:
        """Return a photo as the network is to see it, or why it cannot be read; many threads may look at once."""
        return reading.look(photo, self.card.preprocess, self.urls)


def load(path: str | Path, threads: int | None = None) -> Predictor:
    """Return the classifier of a run, or of a model folder, ready to be asked; raise ``ModelError`` if there is none.

    ``runtime.loading`` takes any kind of model.
    """
    folder = modelfolder.locate(Path(path))
    card = ModelCard.load(folder)
    return Predictor(card, open_engine(card, folder, threads))


def _whole(row: NDArray[np.float32] | Rejected) -> NDArray[np.float32]:
    if isinstance(row, Rejected):
        raise ImageError(f"{row.path}: {row.reason}", remedy=row.remedy)
    return row


def _check_belongs(card: ModelCard, session: Engine) -> None:
    found = (*session.input_shape[1:], *session.outputs.get("logits", (None, None))[1:])
    expected = (*card.preprocess.shape, len(card.classes))
    if found != expected:
        raise ModelError(
            _("{path} does not belong to its card: its input and classes are {found}.").format(
                path=session.path, found=found
            ),
            _("Expected {expected}.").format(expected=expected),
            _("Copy the model folder again, or export the run again."),
        )
