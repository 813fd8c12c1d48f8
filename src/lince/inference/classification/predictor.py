"""Predictor of image classifiers: probabilities, embeddings and results, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lince import fileio, images, postprocess, preprocess
from lince.annotations import Label, RejectedItem
from lince.errors import ImageError, ModelError
from lince.i18n import _
from lince.inference import model_folder, sources
from lince.inference.backends.backend import Backend, open_backend
from lince.inference.batch_runner import BATCH_SIZE, BatchRunner
from lince.inference.classification.result import ClassificationResult
from lince.inference.image_loading import Image, PreparedImage
from lince.inference.predictor import Predictor
from lince.inference.sources import ImageInput, ImageItem
from lince.model_card import ModelCard
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress


class ClassificationPredictor(Predictor):
    """An image classifier ready for inference.

    Construction raises ``ModelError`` when the network's input or number of classes is not that of the card.
    """

    task = "classify"

    def __init__(self, card: ModelCard, backend: Backend, allow_urls: bool = False) -> None:
        super().__init__(card, backend, allow_urls)
        _require_matching_card(card, backend)
        self._read_seen_keys: Callable[[], frozenset[str]] = frozenset

    def with_threads(self, threads: int | None = None) -> Self:
        """Return the same model with an own network session, as ``Predictor.with_threads`` does."""
        return super().with_threads(threads).with_seen_keys(self._read_seen_keys)

    def with_seen_keys(self, read_keys: Callable[[], frozenset[str]]) -> Self:
        """Return the same model, which marks the files that it has seen in training where their class is known."""
        model = copy(self)
        model._read_seen_keys = cache(read_keys)
        return model

    def predict_prepared(
        self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()
    ) -> list[ClassificationResult]:
        """Return the result of each image of a batch, computed in one call of the network. Thread-safe.

        ``names`` are those of the images, in order; without them the results have empty names.
        """
        labels = self._predict_labels([item.image for item in prepared])
        result_names = names or [""] * len(prepared)
        return [
            ClassificationResult(name, label, self.classes) for name, label in zip(result_names, labels, strict=True)
        ]

    def predict_many(  # type: ignore[override]  # the position of ``truth`` is part of the public interface
        self,
        where: ImageInput | Iterable[ImageInput],
        truth: str = "auto",
        batch: int = BATCH_SIZE,
        progress: Progress = AUTOMATIC,
    ) -> Iterator[ClassificationResult | RejectedItem]:
        """Yield a result for each image of ``where``, in order: files, folders, glob patterns, or any images.

        An image that cannot be read gives a ``RejectedItem``. Images are decoded by threads while the network works;
        only a few batches are in memory at a time, of a generator, too. ``truth`` says how the true class is known
        (``sources.infer_true_classes``); for a generator, ``auto`` knows none. Raises ``DataError`` when there is no
        image.
        """
        return self.predict_items(sources.iter_image_items(where), truth, batch, progress)

    def predict_items(  # type: ignore[override]
        self, items: Iterable[ImageItem], truth: str = "none", batch: int = BATCH_SIZE, progress: Progress = AUTOMATIC
    ) -> Iterator[ClassificationResult | RejectedItem]:
        """Yield a result or a ``RejectedItem`` for each of ``items``, as ``predict_many`` does.

        A file whose true class is known is marked where the model has seen it in training: it is no test of the model.
        """
        mode = sources.resolve_truth_mode(items, self.classes, truth)

        def predict_batch(
            predictor: ClassificationPredictor, batch_items: Sequence[ImageItem], prepared: Sequence[PreparedImage]
        ) -> Iterator[ClassificationResult]:
            true_ids = sources.infer_true_classes(batch_items, self.classes, mode)
            results = predictor.predict_prepared(prepared, [item.name for item in batch_items])
            for item, result, true_id in zip(batch_items, results, true_ids, strict=True):
                was_seen = self._was_seen(item) if true_id is not None else None
                yield replace(result, truth=true_id, path=item.path or None, was_seen=was_seen)

        return BatchRunner(self, predict_batch, batch).run(items, progress)

    def predict_listed(
        self, items: Sequence[ImageItem], progress: Progress
    ) -> Iterator[ClassificationResult | RejectedItem]:
        """Yield what ``predict_many`` yields for ``items``, with the true classes that folders tell."""
        return self.predict_items(items, "auto", progress=progress)

    def _was_seen(self, item: ImageItem) -> bool | None:
        """Return whether the model has seen ``item`` in training; ``None`` where that is not known."""
        keys = self._read_seen_keys() if item.path else frozenset()
        try:
            return fileio.compute_digest(images.read_bytes(item.path)) in keys if keys else None
        except ImageError:  # it has gone since
            return None

    def embed(self, source: ImageInput) -> NDArray[np.float32]:
        """Return the embedding of one image, float32 (D,); similar images have embeddings close to each other.

        Raises ``ImageError`` when the image cannot be read, and ``ModelError`` when the network has no embedding
        output.
        """
        return np.asarray(self.embed_prepared([self.prepare(source)])[0], np.float32)

    def embed_many(
        self, where: ImageInput | Iterable[ImageInput], batch: int | None = None, progress: Progress = AUTOMATIC
    ) -> NDArray[np.float32]:
        """Return the embeddings of the images of ``where``, float32 (N, D), in order; (0, 0) without images.

        ``where`` and ``batch`` are as in ``predict_many``. Raises ``ImageError`` at the first image that cannot be
        read, so that every row has its image.
        """

        items = [item for item in sources.iter_image_items(where) if not item.is_own_output]
        rows = list(self.embed_items(items, batch, progress))
        return np.stack([_require_embedding(row) for row in rows]) if rows else np.empty((0, 0), np.float32)

    def embed_items(
        self, items: Iterable[ImageItem], batch: int | None = None, progress: Progress = AUTOMATIC
    ) -> Iterator[NDArray[np.float32] | RejectedItem]:
        """Yield the embedding, float32 (D,), or a ``RejectedItem`` for each of ``items``, in order."""

        def embed_batch(
            predictor: ClassificationPredictor, _items: Sequence[ImageItem], prepared: Sequence[PreparedImage]
        ) -> Iterator[NDArray[np.float32]]:
            yield from predictor.embed_prepared(prepared)

        return BatchRunner(self, embed_batch, batch or self.batch_size).run(items, progress)

    def embed_prepared(self, prepared: Sequence[PreparedImage]) -> NDArray[np.float32]:
        """Return the embeddings of a batch, float32 (N, D), computed in one call of the network."""
        batch = preprocess.normalise_images([item.image for item in prepared], self.card.preprocess)
        return self.backend.run(batch, ("embedding",))[0]

    def predict_probabilities(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities, float32 (N, C), of network inputs (N, C, H, W)."""
        return postprocess.softmax(self.predict_logits(batch))

    def predict_logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits, float32 (N, C), of network inputs (N, C, H, W)."""
        return self.backend.run(batch, ("logits",))[0]

    def _predict_labels(self, images: Sequence[Image]) -> list[Label]:
        """Return the label of each image; ``images`` have the size of the network's input."""
        batch = preprocess.normalise_images(images, self.card.preprocess)
        return [Label.from_probabilities(row) for row in self.predict_probabilities(batch)]


