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
from lince.annotations import UNLABELLED, Classes, Detections, Label, ObjectTable
from lince.datasets import Dataset
from lince.errors import DataError
from lince.evaluation.detection.metrics import compute_mean_ap
from lince.export import agreement
from lince.export.agreement import ImageScale, OutputAgreement, OutputTolerance
from lince.i18n import _
from lince.inference.backends.backend import Backend
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.detection.predictor import DetectionPredictor
from lince.postprocess import DetectionFilter, get_decoder
from lince.preprocess import normalise_images
from lince.progress import SILENT, Progress

Model = ClassificationPredictor | DetectionPredictor
BATCH = 8
STRIPPED_IMAGES = 4  # photos that are also shown cut into a wide and into a tall strip
_MAX_ROUNDS, _MAX_SECONDS = 40, 4.0
_MIN_SCORE = 0.005  # figures of a detector are drawn from all that it finds, however unsurely


@dataclass(frozen=True, eq=False)
class EvaluationImages:
    """The photos of ``dataset`` that models are asked about; ``where`` names the part of the data they are."""

    dataset: Dataset
    split: str

    def __len__(self) -> int:
        return len(self.dataset)

    def iter_encoded(self) -> Iterator[bytes]:
        """Yield the file of each photo."""
        for row in range(len(self.dataset)):
            yield self.dataset.images.read_bytes(row)

    def iter_strips(self) -> Iterator[NDArray[np.uint8]]:
        """Yield strips cut from the first photos: square photos alone would not show how a network resizes."""
        for row in range(min(STRIPPED_IMAGES, len(self.dataset))):
            image = images.decode_image(self.dataset.images.read_bytes(row))
            height, width = image.shape[:2]
            yield image[height // 3 : height // 3 + max(1, height // 3)]
            yield image[:, width // 3 : width // 3 + max(1, width // 3)]


class ModelOutputs(Protocol):
    """What a model said of photos, and after them of the strips."""

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the headline figure, 0 to 1; ``None`` where nobody labelled the photos."""

    def compare_with(self, reference: ModelOutputs, tolerance: OutputTolerance) -> OutputAgreement:
        """Return how alike these answers and those of ``reference`` are."""


@dataclass(frozen=True, eq=False)
class ClassificationOutputs:
    """The probabilities (N, C) that a classifier gave."""

    classes: Classes
    probabilities: NDArray[np.float32]

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the accuracy."""
        ids = _class_id_mapping(self.classes, images.dataset)[images.dataset.class_ids]
        known = ids != UNLABELLED
        if not known.any():
            return None
        return float((self.probabilities[: len(images)].argmax(1) == ids)[known].mean())

    def compare_with(self, reference: ModelOutputs, tolerance: OutputTolerance) -> OutputAgreement:
        """Return how alike the probabilities are."""
        theirs = reference.probabilities if isinstance(reference, ClassificationOutputs) else self.probabilities[:0]
        return agreement.compare_probabilities(self.probabilities, theirs, tolerance)


@dataclass(frozen=True, eq=False)
class DetectionOutputs:
    """What a detector found on each photo, however unsurely."""

    classes: Classes
    detections: tuple[Detections, ...]
    image_scales: tuple[ImageScale, ...]

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the mAP50."""
        objects = images.dataset.objects
        if objects is None or not len(objects):
            return None
        marked: ObjectTable = replace(
            objects, class_ids=_class_id_mapping(self.classes, images.dataset)[objects.class_ids]
        )
        return compute_mean_ap(marked, list(self.detections[: len(images)]), self.classes)[0]

    def compare_with(self, reference: ModelOutputs, tolerance: OutputTolerance) -> OutputAgreement:
        """Return how alike the findings are."""
        theirs = reference.detections if isinstance(reference, DetectionOutputs) else ()
        return agreement.compare_detections(self.detections, theirs, self.image_scales, self.classes, tolerance)


def collect_outputs(
    model: Model, photos: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> ModelOutputs:
    """Return what ``model`` says of ``photos``, by the lines that prediction uses, and of strips of some of them."""
    asked = prepare_for_evaluation(model)
    cut = list(photos.iter_strips()) if with_strips else []
    seen, labels, found, places = [], list[Label](), list[Detections](), []
    with progress.open_stage(_("Asking the model"), len(photos)) as stage:
        for number, source in enumerate(chain[bytes | NDArray[np.uint8]](photos.iter_encoded(), cut)):
            seen.append(asked.prepare(source))
            if len(seen) == BATCH or number == len(photos) + len(cut) - 1:
                if isinstance(asked, DetectionPredictor):
                    found += [one.detections for one in asked.predict_prepared(seen)]
                    places += [ImageScale(one.size, model.card.preprocess) for one in seen]
                else:
                    labels += [one.label for one in asked.predict_prepared(seen)]
                seen = []
            stage.advance(int(number < len(photos)))
    if isinstance(asked, DetectionPredictor):
        return DetectionOutputs(model.classes, tuple(found), tuple(places))
    return ClassificationOutputs(model.classes, np.stack([np.asarray(one.probabilities, np.float32) for one in labels]))


def prepare_for_evaluation(model: Model) -> Model:
    """Return ``model`` as figures ask for it: a detector tells all that it finds, one for each object."""
    if not isinstance(model, DetectionPredictor):
        return model
    keeping = DetectionFilter(_MIN_SCORE, get_decoder(model.card.decoder).iou_threshold, 300)
    return DetectionPredictor(replace(model.card, detection_filter=keeping), model.backend)


def build_input_batch(model: Model, photos: EvaluationImages, count: int) -> NDArray[np.float32]:
    """Return the network's inputs (N, C, H, W) for the first ``count`` photos, those repeated if they are fewer."""
    seen = [model.prepare(data).image for data, _row in zip(photos.iter_encoded(), range(count), strict=False)]
    return normalise_images([seen[at % len(seen)] for at in range(count)], model.card.preprocess)


def benchmark_backends(backends: Sequence[Backend], batch: NDArray[np.float32]) -> list[float]:
    """Return the milliseconds a call of each engine takes for ``batch``: medians of calls in turns.

    All are opened anew so that their threads sleep between calls, and none takes the cores from the next.
    """
    backends = [engine.with_threads() for engine in backends]
    taken: list[list[float]] = [[] for _engine in backends]
    began = time.perf_counter()
    for turn in range(_MAX_ROUNDS):
        for engine, times in zip(backends, taken, strict=True):
            start = time.perf_counter()
            engine.run(batch, list(engine.outputs)[:1])
            times.append(time.perf_counter() - start)
        if turn > 4 and time.perf_counter() - began > _MAX_SECONDS:
            break
    return [float(np.median(times[2:])) * 1000 for times in taken]


def _class_id_mapping(classes: Classes, dataset: Dataset) -> NDArray[np.int32]:
    """Return the model's class id for each class of ``dataset`` and, last, for the unlabelled."""
    strangers = [name for name, count in dataset.count_per_class().items() if count and name not in classes.names]
    if strangers:
        raise DataError(
            _("The data has classes that the model does not know: {names}.").format(names=", ".join(strangers)),
            _("The model knows: {names}.").format(names=", ".join(classes.names)),
            _("Give labelled photos of these classes."),
        )
    known = [classes.names.index(name) if name in classes.names else UNLABELLED for name in dataset.classes.names]
    return np.array([*known, UNLABELLED], np.int32)
