"""Base class of predictors that judge whole images by logits, one per class: probabilities, embeddings, results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import fileio, images, preprocess
from lince.annotations import RejectedItem
from lince.errors import ImageError, ModelError
from lince.i18n import _
from lince.inference import sources
from lince.inference.backends.backend import Backend
from lince.inference.batch_runner import BATCH_SIZE, BatchRunner
from lince.inference.image_loading import PreparedImage
from lince.inference.predictor import Predictor
from lince.inference.sources import ImageInput, ImageItem
from lince.inference.whole_image_result import WholeImageResult
from lince.model_card import ModelCard
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress

R = TypeVar("R", bound=WholeImageResult)
# Returns what is known to be true of each image of a batch, ``None`` where nothing is.
FindTruths = Callable[[Sequence[ImageItem]], Sequence[Any]]


class WholeImagePredictor(Predictor, Generic[R]):
    """A model that gives each image a logit per class, and has an embedding of it.

    Its results are ``R``, of the class ``result_type``. Construction raises ``ModelError`` when the network's input or
    number of classes is not that of the card.
    """

    result_type: ClassVar[type[WholeImageResult]]

    def __init__(self, card: ModelCard, backend: Backend, allow_urls: bool = False) -> None:
        super().__init__(card, backend, allow_urls)
        _require_matching_card(card, backend)
        self._read_seen_keys: Callable[[], frozenset[str]] = frozenset

    @abstractmethod
    def predict_probabilities(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities, float32 (N, C), of network inputs (N, C, H, W)."""

    @abstractmethod
    def make_result(self, name: str, probabilities: NDArray[np.float32]) -> R:
        """Return the result of an image with ``probabilities`` (C,)."""

    @abstractmethod
    def make_truth_finder(self, items: Iterable[ImageItem], truth: Any) -> FindTruths:
        """Return what finds the truth of ``items`` batch by batch; ``truth`` says where it is known from."""

    def with_threads(self, threads: int | None = None) -> Self:
        """Return the same model with an own network session, as ``Predictor.with_threads`` does."""
        return super().with_threads(threads).with_seen_keys(self._read_seen_keys)

    def with_seen_keys(self, read_keys: Callable[[], frozenset[str]]) -> Self:
        """Return the same model, which marks the files that it has seen in training where their class is known."""
        model = copy(self)
        model._read_seen_keys = cache(read_keys)
        return model

    def predict_prepared(self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()) -> list[R]:
        """Return the result of each image of a batch, computed in one call of the network. Thread-safe.

        ``names`` are those of the images, in order; without them the results have empty names.
        """
        batch = preprocess.normalise_images([item.image for item in prepared], self.card.preprocess)
        result_names = names or [""] * len(prepared)
        return [
            self.make_result(name, row)
            for name, row in zip(result_names, self.predict_probabilities(batch), strict=True)
        ]

    def predict_many(  # type: ignore[override]  # the position of ``truth`` is part of the public interface
        self,
        where: ImageInput | Iterable[ImageInput],
        truth: Any = "auto",
        batch: int = BATCH_SIZE,
        progress: Progress = AUTOMATIC,
    ) -> Iterator[R | RejectedItem]:
        """Yield a result for each image of ``where``, in order: files, folders, glob patterns, or any images.

        An image that cannot be read gives a ``RejectedItem``. Images are decoded by threads while the network works;
        only a few batches are in memory at a time, of a generator, too. ``truth`` says where the truth is known from
        (``make_truth_finder``). Raises ``DataError`` when there is no image.
        """
        return self.predict_items(sources.iter_image_items(where), truth, batch, progress)

    def predict_items(  # type: ignore[override]
        self, items: Iterable[ImageItem], truth: Any = "none", batch: int = BATCH_SIZE, progress: Progress = AUTOMATIC
    ) -> Iterator[R | RejectedItem]:
        """Yield a result or a ``RejectedItem`` for each of ``items``, as ``predict_many`` does.

        A file whose truth is known is marked where the model has seen it in training: it is no test of the model.
        """
        find_truths = self.make_truth_finder(items, truth)

        def predict_batch(
            predictor: WholeImagePredictor[R], batch_items: Sequence[ImageItem], prepared: Sequence[PreparedImage]
        ) -> Iterator[R]:
            truths = find_truths(batch_items)
            results: list[Any] = predictor.predict_prepared(prepared, [item.name for item in batch_items])
            for item, result, known in zip(batch_items, results, truths, strict=True):
                was_seen = self._was_seen(item) if known is not None else None
                yield replace(result, truth=known, path=item.path or None, was_seen=was_seen)

        return BatchRunner(self, predict_batch, batch).run(items, progress)

    def predict_listed(self, items: Sequence[ImageItem], progress: Progress) -> Iterator[R | RejectedItem]:
        """Yield what ``predict_many`` yields for ``items``, with the truth that they tell themselves."""
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
            predictor: WholeImagePredictor[R], _items: Sequence[ImageItem], prepared: Sequence[PreparedImage]
        ) -> Iterator[NDArray[np.float32]]:
            yield from predictor.embed_prepared(prepared)

        return BatchRunner(self, embed_batch, batch or self.batch_size).run(items, progress)

    def embed_prepared(self, prepared: Sequence[PreparedImage]) -> NDArray[np.float32]:
        """Return the embeddings of a batch, float32 (N, D), computed in one call of the network."""
        batch = preprocess.normalise_images([item.image for item in prepared], self.card.preprocess)
        return self.backend.run(batch, ("embedding",))[0]

    def predict_logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits, float32 (N, C), of network inputs (N, C, H, W)."""
        return self.backend.run(batch, ("logits",))[0]


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