def load_classifier(path: str | Path) -> ClassificationPredictor:
    """Return the classifier of a run or of a model folder.

    For any kind of model use ``inference.load.load``. Raises ``ModelError`` when there is no model, or it is of another
    task.
    """
    folder = model_folder.find_model_folder(Path(path))
    card = ModelCard.load(folder)
    return ClassificationPredictor(card, open_backend(card, folder))


def _require_embedding(row: NDArray[np.float32] | RejectedItem) -> NDArray[np.float32]:
    """Return ``row``; raise ``ImageError`` when it is a rejected image."""
    if isinstance(row, RejectedItem):
        raise ImageError(f"{row.path}: {row.reason}", remedy=row.remedy)
    return row


def _require_matching_card(card: ModelCard, backend: Backend) -> None:
    """Raise ``ModelError`` when the network's input shape or number of classes is not that of ``card``."""
    shape = (*backend.input_shape[1:], *backend.outputs.get("logits", (None, None))[1:])
    expected = (*card.preprocess.shape, len(card.classes))
    if shape != expected:
        raise ModelError(
            _("{path} does not match its model card: its input and classes are {found}.").format(
                path=backend.path, found=shape
            ),
            _("Expected {expected}.").format(expected=expected),
            _("Copy the model folder again, or export the run again."),
        )
