"""What is on photos and where: preparation, network and decoding as in training's evaluation, without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import preprocess, tasks
from lince.annotations import Classes, Detections, RejectedItem
from lince.errors import DataError, ModelError
from lince.i18n import _
from lince.inference import batch_runner, drawing, model_folder, sources
from lince.inference.backends.backend import Backend
from lince.inference.batch_runner import BatchRunner, Image, PreparedImage
from lince.inference.result import PredictionResult
from lince.inference.sources import ImageInput, ImageItem
from lince.model_card import ModelCard
from lince.postprocess import OutputDecoder, get_decoder
from lince.progress import SILENT, Progress

BATCH_SIZE = 4
_INPUT_NAME = "input"
_BOX_COLUMNS = ("left", "top", "right", "bottom")
_NO_OBJECTS: tuple[NDArray[np.float64], NDArray[np.int32]] = (np.empty((0, 4)), np.empty(0, np.int32))
NamedShapes = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, eq=False)
class DetectionResult(PredictionResult):
    """What a model found on one photo of ``size`` (height, width); ``path`` is where it lies, if it is a file."""

    name: str
    detections: Detections
    classes: Classes
    size: tuple[int, int]
    path: str | None = None
    source: Any = field(default=None, repr=False)

    def counts(self) -> dict[str, int]:
        """Return how many objects of each class were found, in the classes' order, those of none left out."""
        found = Counter(self.detections.class_ids.tolist())
        return {name: found[number] for number, name in enumerate(self.classes.names) if found[number]}

    def to_dict(self) -> dict[str, Any]:
        """Return this as a plain record for JSON; boxes are left, top, right, bottom in pixels of the upright photo."""
        found = self.detections
        rows = zip(found.class_ids.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
        height, width = self.size
        return {
            "file": self.name,
            "width": width,
            "height": height,
            "counts": self.counts(),
            "objects": [
                {
                    "class": self.classes.names[number],
                    "score": round(score, 6),
                    "box": [round(side, 3) for side in box],
                }
                for number, score, box in rows
            ],
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of the table: a row for each object, the surest first."""
        return "file", "class", "score", *_BOX_COLUMNS

    def to_rows(self) -> list[dict[str, Any]]:
        """Return the answer as the rows of a table; boxes in pixels of the upright photo."""
        return [
            {
                "file": self.name,
                "class": one["class"],
                "score": one["score"],
                **dict(zip(_BOX_COLUMNS, one["box"], strict=True)),
            }
            for one in self.to_dict()["objects"]
        ]

    def draw(self, image: Image) -> Image:
        """Return ``image`` (H, W, 3), uint8 RGB, with the boxes on it; raise ``DataError`` for another photo."""
        if image.shape[:2] != self.size:
            raise DataError(
                _("{path} has changed since it was looked at.").format(path=self.name),
                _("Expected {height} x {width} pixels.").format(height=self.size[0], width=self.size[1]),
                _("Predict again."),
            )
        return drawing.draw_detections(image, self.detections, self.classes)


class DetectionPredictor:
    """A detector ready to be asked: its card and its network; the web is asked only where ``urls`` allows it.

    Raises ``ModelError`` when the network does not belong to the card.
    """

    def __init__(self, card: ModelCard, backend: Backend, allow_urls: bool = False) -> None:
        model_folder.require_task(card, tasks.DETECT)
        self.card = card
        self.backend = backend
        self.allow_urls = allow_urls
        self._decoder = get_decoder(card.decoder)
        self._expected_shapes = _card_shapes(card, self._decoder)
        declared = {name: backend.outputs.get(name, ())[1:] for name in self._decoder.outputs}
        _require_matching_card(card, backend, {_INPUT_NAME: backend.input_shape[1:], **declared}, self._expected_shapes)

    @property
    def classes(self) -> Classes:
        """The classes that the model finds."""
        return self.card.classes

    def with_threshold(self, threshold: float | Mapping[str, float]) -> DetectionPredictor:
        """Return the same model with another threshold: one for all classes, or one for each class that is named.

        Raises ``UsageError`` for an unknown class or a number that is not in [0, 1].
        """
        keeping = replace(self.card.detection_filter, score_threshold=_resolve_threshold(threshold, self.card))
        return DetectionPredictor(replace(self.card, detection_filter=keeping), self.backend, self.allow_urls)

    def with_threads(self, threads: int | None = None) -> DetectionPredictor:
        """Return the same model for work beside that of others: its threads sleep while they wait for each other.

        ``threads`` is the number of cores that a call may use, by default as many as now.
        """
        return DetectionPredictor(self.card, self.backend.with_threads(threads), self.allow_urls)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Return what is on each of ``images``, uint8 RGB (H, W, 3) of any sizes."""
        return [
            one
            for start in range(0, len(images), BATCH_SIZE)
            for one in self._detect_prepared([self.prepare(image) for image in images[start : start + BATCH_SIZE]])
        ]

    def predict(self, source: ImageInput) -> DetectionResult:
        """Return what is on one photo.

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

    def predict_prepared(self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()) -> list[DetectionResult]:
        """Return what is on each photo of a batch, in one call of the network; many threads may answer at once.

        ``names`` are those of the photos, in order; empty where there are none.
        """
        named = names or [""] * len(prepared)
        return [
            DetectionResult(name, detections, self.classes, one.size)
            for name, detections, one in zip(named, self._detect_prepared(prepared), prepared, strict=True)
        ]

    def predict_many(
        self, where: ImageInput | Iterable[ImageInput], batch: int = BATCH_SIZE, progress: Progress = SILENT
    ) -> Iterator[DetectionResult | RejectedItem]:
        """Yield what is on each photo of ``where``, in order: files, folders, patterns, or any photos.

        What is not a readable image comes out as ``Rejected``, and the others go on. Photos are decoded in threads
        while the network works; no more than a few batches are held in memory, those of a generator too. Raises
        ``DataError`` when there is nothing to look at.
        """
        return self.predict_items(sources.iter_image_items(where), batch, progress)

    def embed(self, source: ImageInput) -> NDArray[np.float32]:
        """Raise ``ModelError``: the network of a detector answers with boxes alone."""
        raise ModelError(
            _("{model} finds objects; it has no embedding of a whole photo.").format(model=self.card.model),
            _("Expected a model that tells what a photo shows."),
            _("Train one:  lince train DATA --recipe transfer"),
        )

    def embed_many(self, where: ImageInput | Iterable[ImageInput]) -> NDArray[np.float32]:
        """Raise ``ModelError``, as ``embed``."""
        return self.embed("")

    def predict_items(
        self, items: Iterable[ImageItem], batch: int = BATCH_SIZE, progress: Progress = SILENT
    ) -> Iterator[DetectionResult | RejectedItem]:
        """Yield what is on each of ``photos``, or its rejection, as ``predict_many``."""
        return BatchRunner(self, _predict_items, batch).run(items, progress)

    def prepare_or_reject(self, item: ImageItem) -> PreparedImage | RejectedItem:
        """Return a photo as the network is to see it, or why it cannot be read; many threads may look at once."""
        return batch_runner.prepare_or_reject(item, self.card.preprocess, self.allow_urls)

    def _detect_prepared(self, seen: Sequence[PreparedImage]) -> list[Detections]:
        spec, keeping = self.card.preprocess, self.card.detection_filter
        outputs = self._run_batches(preprocess.normalise_images([one.image for one in seen], spec))
        # What a network does not declare shows when it answers.
        answered = {name: output.shape[1:] for name, output in zip(self._decoder.outputs, outputs, strict=True)}
        _require_matching_card(self.card, self.backend, answered, self._expected_shapes)
        return [
            self._decoder.decode([output[at] for output in outputs], one.size, spec, keeping)
            for at, one in enumerate(seen)
        ]

    def _run_batches(self, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the network's outputs, each (N, ...), for ``inputs`` (N, C, H, W), in the batches that it takes."""
        fixed = self.backend.input_shape[0]
        if not isinstance(fixed, int) or fixed == len(inputs):
            return self.backend.run(inputs, self._decoder.outputs)
        spare = -len(inputs) % fixed
        filled = np.concatenate([inputs, np.zeros((spare, *inputs.shape[1:]), np.float32)])
        parts = [
            self.backend.run(filled[at : at + fixed], self._decoder.outputs) for at in range(0, len(filled), fixed)
        ]
        return [np.concatenate(column)[: len(inputs)] for column in zip(*parts, strict=True)]


def _predict_items(
    model: DetectionPredictor, photos: Sequence[ImageItem], seen: Sequence[PreparedImage]
) -> Iterator[DetectionResult]:
    for photo, found in zip(photos, model.predict_prepared(seen, [photo.name for photo in photos]), strict=True):
        yield replace(found, path=photo.path or None)


def _resolve_threshold(wanted: float | Mapping[str, float], card: ModelCard) -> float | tuple[float, ...]:
    if not isinstance(wanted, Mapping):
        return wanted
    known = card.detection_filter.get_thresholds(np.arange(len(card.classes), dtype=np.int32)).tolist()
    for name, value in wanted.items():
        known[card.classes.index(name)] = value
    return tuple(known)


def _require_matching_card(card: ModelCard, session: Backend, found: NamedShapes, expected: NamedShapes) -> None:
    """Raise ``ModelError`` when ``found`` are not the sides of input and outputs that the card speaks of."""
    thresholds = card.detection_filter.score_threshold
    counted = not isinstance(thresholds, tuple) or len(thresholds) == len(card.classes)
    if not (counted and all(_shape_matches(sides, expected[name]) for name, sides in found.items())):
        raise ModelError(
            _("{path} does not belong to its card: its input and outputs are {found}.").format(
                path=session.path, found=_format_shapes(found)
            ),
            _("Expected {expected}, for {count} classes and their thresholds.").format(
                expected=_format_shapes(expected), count=len(card.classes)
            ),
            _("Copy the model folder again, or export the run again."),
        )


def _card_shapes(card: ModelCard, kind: OutputDecoder) -> NamedShapes:
    """Return the sides of input and outputs without the batch; ``None`` where they say nothing of the classes."""
    spec, count = card.preprocess, len(card.classes)
    ours = kind.encode(*_NO_OBJECTS, (spec.height, spec.width), spec, count)
    others = kind.encode(*_NO_OBJECTS, (spec.height, spec.width), spec, count + 1)
    outputs = {
        name: tuple(side if side != other else None for side, other in zip(one.shape, two.shape, strict=True))
        for name, one, two in zip(kind.outputs, ours, others, strict=True)
    }
    return {_INPUT_NAME: spec.shape, **outputs}


def _shape_matches(found: Sequence[Any], expected: Sequence[int | None]) -> bool:
    """Tell whether declared sides are the expected ones; a side that a network leaves open fits any."""
    return len(found) == len(expected) and all(
        side is None or not isinstance(seen, int) or seen == side for seen, side in zip(found, expected, strict=True)
    )


def _format_shapes(sides: NamedShapes) -> str:
    return ", ".join(f"{name} {'x'.join(str(side or '?') for side in one)}" for name, one in sides.items())
