"""Compares the outputs of a run with those of its export, on the same images, with a tolerance for each precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import geometry, mask_operations, rle
from lince.annotations import Classes, Detections, ObjectTable
from lince.evaluation.detection.metrics import compute_mean_ap
from lince.preprocess import PreprocessSpec, compute_input_matrix

MIN_SCORE = 0.1  # detections below it are not compared
_MIN_IOU = 0.5  # below it, two detections are not of one object


@dataclass(frozen=True)
class OutputTolerance:
    """How far the outputs of an export may be from those of its run.

    Attributes:
        probability: largest difference of a class probability.
        score: largest difference of a score.
        box: largest difference of a side of a box, in pixels of the network's input.
        max_unmatched: fraction of images, of detections, or of places of a map, that may differ by more, because ties
            are decided by rounding.
        mask: largest fraction of the pixels of two masks together that are in one of them alone.
    """

    probability: float
    score: float
    box: float
    max_unmatched: float
    mask: float = 0.02


# Also for ``parity``, there with boxes in pixels of the image. float32 kernels of two libraries differ by about 1e-5.
FP32_TOLERANCE = OutputTolerance(1e-3, 1e-3, 0.5, 0.01)
# By precision. int8 changes outputs on purpose; such networks are only tested for the loss of quality.
TOLERANCES: dict[str, OutputTolerance | None] = {
    "fp32": FP32_TOLERANCE,
    "fp16": OutputTolerance(2e-2, 2e-2, 2.0, 0.02, 0.1),
    "int8": None,
}


@dataclass(frozen=True)
class OutputAgreement:
    """How far the outputs of two models are apart.

    Attributes:
        differences: the largest differences by their names in ``OutputTolerance``.
        agreement: fraction of images with the same predicted class; or of answers, one for each image and class, that
            are the same; or the mAP50 of one detector, with the detections
            of the other as ground truth; or the fraction of pixels with the same class.
        lone: fraction of images, of detections, or of places of a map, beyond the tolerance.
    """

    differences: dict[str, float]
    agreement: float
    lone: float

    def is_within(self, tolerance: OutputTolerance) -> bool:
        """Return whether at most the allowed fraction differs and no difference is infinite or NaN."""
        return self.lone <= tolerance.max_unmatched and all(np.isfinite(list(self.differences.values())))

    def to_dict(self) -> dict[str, object]:
        """Return the agreement as a JSON object; infinite and NaN differences become ``None``."""
        return asdict(self) | {
            "differences": {name: value if np.isfinite(value) else None for name, value in self.differences.items()}
        }


def compare_probabilities(
    ours: NDArray[np.float32],
    theirs: NDArray[np.float32],
    tolerance: OutputTolerance,
    decide: Callable[[NDArray[np.float32]], NDArray[Any]],
) -> OutputAgreement:
    """Return the agreement of the probabilities of two models of whole images, float32 (N, C) each.

    ``decide`` returns what follows from them, an array (N, ...). An image is beyond the tolerance when one of its
    probabilities is. Decisions can then differ only where two classes, or a class and its threshold, are almost equal.
    """
    differences = np.abs(ours.astype(np.float64) - theirs).max(axis=1, initial=0.0)
    is_same = decide(ours) == decide(theirs)
    is_beyond = ~(differences <= tolerance.probability)
    return OutputAgreement(
        {"probability": float(differences.max(initial=0.0))},
        float(is_same.mean()) if len(is_same) else 1.0,
        float(is_beyond.mean()) if len(is_beyond) else 0.0,
    )


@dataclass(frozen=True, eq=False)
class ImageScale:
    """The (height, width) of an image, and the preprocessing that scales it to the network's input."""

    image_size: tuple[int, int]
    spec: PreprocessSpec

    @property
    def scale(self) -> float:
        """Pixels of the network's input per pixel of the image, the smaller of both axes, at most 1."""
        matrix = compute_input_matrix(*self.image_size, self.spec)
        return float(min(matrix[0, 0], matrix[1, 1], 1.0))


