"""Models asked about the same photos: what each answers, how good that is, and how fast both are, taken in turns."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import UNLABELLED, Classes, Detections, Label, Objects
from lince.data import Dataset
from lince.decode import Keeping, decoder
from lince.errors import DataError
from lince.evaluation.detection import headline
from lince.exporting import likeness
from lince.exporting.likeness import Likeness, Place, Tolerance
from lince.messages import _
from lince.preprocess import normalise
from lince.progress import SILENT, Progress
from lince.runtime.detection import DetectionPredictor
from lince.runtime.engines import Engine
from lince.runtime.predictor import Predictor

Model = Predictor | DetectionPredictor
BATCH = 8
PROBES = 4  # photos that are also shown cut into a wide and into a tall strip
_TURNS, _SECONDS = 40, 4.0
_LEAST = 0.005  # figures of a detector are drawn from all that it finds, however unsurely


@dataclass(frozen=True, eq=False)
class Photos:
    """The photos of ``dataset`` that models are asked about; ``where`` names the part of the data they are."""

    dataset: Dataset
    where: str

    def __len__(self) -> int:
        return len(self.dataset)

    def each(self) -> Iterator[bytes]:
        """Yield the file of each photo."""
        for row in range(len(self.dataset)):
            yield self.dataset.images.data(row)

    def strips(self) -> Iterator[NDArray[np.uint8]]:
        """Yield strips cut from the first photos: square photos alone would not show how a network resizes."""
        for row in range(min(PROBES, len(self.dataset))):
            image = images.decode(self.dataset.images.data(row))
            height, width = image.shape[:2]
            yield image[height // 3 : height // 3 + max(1, height // 3)]
            yield image[:, width // 3 : width // 3 + max(1, width // 3)]


class Answers(Protocol):
    """What a model said of photos, and after them of the strips."""

    def quality(self, photos: Photos) -> float | None:
        """Return the headline figure, 0 to 1; ``None`` where nobody labelled the photos."""

    def likeness(self, reference: Answers, tolerance: Tolerance) -> Likeness:
        """Return how alike these answers and those of ``reference`` are."""


@dataclass(frozen=True, eq=False)
class Named:
    """The probabilities (N, C) that a classifier gave."""

    classes: Classes
    probabilities: NDArray[np.float32]

    def quality(self, photos: Photos) -> float | None:
        """Return the accuracy."""
        ids = _ids(self.classes, photos.dataset)[photos.dataset.class_ids]
        known = ids != UNLABELLED
        if not known.any():
            return None
        return float((self.probabilities[: len(photos)].argmax(1) == ids)[known].mean())

    def likeness(self, reference: Answers, tolerance: Tolerance) -> Likeness:
        """Return how alike the probabilities are."""
        theirs = reference.probabilities if isinstance(reference, Named) else self.probabilities[:0]
        return likeness.of_probabilities(self.probabilities, theirs, tolerance)


@dataclass(frozen=True, eq=False)
class Located:
    """What a detector found on each photo, however unsurely."""

    classes: Classes
    found: tuple[Detections, ...]
    places: tuple[Place, ...]

    def quality(self, photos: Photos) -> float | None:
        """Return the mAP50."""
        objects = photos.dataset.objects
        if objects is None or not len(objects):
            return None
        marked: Objects = replace(objects, class_ids=_ids(self.classes, photos.dataset)[objects.class_ids])
        return headline(marked, list(self.found[: len(photos)]), self.classes)[0]

    def likeness(self, reference: Answers, tolerance: Tolerance) -> Likeness:
        """Return how alike the findings are."""
        theirs = reference.found if isinstance(reference, Located) else ()
        return likeness.of_findings(self.found, theirs, self.places, self.classes, tolerance)


def ask(model: Model, photos: Photos, strips: bool = True, progress: Progress = SILENT) -> Answers:
    """Return what ``model`` says of ``photos``, by the lines that prediction uses, and of strips of some of them."""
    asked = figures_of(model)
    cut = list(photos.strips()) if strips else []
    seen, labels, found, places = [], list[Label](), list[Detections](), []
    with progress.stage(_("Asking the model"), len(photos)) as stage:
        for number, source in enumerate(chain[bytes | NDArray[np.uint8]](photos.each(), cut)):
            seen.append(asked.look(source))
            if len(seen) == BATCH or number == len(photos) + len(cut) - 1:
                if isinstance(asked, DetectionPredictor):
                    found += [one.detections for one in asked.answer(seen)]
                    places += [Place(one.size, model.card.preprocess) for one in seen]
                else:
                    labels += [one.label for one in asked.answer(seen)]
                seen = []
            stage.advance(int(number < len(photos)))
    if isinstance(asked, DetectionPredictor):
        return Located(model.classes, tuple(found), tuple(places))
    return Named(model.classes, np.stack([np.asarray(one.probabilities, np.float32) for one in labels]))


def figures_of(model: Model) -> Model:
    """Return ``model`` as figures ask for it: a detector tells all that it finds, one for each object."""
    if not isinstance(model, DetectionPredictor):
        return model
    keeping = Keeping(_LEAST, decoder(model.card.decoding).overlap, 300)
    return DetectionPredictor(replace(model.card, keeping=keeping), model.session)


def inputs(model: Model, photos: Photos, count: int) -> NDArray[np.float32]:
    """Return the network's inputs (N, C, H, W) for the first ``count`` photos, those repeated if they are fewer."""
    seen = [model.look(data).image for data, _row in zip(photos.each(), range(count), strict=False)]
    return normalise([seen[at % len(seen)] for at in range(count)], model.card.preprocess)


def race(engines: Sequence[Engine], batch: NDArray[np.float32]) -> list[float]:
    """Return the milliseconds a call of each engine takes for ``batch``: medians of calls in turns.

    All are opened anew so that their threads sleep between calls, and none takes the cores from the next.
    """
    engines = [engine.beside() for engine in engines]
    taken: list[list[float]] = [[] for _engine in engines]
    began = time.perf_counter()
    for turn in range(_TURNS):
        for engine, times in zip(engines, taken, strict=True):
            start = time.perf_counter()
            engine.run(batch, list(engine.outputs)[:1])
            times.append(time.perf_counter() - start)
        if turn > 4 and time.perf_counter() - began > _SECONDS:
            break
    return [float(np.median(times[2:])) * 1000 for times in taken]


def _ids(classes: Classes, dataset: Dataset) -> NDArray[np.int32]:
    """Return the model's class id for each class of ``dataset`` and, last, for the unlabelled."""
    strangers = [name for name, count in dataset.counts().items() if count and name not in classes.names]
    if strangers:
        raise DataError(
            _("The data has classes that the model does not know: {names}.").format(names=", ".join(strangers)),
            _("The model knows: {names}.").format(names=", ".join(classes.names)),
            _("Give labelled photos of these classes."),
        )
    known = [classes.names.index(name) if name in classes.names else UNLABELLED for name in dataset.classes.names]
    return np.array([*known, UNLABELLED], np.int32)
