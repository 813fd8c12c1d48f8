"""Answers for photos: the same preparation, network and decoding as in training's evaluation, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import postprocess, preprocess, tasks
from lince.annotations import Classes, Label, RejectedItem
from lince.errors import ImageError, ModelError
from lince.i18n import _, localise_number
from lince.inference import batch_runner, drawing, model_folder, sources
from lince.inference.backends.backend import Backend, open_backend
from lince.inference.batch_runner import BATCH_SIZE, BatchRunner, Image, PreparedImage
from lince.inference.result import PredictionResult
from lince.inference.sources import ImageInput, ImageItem
from lince.model_card import ModelCard
from lince.progress import SILENT, Progress

_PLOT_SIDE, _MAX_NAMED_CLASSES = (
    360,
    3,
)  # pixels of a photo that is shown with its answer, and the classes named below it


@dataclass(frozen=True)
class ClassificationResult(PredictionResult):
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
    def is_correct(self) -> bool | None:
        """Whether the prediction is the truth; ``None`` when the truth is not known."""
        return None if self.truth is None else self.truth == self.label.class_id

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return this as a plain record for JSON, with the ``top`` most probable classes (all by default)."""
        ranked = self.label.top_k(top or len(self.classes))
        record: dict[str, Any] = {"file": self.name, "class": self.class_name, "probability": self.label.score}
        record["classes"] = [{"name": self.classes.names[index], "probability": score} for index, score in ranked]
        if self.truth is not None:
            record |= {"truth": self.truth_name, "right": self.is_correct}
        return record

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of the table: a row for each class, the most probable first."""
        return "file", "class", "probability"

    def to_rows(self) -> list[dict[str, Any]]:
        """Return the answer as the rows of a table."""
        ranked = self.label.top_k(len(self.classes))
        return [{"file": self.name, "class": self.classes.names[at], "probability": share} for at, share in ranked]

    def draw(self, image: Image) -> Image:
        """Return ``image`` (H, W, 3), uint8 RGB, brought to 360 pixels, with the most probable classes below it."""
        ranked = self.label.top_k(_MAX_NAMED_CLASSES)
        lines = tuple(f"{localise_number(f'{share:.1%}')} {self.classes.names[at]}" for at, share in ranked)
        return drawing.draw_contact_sheet([drawing.SheetCell(image, lines, self.is_correct)], side=_PLOT_SIDE)


class ClassificationPredictor:
    """A model ready to be asked: its card and its network; web addresses are asked only where ``urls`` allows it.

    Raises ``ModelError`` when the network does not belong to the card.
    """

    def __init__(self, card: ModelCard, backend: Backend, allow_urls: bool = False) -> None:
        model_folder.require_task(card, tasks.CLASSIFY)
        _require_matching_card(card, backend)
        self.card = card
        self.backend = backend
        self.allow_urls = allow_urls

    @property
    def classes(self) -> Classes:
        """The classes that the model tells apart."""
        return self.card.classes

    def with_threads(self, threads: int | None = None) -> ClassificationPredictor:
        """Return the same model for work beside that of others: its threads sleep while they wait for each other.

        ``threads`` is the number of cores that a call may use, by default as many as now.
        """
        return ClassificationPredictor(self.card, self.backend.with_threads(threads), self.allow_urls)

    def predict(self, source: ImageInput) -> ClassificationResult:
        """Return the prediction for one photo.

        A photo is a path, the bytes of a file, a file opened for bytes, a picture of Pillow, an array uint8 (grey, RGB
        or RGBA), or an address on the web where the model was loaded to allow that. Raises ``ImageError`` when it
        cannot be read.
        """
        photo = batch_runner.open_image_item(source, self.allow_urls)
        (answer,) = self.predict_prepared([self.prepare(photo.source)], [photo.name])
        return replace(answer, path=photo.path or None, source=photo.data)

    def prepare(self, source: ImageInput) -> PreparedImage:
        """Return a photo as the network is to see it; many threads may look at once.

        Raises ``ImageError`` when it cannot be read.
        """
        return batch_runner.prepare_image(source, self.card.preprocess, self.allow_urls)

    def predict_prepared(
        self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()
    ) -> list[ClassificationResult]:
        """Return the prediction for each photo of a batch, in one call of the network; many threads may answer at once.

        ``names`` are those of the photos, in order; empty where there are none.
        """
        labels = self._predict_labels([one.image for one in prepared])
        named = names or [""] * len(prepared)
        return [ClassificationResult(name, label, self.classes) for name, label in zip(named, labels, strict=True)]

    def predict_many(
        self,
        where: ImageInput | Iterable[ImageInput],
        truth: str = "auto",
        batch: int = BATCH_SIZE,
        progress: Progress = SILENT,
    ) -> Iterator[ClassificationResult | RejectedItem]:
        """Yield a prediction for each photo of ``where``, in order: files, folders, patterns, or any photos.

        What is not a readable image comes out as ``Rejected``, and the others go on. Photos are decoded in threads
        while the network works; no more than a few batches are held in memory, those of a generator too. ``truth``
        says how the true class is known (``sources.truths``); of a generator ``auto`` knows none. Raises
        ``DataError`` when there is nothing to look at.
        """
        return self.predict_items(sources.iter_image_items(where), truth, batch, progress)

    def predict_items(
        self, items: Iterable[ImageItem], truth: str = "none", batch: int = BATCH_SIZE, progress: Progress = SILENT
    ) -> Iterator[ClassificationResult | RejectedItem]:
        """Yield a prediction or a rejection for each of ``photos``, as ``predict_many``."""
        how = sources.resolve_truth_mode(items, self.classes, truth)

        def answer(
            model: ClassificationPredictor, asked: Sequence[ImageItem], seen: Sequence[PreparedImage]
        ) -> Iterator[ClassificationResult]:
            known = sources.infer_true_classes(asked, self.classes, how)
            answers = model.predict_prepared(seen, [photo.name for photo in asked])
            for photo, one, right in zip(asked, answers, known, strict=True):
                yield replace(one, truth=right, path=photo.path or None)

        return BatchRunner(self, answer, batch).run(items, progress)

    def embed(self, source: ImageInput) -> NDArray[np.float32]:
        """Return the embedding (D,) of one photo: near to each other where photos look alike to the model.

        Raises ``ImageError`` when it cannot be read, ``ModelError`` when the network has no embeddings.
        """
        return np.asarray(self.embed_prepared([self.prepare(source)])[0], np.float32)

    def embed_many(
        self, where: ImageInput | Iterable[ImageInput], batch: int = BATCH_SIZE, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        """Return the embeddings (N, D) of the photos of ``where``, as ``predict_many`` takes them, in order.

        Raises ``ImageError`` at the first that cannot be read, so that rows and photos never part.
        """

        rows = list(self.embed_items(sources.iter_image_items(where), batch, progress))
        return np.stack([_require_embedding(row) for row in rows]) if rows else np.empty((0, 0), np.float32)

    def embed_items(
        self, items: Iterable[ImageItem], batch: int = BATCH_SIZE, progress: Progress = SILENT
    ) -> Iterator[NDArray[np.float32] | RejectedItem]:
        """Yield the embedding (D,) or the rejection of each of ``photos``, in order."""

        def answer(
            model: ClassificationPredictor, _asked: Sequence[ImageItem], seen: Sequence[PreparedImage]
        ) -> Iterator[NDArray[np.float32]]:
            yield from model.embed_prepared(seen)

        return BatchRunner(self, answer, batch).run(items, progress)

    def embed_prepared(self, prepared: Sequence[PreparedImage]) -> NDArray[np.float32]:
        """Return the embeddings (N, D) of a batch of photos, in one call of the network."""
        batch = preprocess.normalise_images([one.image for one in prepared], self.card.preprocess)
        return self.backend.run(batch, ("embedding",))[0]

    def predict_probabilities(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities (N, classes) of prepared images (N, C, H, W)."""
        return postprocess.softmax(self.predict_logits(batch))

    def predict_logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's raw answer (N, classes) for prepared images (N, C, H, W)."""
        return self.backend.run(batch, ("logits",))[0]

    def _predict_labels(self, fitted: Sequence[Image]) -> list[Label]:
        batch = preprocess.normalise_images(fitted, self.card.preprocess)
        return [Label.from_probabilities(row) for row in self.predict_probabilities(batch)]

    def prepare_or_reject(self, item: ImageItem) -> PreparedImage | RejectedItem:
        """Return a photo as the network is to see it, or why it cannot be read; many threads may look at once."""
        return batch_runner.prepare_or_reject(item, self.card.preprocess, self.allow_urls)


def load_classifier(path: str | Path, threads: int | None = None) -> ClassificationPredictor:
    """Return the classifier of a run, or of a model folder, ready to be asked; raise ``ModelError`` if there is none.

    ``runtime.loading`` takes any kind of model.
    """
    folder = model_folder.find_model_folder(Path(path))
    card = ModelCard.load(folder)
    return ClassificationPredictor(card, open_backend(card, folder, threads))


def _require_embedding(row: NDArray[np.float32] | RejectedItem) -> NDArray[np.float32]:
    if isinstance(row, RejectedItem):
        raise ImageError(f"{row.path}: {row.reason}", remedy=row.remedy)
    return row


def _require_matching_card(card: ModelCard, session: Backend) -> None:
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