def compare_detections(
    ours: Sequence[Detections],
    theirs: Sequence[Detections],
    image_scales: Sequence[ImageScale],
    classes: Classes,
    tolerance: OutputTolerance,
) -> OutputAgreement:
    """Return the agreement of the detections of two detectors on N images; ``theirs`` is the reference.

    Every detection from ``MIN_SCORE`` on is compared with the nearest one of its class in the other list, in both
    directions. One without such a partner is beyond the tolerance, and does not count for the largest differences.
    """
    scores, sides, masks, beyond_count, count = [0.0], [0.0], [0.0], 0, 0
    for our_detections, their_detections, image_scale in zip(ours, theirs, image_scales, strict=True):
        for candidates, reference in ((our_detections, their_detections), (their_detections, our_detections)):
            for row in np.flatnonzero(reference.scores >= MIN_SCORE).tolist():
                target = (reference.boxes[row], int(reference.class_ids[row]), float(reference.scores[row]))
                score, side = match_nearest_box(candidates, *target, _MIN_IOU)
                side *= image_scale.scale
                mask = measure_mask_difference(candidates, reference, row) if np.isfinite(side) else 0.0
                count += 1
                is_within = score <= tolerance.score and side <= tolerance.box and mask <= tolerance.mask
                beyond_count += int(not is_within)
                if np.isfinite(side):
                    scores.append(score)
                    sides.append(side)
                    masks.append(mask)
    has_masks = any(item.has_mask.any() for item in theirs)
    return OutputAgreement(
        {"score": max(scores), "box": max(sides), **({"mask": max(masks)} if has_masks else {})},
        _compute_map50_agreement(ours, theirs, classes),
        beyond_count / max(count, 1),
    )


def match_nearest_box(
    candidates: Detections, box: NDArray[np.float64], class_id: int, score: float, min_iou: float = 0.0
) -> tuple[float, float]:
    """Return the differences (score, largest side in pixels) to the candidate of ``class_id`` nearest to ``box`` (4,).

    Both are infinite without a candidate of the class, and when the nearest one has an IoU below ``min_iou``.
    """
    rows = np.flatnonzero(candidates.class_ids == class_id)
    if not len(rows):
        return np.inf, np.inf
    distances = np.abs(candidates.boxes[rows] - box).max(axis=1)
    nearest = int(distances.argmin())
    if min_iou and geometry.compute_iou(candidates.boxes[rows[nearest]][None], box[None])[0, 0] < min_iou:
        return np.inf, np.inf
    return abs(float(candidates.scores[rows[nearest]]) - score), float(distances[nearest])


def measure_mask_difference(candidates: Detections, reference: Detections, row: int) -> float:
    """Return one minus the IoU of the mask ``row`` of ``reference`` and that of the nearest box of its class.

    ``candidates`` have one of this class. 0 where the reference has no mask, and for two masks without pixels.
    """
    if not reference.masks[row]:
        return 0.0
    rows = np.flatnonzero(candidates.class_ids == reference.class_ids[row])
    nearest = int(rows[np.abs(candidates.boxes[rows] - reference.boxes[row]).max(axis=1).argmin()])
    if not candidates.masks[nearest]:
        return 1.0
    masks = [rle.string_to_counts(text) for text in (candidates.masks[nearest], reference.masks[row])]
    if not any(rle.compute_area(counts) for counts in masks):
        return 0.0
    return 1.0 - float(mask_operations.compute_mask_ious(masks[:1], masks[1:])[0, 0])


def _compute_map50_agreement(ours: Sequence[Detections], theirs: Sequence[Detections], classes: Classes) -> float:
    """Return the mAP50 of ``ours`` with the confident detections of ``theirs`` as ground truth.

    Without any of these, 1 where ``ours`` has none either, else 0.
    """
    confident = [_select_confident(detections) for detections in theirs]
    if not any(map(len, confident)):
        return float(not any(len(_select_confident(detections)) for detections in ours))
    return compute_mean_ap(ObjectTable.from_detections(confident), list(ours), classes)[0]


def _select_confident(detections: Detections) -> Detections:
    """Return the detections from ``MIN_SCORE`` on."""
    keep = detections.scores >= MIN_SCORE
    return detections.select(keep)
