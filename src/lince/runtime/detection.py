"""What is on photos and where: preparation, network and decoding as in training's evaluation, without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import preprocess, tasks
from lince.annotations import Classes, Detections, Rejected
from lince.card import ModelCard
from lince.decode import Decoder, decoder
from lince.errors import DataError, ModelError
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime import draw, modelfolder, reading, sources
from lince.runtime.engines import Engine
from lince.runtime.reading import Asking, Image, Seen
from lince.runtime.shown import Shown
from lince.runtime.sources import Photo, Source

BATCH = 4
_INPUT = "input"
_SIDES = ("left", "top", "right", "bottom")
_NOTHING: tuple[NDArray[np.float64], NDArray[np.int32]] = (np.empty((0, 4)), np.empty(0, np.int32))
Sides = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, eq=False)
class Found(Shown):
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
        return "file", "class", "score", *_SIDES

    def rows(self) -> list[dict[str, Any]]:
        """Return the answer as the rows of a table; boxes in pixels of the upright photo."""
        return [
            {
                "file": self.name,
                "class": one["class"],
                "score": one["score"],
                **dict(zip(_SIDES, one["box"], strict=True)),
            }
            for one in self.to_dict()["objects"]
        ]

    def drawn(self, image: Image) -> Image:
        """Return ``image`` (H, W, 3), uint8 RGB, with the boxes on it; raise ``DataError`` for another photo."""
        if image.shape[:2] != self.size:
            raise DataError(
                _("{path} has changed since it was looked at.").format(path=self.name),
                _("Expected {height} x {width} pixels.").format(height=self.size[0], width=self.size[1]),
                _("Predict again."),
            )
        return draw.annotated(image, self.detections, self.classes)


class DetectionPredictor:
    """A detector ready to be asked: its card and its network; the web is asked only where ``urls`` allows it.

    Raises ``ModelError`` when the network does not belong to the card.
    """

    def __init__(self, card: ModelCard, session: Engine, urls: bool = False) -> None:
        modelfolder.require_task(card, tasks.DETECT)
        self.card = card
        self.session = session
        self.urls = urls
        self._decoder = decoder(card.decoding)
        self._expected = _expected(card, self._decoder)
        declared = {name: session.outputs.get(name, ())[1:] for name in self._decoder.outputs}
        _require(card, session, {_INPUT: session.input_shape[1:], **declared}, self._expected)

    @property
    def classes(self) -> Classes:
        """The classes that the model finds."""
        return self.card.classes

    def with_threshold(self, threshold: float | Mapping[str, float]) -> DetectionPredictor:
        """Return the same model with another threshold: one for all classes, or one for each class that is named.

        Raises ``UsageError`` for an unknown class or a number that is not in [0, 1].
        """
        keeping = replace(self.card.keeping, threshold=_threshold(threshold, self.card))
        return DetectionPredictor(replace(self.card, keeping=keeping), self.session, self.urls)

    def beside(self, threads: int | None = None) -> DetectionPredictor:
        """Return the same model for work beside that of others: its threads sleep while they wait for each other.

        ``threads`` is the number of cores that a call may use, by default as many as now.
        """
        return DetectionPredictor(self.card, self.session.beside(threads), self.urls)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Return what is on each of ``images``, uint8 RGB (H, W, 3) of any sizes."""
        return [
            one
            for start in range(0, len(images), BATCH)
            for one in self._detect([self.look(image) for image in images[start : start + BATCH]])
        ]

    def predict(self, source: Source) -> Found:
        """Return what is on one photo.

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

    def answer(self, seen: Sequence[Seen], names: Sequence[str] = ()) -> list[Found]:
        """Return what is on each photo of a batch, in one call of the network; many threads may answer at once.

        ``names`` are those of the photos, in order; empty where there are none.
        """
        named = names or [""] * len(seen)
        return [
            Found(name, detections, self.classes, one.size)
            for name, detections, one in zip(named, self._detect(seen), seen, strict=True)
        ]

    def predict_many(
        self, where: Source | Iterable[Source], batch: int = BATCH, progress: Progress = SILENT
    ) -> Iterator[Found | Rejected]:
        """Yield what is on each photo of ``where``, in order: files, folders, patterns, or any photos.

        What is not a readable image comes out as ``Rejected``, and the others go on. Photos are decoded in threads
        while the network works; no more than a few batches are held in memory, those of a generator too. Raises
        ``DataError`` when there is nothing to look at.
        """
        return self.predict_photos(sources.each(where), batch, progress)

    def embed(self, source: Source) -> NDArray[np.float32]:
        """Raise ``ModelError``: the network of a detector answers with boxes alone."""
        raise ModelError(
            _("{model} finds objects; it has no embedding of a whole photo.").format(model=self.card.model),
            _("Expected a model that tells what a photo shows."),
            _("Train one:  lince train DATA --recipe transfer"),
        )

    def embed_many(self, where: Source | Iterable[Source]) -> NDArray[np.float32]:
        """Raise ``ModelError``, as ``embed``."""
        return self.embed("")

    def predict_photos(
        self, photos: Iterable[Photo], batch: int = BATCH, progress: Progress = SILENT
    ) -> Iterator[Found | Rejected]:
        """Yield what is on each of ``photos``, or its rejection, as ``predict_many``."""
        return Asking(self, _answered, batch).all(photos, progress)

    def look_at(self, photo: Photo) -> Seen | Rejected:
        """Return a photo as the network is to see it, or why it cannot be read; many threads may look at once."""
        return reading.look(photo, self.card.preprocess, self.urls)

    def _detect(self, seen: Sequence[Seen]) -> list[Detections]:
        spec, keeping = self.card.preprocess, self.card.keeping
        outputs = self._run(preprocess.normalise([one.image for one in seen], spec))
        # What a network does not declare shows when it answers.
        answered = {name: output.shape[1:] for name, output in zip(self._decoder.outputs, outputs, strict=True)}
        _require(self.card, self.session, answered, self._expected)
        return [
            self._decoder.read([output[at] for output in outputs], one.size, spec, keeping)
            for at, one in enumerate(seen)
        ]

    def _run(self, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the network's outputs, each (N, ...), for ``inputs`` (N, C, H, W), in the batches that it takes."""
        fixed = self.session.input_shape[0]
        if not isinstance(fixed, int) or fixed == len(inputs):
            return self.session.run(inputs, self._decoder.outputs)
        spare = -len(inputs) % fixed
        filled = np.concatenate([inputs, np.zeros((spare, *inputs.shape[1:]), np.float32)])
        parts = [
            self.session.run(filled[at : at + fixed], self._decoder.outputs) for at in range(0, len(filled), fixed)
        ]
        return [np.concatenate(column)[: len(inputs)] for column in zip(*parts, strict=True)]


