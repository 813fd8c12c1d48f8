"""Answers for photos: the same preparation, network and decoding as in training's evaluation, without torch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import decode, images, preprocess, tasks
from lince.annotations import Classes, Label, Rejected
from lince.card import CARD_FILE, NETWORK_FILE, ModelCard
from lince.errors import ImageError, ModelError
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime import sources
from lince.runtime.session import Session, cores
from lince.runtime.sources import Photo

Image = NDArray[np.uint8]
BATCH = 16


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
        tasks.find(card.task)
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
        image = source if isinstance(source, np.ndarray) else self._read(source)
        label = self._labels([preprocess.fit(image, self.card.preprocess)])[0]
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
        with progress.stage(_("Predicting"), len(photos)) as stage:
            for answer in self._answers(photos, truth, batch):
                stage.advance()
                yield answer

    def _answers(self, photos: Sequence[Photo], truth: str, batch: int) -> Iterator[Prediction | Rejected]:
        known = iter(sources.truths(photos, self.classes, truth))
        with ThreadPoolExecutor(cores()) as pool:
            waiting: deque[tuple[Photo, Future[Image | Rejected]]] = deque()
            try:
                for photo in photos:
                    waiting.append((photo, pool.submit(self._look, photo)))
                    if len(waiting) >= 3 * batch:
                        yield from self._answer(waiting, batch, known)
                while waiting:
                    yield from self._answer(waiting, batch, known)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def probabilities(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities (N, classes) of prepared images (N, C, H, W)."""
        return decode.probabilities(self.logits(batch))

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's raw answer (N, classes) for prepared images (N, C, H, W)."""
        return self.session.run(batch, ("logits",))[0]

    def embed(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings (N, D) of prepared images (N, C, H, W)."""
        return self.session.run(batch, ("embedding",))[0]

    def _answer(
        self, waiting: deque[tuple[Photo, Future[Image | Rejected]]], count: int, known: Iterator[int | None]
    ) -> Iterator[Prediction | Rejected]:
        taken = [waiting.popleft() for _i in range(min(count, len(waiting)))]
        looked = [(photo, future.result(), next(known)) for photo, future in taken]
        fitted = [image for _photo, image, _truth in looked if not isinstance(image, Rejected)]
        labels = iter(self._labels(fitted) if fitted else [])
        for photo, image, truth in looked:
            if isinstance(image, Rejected):
                yield image
            else:
                yield Prediction(photo.name, next(labels), self.classes, truth, photo.path)

    def _labels(self, fitted: Sequence[Image]) -> list[Label]:
        batch = preprocess.normalise(fitted, self.card.preprocess)
        return [Label.of(row) for row in self.probabilities(batch)]

    def _look(self, photo: Photo) -> Image | Rejected:
        try:
            return preprocess.fit(self._read(images.read_bytes(photo.path)), self.card.preprocess)
        except ImageError as error:
            return Rejected(photo.name, error.found, error.remedy or error.expected)

    def _read(self, source: str | Path | bytes) -> Image:
        wanted = (self.card.preprocess.height, self.card.preprocess.width)
        if isinstance(source, bytes):
            return images.decode(source, at_least=wanted)
        return images.read(Path(source), at_least=wanted)


def load(path: str | Path, threads: int | None = None) -> Predictor:
    """Return the model of a run, or of a model folder, ready to be asked; raise ``ModelError`` when there is none."""
    folder = _model_folder(Path(path))
    return Predictor(ModelCard.load(folder), Session(folder / NETWORK_FILE, threads))


def _model_folder(path: Path) -> Path:
    if path.name == NETWORK_FILE and path.is_file():
        return path.parent
    for folder in (path / "model", path):
        if (folder / CARD_FILE).is_file() or (folder / NETWORK_FILE).is_file():
            return folder
    found = _("There is no model in {path}.") if path.is_dir() else _("There is no folder {path}.")
    unfinished = (path / "config.toml").is_file()
    raise ModelError(
        found.format(path=path),
        _("Expected a run whose training has ended, or a model folder: {network} with {card} beside it.").format(
            network=NETWORK_FILE, card=CARD_FILE
        ),
        _("This run has not ended: go on with it by  lince train --resume {path}").format(path=path)
        if unfinished
        else _("Runs stand in the folder runs unless you chose another with --out."),
    )


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
