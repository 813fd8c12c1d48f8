"""Answers for photos: the same preparation, network and decoding as in training's evaluation, without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import decode, preprocess, tasks
from lince.annotations import Classes, Label, Rejected
from lince.card import NETWORK_FILE, ModelCard
from lince.errors import ModelError
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime import modelfolder, reading, sources
from lince.runtime.reading import BATCH, Asking, Image, Seen
from lince.runtime.session import Session
from lince.runtime.sources import Photo


@dataclass(frozen=True)
class Prediction:
    """What a model says of one photo; ``truth`` is the class id when it is known, ``path`` where the photo lies."""

    name: str
    label: Label
    classes: Classes
    truth: int | None = None
    path: str | None = None

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


class Predictor:
    """A model ready to be asked: its card and its network.

    Raises ``ModelError`` when the network does not belong to the card.
    """

    def __init__(self, card: ModelCard, session: Session) -> None:
        modelfolder.require_task(card, tasks.CLASSIFY)
        _check_belongs(card, session)
        self.card = card
        self.session = session

    @property
    def classes(self) -> Classes:
        """The classes that the model tells apart."""
        return self.card.classes

    def predict(self, source: str | Path | bytes | Image) -> Prediction:
        """Return the prediction for one photo: a path, the bytes of a file, or an array (H, W, 3) uint8 RGB.

        Raises ``ImageError`` when it cannot be read.
        """
        label = self._labels([reading.see(source, self.card.preprocess).image])[0]
        path = os.fspath(source) if isinstance(source, (str, Path)) else None
        return Prediction(sources.readable(path or ""), label, self.classes, path=path)

    def predict_many(
        self,
        where: str | Path | Sequence[str | Path],
        truth: str = "auto",
        batch: int = BATCH,
        progress: Progress = SILENT,
    ) -> Iterator[Prediction | Rejected]:
        """Yield a prediction for each photo of ``where`` (files, folders, patterns), in order.

        A file that is not a readable image comes out as ``Rejected``, and the others go on. Photos are decoded in
        threads while the network works; no more than a few batches are held in memory. ``truth`` says how the true
        class is known (``sources.truths``). Raises ``DataError`` when there is nothing to look at.
        """
        return self.predict_photos(sources.find(where), truth, batch, progress)

    def predict_photos(
        self, photos: Sequence[Photo], truth: str = "none", batch: int = BATCH, progress: Progress = SILENT
    ) -> Iterator[Prediction | Rejected]:
        """Yield a prediction or a rejection for each of ``photos``, as ``predict_many``."""
        known = dict(zip(photos, sources.truths(photos, self.classes, truth), strict=True))

        def answer(asked: Sequence[Photo], seen: Sequence[Seen]) -> Iterator[Prediction]:
            labels = self._labels([one.image for one in seen])
            for photo, label in zip(asked, labels, strict=True):
                yield Prediction(photo.name, label, self.classes, known[photo], photo.path)

        return Asking(self._look, answer, batch).all(photos, progress)

    def probabilities(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities (N, classes) of prepared images (N, C, H, W)."""
        return decode.probabilities(self.logits(batch))

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's raw answer (N, classes) for prepared images (N, C, H, W)."""
        return self.session.run(batch, ("logits",))[0]

    def embed(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings (N, D) of prepared images (N, C, H, W)."""
        return self.session.run(batch, ("embedding",))[0]

    def _labels(self, fitted: Sequence[Image]) -> list[Label]:
        batch = preprocess.normalise(fitted, self.card.preprocess)
        return [Label.of(row) for row in self.probabilities(batch)]

    def _look(self, photo: Photo) -> Seen | Rejected:
        return reading.look(photo, self.card.preprocess)


def load(path: str | Path, threads: int | None = None) -> Predictor:
    """Return the classifier of a run, or of a model folder, ready to be asked; raise ``ModelError`` if there is none.

    ``runtime.loading`` takes any kind of model.
    """
    folder = modelfolder.locate(Path(path))
    return Predictor(ModelCard.load(folder), Session(folder / NETWORK_FILE, threads))


def _check_belongs(card: ModelCard, session: Session) -> None:
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