def _answered(model: DetectionPredictor, photos: Sequence[Photo], seen: Sequence[Seen]) -> Iterator[Found]:
    for photo, found in zip(photos, model.answer(seen, [photo.name for photo in photos]), strict=True):
        yield replace(found, path=photo.path or None)


def _threshold(wanted: float | Mapping[str, float], card: ModelCard) -> float | tuple[float, ...]:
    if not isinstance(wanted, Mapping):
        return wanted
    known = card.keeping.of(np.arange(len(card.classes), dtype=np.int32)).tolist()
    for name, value in wanted.items():
        known[card.classes.index(name)] = value
    return tuple(known)


def _require(card: ModelCard, session: Engine, found: Sides, expected: Sides) -> None:
    """Raise ``ModelError`` when ``found`` are not the sides of input and outputs that the card speaks of."""
    thresholds = card.keeping.threshold
    counted = not isinstance(thresholds, tuple) or len(thresholds) == len(card.classes)
    if not (counted and all(_fits(sides, expected[name]) for name, sides in found.items())):
        raise ModelError(
            _("{path} does not belong to its card: its input and outputs are {found}.").format(
                path=session.path, found=_told(found)
            ),
            _("Expected {expected}, for {count} classes and their thresholds.").format(
                expected=_told(expected), count=len(card.classes)
            ),
            _("Copy the model folder again, or export the run again."),
        )


def _expected(card: ModelCard, kind: Decoder) -> Sides:
    """Return the sides of input and outputs without the batch; ``None`` where they say nothing of the classes."""
    spec, count = card.preprocess, len(card.classes)
    ours = kind.encode(*_NOTHING, (spec.height, spec.width), spec, count)
    others = kind.encode(*_NOTHING, (spec.height, spec.width), spec, count + 1)
    outputs = {
        name: tuple(side if side != other else None for side, other in zip(one.shape, two.shape, strict=True))
        for name, one, two in zip(kind.outputs, ours, others, strict=True)
    }
    return {_INPUT: spec.shape, **outputs}


def _fits(found: Sequence[Any], expected: Sequence[int | None]) -> bool:
    """Tell whether declared sides are the expected ones; a side that a network leaves open fits any."""
    return len(found) == len(expected) and all(
        side is None or not isinstance(seen, int) or seen == side for seen, side in zip(found, expected, strict=True)
    )


def _told(sides: Sides) -> str:
    return ", ".join(f"{name} {'x'.join(str(side or '?') for side in one)}" for name, one in sides.items())
