"""Base class of predictors: model card, network, and how images reach it. Tasks subclass it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, RejectedItem
from lince.errors import ModelError, UsageError
from lince.i18n import _
from lince.inference import image_loading, model_folder, sources
from lince.inference.backends.backend import Backend
from lince.inference.batch_runner import BatchRunner
from lince.inference.image_loading import PreparedImage
from lince.inference.result import MAX_SHOWN, PredictionResults
from lince.inference.sources import ImageInput, ImageItem
from lince.model_card import ModelCard
from lince.notebook_progress import AUTOMATIC
from lince.option_aliases import choose_given
from lince.progress import Progress


class Predictor(ABC):
    """A model ready for inference: its card and its network.

    Subclasses set ``task`` and turn prepared images into results. Predictors are immutable and may be used by several
    threads at once. Images are fetched from web addresses only where ``allow_urls`` is true. Construction raises
    ``ModelError`` when the card is of another task.
    """

    task: ClassVar[str]
    batch_size: ClassVar[int] = 16

    def __init__(self, card: ModelCard, backend: Backend, allow_urls: bool = False) -> None:
        model_folder.require_task(card, self.task)
        self.card = card
        self.backend = backend
        self.allow_urls = allow_urls

    @property
    def classes(self) -> Classes:
        """The classes of the model, in the order of its outputs."""
        return self.card.classes

    def with_threads(self, threads: int | None = None) -> Self:
        """Return the same model with an own network session that shares the cores with others.

        Its threads sleep while they wait, instead of spinning. ``threads`` is the number of cores that one call may
        use, by default as many as now.
        """
        return type(self)(self.card, self.backend.with_threads(threads), self.allow_urls)

    def with_seen_keys(self, read_keys: Callable[[], frozenset[str]]) -> Self:
        """Return the same model with what it has seen in training, for tasks that mark such images.

        ``read_keys`` returns the content digests (``fileio.compute_digest``); it is called when they are needed first.
        """
        del read_keys
        return self

    def with_threshold(self, threshold: float | Mapping[str, float]) -> Self:
        """Return the same model with another score threshold, for all classes or by class name.

        Raises ``UsageError`` where the task has no threshold.
        """
        raise UsageError(
            _("{model} has no score threshold, so it cannot be set to {value}.").format(
                model=self.card.model, value=threshold
            ),
            _("Expected a detection model, or a multilabel one."),
        )

    def with_iou(self, iou: float) -> Self:
        """Return the same model with another limit of non-maximum suppression, an intersection over union in 0..1.

        Raises ``UsageError`` where the task has none.
        """
        raise UsageError(
            _("{model} has no non-maximum suppression, so its IoU cannot be set to {value}.").format(
                model=self.card.model, value=iou
            ),
            _("Expected a detection model."),
        )

    def prepare(self, source: ImageInput) -> PreparedImage:
        """Return the image, read and resized to the network's input. Thread-safe.

        Raises ``ImageError`` when it cannot be read.
        """
        return image_loading.prepare_image(source, self.card.preprocess, self.allow_urls)

    def prepare_or_reject(self, item: ImageItem) -> PreparedImage | RejectedItem:
        """Return the prepared image, or why it cannot be read. Thread-safe."""
        return image_loading.prepare_or_reject(item, self.card.preprocess, self.allow_urls)

    @abstractmethod
    def predict_prepared(self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()) -> list[Any]:
        """Return the result of each image of a batch, computed in one call of the network. Thread-safe.

        ``names`` are those of the images, in order; without them the results have empty names.
        """

    def predict(
        self,
        source: ImageInput | Iterable[ImageInput],
        *,
        threshold: float | Mapping[str, float] | None = None,
        conf: float | Mapping[str, float] | None = None,
        iou: float | None = None,
        progress: Progress = AUTOMATIC,
    ) -> Any:
        """Return the result for one image, or for several a list of them (``PredictionResults``).

        One image is a path, the bytes of an image file, a file opened in binary mode, a Pillow image, a uint8 array
        (grey, RGB or RGBA), or a URL where the model was loaded with ``allow_urls``. Several are a folder, an archive,
        a pattern such as ``photos/*.jpg``, an array (N, H, W, 3), or a list or generator of images; one that cannot be
        read has a ``RejectedItem`` in its place.

        ``threshold``, also called ``conf``, is the score from which a detector's boxes count, or the probability from
        which a multilabel model says a class, in 0..1, for all classes or by class name; ``iou`` is the limit of a
        detector's non-maximum suppression, in 0..1. Both are the model's own by default.

        Raises ``ImageError`` when a single image cannot be read, ``DataError`` when there is none, and ``UsageError``
        for a threshold where the task has none.
        """
        chosen = choose_given("threshold", threshold, conf=conf)
        model = self if chosen is None else self.with_threshold(chosen)
        model = model if iou is None else model.with_iou(iou)
        if not sources.is_single_source(source):
            return model._predict_several(source, progress)
        item = image_loading.open_image_item(source, self.allow_urls)
        (result,) = model.predict_prepared([model.prepare(item.source)], [item.name])
        return replace(result, path=item.path or None, source=item.data)

    def _predict_several(self, where: ImageInput | Iterable[ImageInput], progress: Progress) -> PredictionResults:
        """Return the results of several images, in order.

        Images that are no files are kept with their results, but those of a generator only as many as are shown.
        """
        kept: list[Any] = []

        def keep_images(items: Iterable[ImageItem]) -> Iterator[ImageItem]:
            for item in items:
                if len(kept) < MAX_SHOWN:
                    kept.append(item.data)
                yield item

        items = sources.iter_image_items(where)
        if isinstance(items, Sequence):
            kept = [item.data for item in items]
            outcomes = list(self.predict_listed(items, progress))
        else:
            outcomes = list(self.predict_items(keep_images(items), progress=progress))
        for row, (outcome, data) in enumerate(zip(outcomes, kept, strict=False)):
            if data is not None and not isinstance(outcome, RejectedItem):
                outcomes[row] = replace(outcome, source=data)
        return PredictionResults(outcomes)

    def predict_items(
        self, items: Iterable[ImageItem], batch: int | None = None, progress: Progress = AUTOMATIC
    ) -> Iterator[Any]:
        """Yield a result or a ``RejectedItem`` for each of ``items``, in order.

        ``batch`` is the number of images per call of the network, ``batch_size`` by default.
        """
        return BatchRunner(self, _predict_batch, batch or self.batch_size).run(items, progress)

    def predict_listed(self, items: Sequence[ImageItem], progress: Progress) -> Iterator[Any]:
        """Yield what ``predict_many`` yields for ``items``, which are all known."""
        return self.predict_items(items, progress=progress)

    def predict_many(
        self, where: ImageInput | Iterable[ImageInput], batch: int | None = None, progress: Progress = AUTOMATIC
    ) -> Iterator[Any]:
        """Yield a result for each image of ``where``, in order: files, folders, glob patterns, or any images.

        An image that cannot be read gives a ``RejectedItem``. Images are decoded by threads while the network works;
        only a few batches are in memory at a time, of a generator, too. Raises ``DataError`` when there is no image.
        """
        return self.predict_items(sources.iter_image_items(where), batch, progress)

    def embed_items(
        self, items: Iterable[ImageItem], batch: int | None = None, progress: Progress = AUTOMATIC
    ) -> Iterator[NDArray[np.float32] | RejectedItem]:
        """Yield the embedding, float32 (D,), or a ``RejectedItem`` for each of ``items``, in order.

        Raises ``ModelError`` where the network has no embedding.
        """
        del items, batch, progress
        return iter([self.embed("")])

    def embed(self, source: ImageInput) -> NDArray[np.float32]:
        """Return the embedding of one image, float32 (D,).

        Raises ``ModelError`` where the network has none, and ``ImageError`` when the image cannot be read.
        """
        del source
        raise ModelError(
            _("{model} does not provide image embeddings.").format(model=self.card.model),
            _("Expected a classification model."),
            _("Train one:  lince train DATA --recipe transfer"),
        )

    def embed_many(
        self, where: ImageInput | Iterable[ImageInput], batch: int | None = None, progress: Progress = AUTOMATIC
    ) -> NDArray[np.float32]:
        """Return the embeddings of the images of ``where``, float32 (N, D).

        Raises ``ModelError`` where the network has none, and ``ImageError`` at the first image that cannot be read.
        """
        del where, batch, progress
        return self.embed("")


def _predict_batch(
    predictor: Predictor, items: Sequence[ImageItem], prepared: Sequence[PreparedImage]
) -> Iterator[Any]:
    """Yield the result of each prepared image with its path."""
    for item, result in zip(items, predictor.predict_prepared(prepared, [item.name for item in items]), strict=True):
        yield replace(result, path=item.path or None)
