"""How alike the answers of two models to the same photos are, and how far apart they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import Classes, Detections, ObjectTable
from lince.evaluation.detection.metrics import compute_mean_ap
from lince.preprocess import PreprocessSpec, compute_input_matrix

MIN_SCORE = 0.1  # the score from which on a finding needs a partner
_MIN_IOU = 0.5  # intersection over union of two findings of one object


@dataclass(frozen=True)
class OutputTolerance:
    """How far an export may be from its run.

    ``probability`` or ``score`` is the largest difference, ``box`` that of a side in pixels of the network's input;
    ``lone`` is the share of first classes, or of findings, that may differ by more: ties fall either way.
    """

    probability: float
    score: float
    box: float
    max_unmatched: float


# By precision. Networks in eight bits are judged by what they lose, not by how far they are.
TOLERANCES: dict[str, OutputTolerance | None] = {
    "fp32": OutputTolerance(1e-3, 1e-3, 0.5, 0.01),
    "fp16": OutputTolerance(2e-2, 2e-2, 2.0, 0.02),
    "int8": None,
}


@dataclass(frozen=True)
class OutputAgreement:
    """How far two models are from each other.

    ``differences`` are the largest ones by their names in ``Tolerance``; ``agreement`` is the share of photos that got
    the same first class, or the mAP50 of one detector's findings when the other's are taken for the truth; ``lone`` is
    the share of photos, or of findings, beyond the ``Tolerance``.
    """

    differences: dict[str, float]
    agreement: float
    lone: float

    def is_within(self, tolerance: OutputTolerance) -> bool:
        """Whether no more is apart than may be. What is no number is within nothing."""
        return self.lone <= tolerance.max_unmatched and all(np.isfinite(list(self.differences.values())))

    def to_dict(self) -> dict[str, object]:
        """Return this as JSON, a difference that is no number as null."""
        return asdict(self) | {
            "differences": {name: value if np.isfinite(value) else None for name, value in self.differences.items()}
        }


def compare_probabilities(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], tolerance: OutputTolerance
) -> OutputAgreement:
    """Return how alike the probabilities (N, C) of two classifiers are.

    A photo is beyond the tolerance when a probability of it is; first classes can then differ in ties alone.
    """
    apart = np.abs(ours.astype(np.float64) - theirs).max(axis=1, initial=0.0)
    same = ours.argmax(1) == theirs.argmax(1)
    beyond = ~(apart <= tolerance.probability)
    return OutputAgreement(
        {"probability": float(apart.max(initial=0.0))},
        float(same.mean()) if len(same) else 1.0,
        float(beyond.mean()) if len(beyond) else 0.0,
    )


@dataclass(frozen=True, eq=False)
class ImageScale:
    """Where findings were made: the photo's ``size`` (height, width), and what brought it to the network's input."""

    image_size: tuple[int, int]
    spec: PreprocessSpec

    @property
    def scale(self) -> float:
        """How many pixels of the input the shorter way of a pixel of the photo is, 1 at most."""
        brought = compute_input_matrix(*self.image_size, self.spec)
        return float(min(brought[0, 0], brought[1, 1], 1.0))


def compare_detections(
    ours: Sequence[Detections],
    theirs: Sequence[Detections],
    image_scales: Sequence[ImageScale],
    classes: Classes,
    tolerance: OutputTolerance,
) -> OutputAgreement:
    """Return how alike what two detectors found on N photos is; ``theirs`` is the reference."""
    scores, boxes, beyond, total = [0.0], [0.0], 0, 0
    for one, other, place in zip(ours, theirs, image_scales, strict=True):
        for found, reference in ((one, other), (other, one)):
            for at in np.flatnonzero(reference.scores >= MIN_SCORE).tolist():
                target = (reference.boxes[at], int(reference.class_ids[at]), float(reference.scores[at]))
                score, box = match_nearest_box(found, *target, _MIN_IOU)
                box *= place.scale
                total += 1
                beyond += int(not (score <= tolerance.score and box <= tolerance.box))
                if np.isfinite(box):
                    scores.append(score)
                    boxes.append(box)
    return OutputAgreement(
        {"score": max(scores), "box": max(boxes)},
        _compute_map50_agreement(ours, theirs, classes),
        beyond / max(total, 1),
    )


def match_nearest_box(
    candidates: Detections, box: NDArray[np.float64], class_id: int, score: float, min_iou: float = 0.0
) -> tuple[float, float]:
    """Return the differences (score, largest side in pixels) to the candidate of ``class_id`` nearest to ``box`` (4,).

    Infinite where there is no candidate of the class, or the nearest one overlaps by less than ``min_iou``.
    """
    rows = np.flatnonzero(candidates.class_ids == class_id)
    if not len(rows):
        return np.inf, np.inf
    distances = np.abs(candidates.boxes[rows] - box).max(axis=1)
    nearest = int(distances.argmin())
    if min_iou and geometry.compute_iou(candidates.boxes[rows[nearest]][None], box[None])[0, 0] < min_iou:
        return np.inf, np.inf
    return abs(float(candidates.scores[rows[nearest]]) - score), float(distances[nearest])


def _compute_map50_agreement(ours: Sequence[Detections], theirs: Sequence[Detections], classes: Classes) -> float:
    sure = [_select_confident(one) for one in theirs]
    if not any(map(len, sure)):
        return float(not any(len(_select_confident(one)) for one in ours))
    return compute_mean_ap(ObjectTable.from_detections(sure), list(ours), classes)[0]


def _select_confident(found: Detections) -> Detections:
    kept = found.scores >= MIN_SCORE
    return Detections(found.boxes[kept], found.class_ids[kept], found.scores[kept])
