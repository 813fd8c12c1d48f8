"""Compares the trained torch network with its ``model.onnx`` at the end of training, and refuses one that differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.errors import ModelError
from lince.export.agreement import FP32_TOLERANCE, match_nearest_box, measure_mask_difference
from lince.i18n import _
from lince.postprocess.softmax import softmax_in_float64

RunFunction = Callable[[NDArray[Any]], NDArray[Any]]
ROUNDING_FACTOR = 2  # allowed multiple of the detections that double precision in the trained network changes


@dataclass(frozen=True)
class ParityReport:
    """How far the outputs of an exported classifier are from those of the trained network.

    ``logits`` and ``probabilities`` are the largest differences over ``count`` images; ``agreement`` is the fraction of
    images with the same predicted class, or of answers, one for each image and class, that are the same.
    """

    count: int
    logits: float
    probabilities: float
    agreement: float

    def to_dict(self) -> dict[str, float]:
        """Return the report as a JSON object, for the model card."""
        return asdict(self)


def choose_most_probable(probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """Return the most probable class of each image, (N,), of probabilities (N, C)."""
    return np.asarray(probabilities.argmax(1), np.int64)


def require_parity(
    run: RunFunction,
    reference: NDArray[Any],
    images: NDArray[Any],
    to_probabilities: Callable[[NDArray[Any]], NDArray[np.float64]] = softmax_in_float64,
    decide: Callable[[NDArray[np.float64]], NDArray[Any]] = choose_most_probable,
) -> ParityReport:
    """Return how far ``run`` is from the ``reference`` logits (N, C) on ``images`` (N, C, H, W).

    ``run`` maps images to logits, ``to_probabilities`` logits to probabilities, and ``decide`` these to an array
    (N, ...) of what is predicted. That may differ only where the two best classes, or a class and its threshold, are
    closer than twice the tolerance. Raises ``ModelError`` when a probability differs by more than that or is NaN, and
    ``ValueError`` for another shape.
    """
    logits = np.asarray(run(images), np.float64)
    if logits.shape != reference.shape:
        raise ValueError(f"the export answers {logits.shape}, the network {reference.shape}")
    trained, exported = to_probabilities(reference), to_probabilities(logits)
    report = ParityReport(
        count=len(images),
        logits=float(np.abs(logits - reference).max(initial=0.0)),
        probabilities=float(np.abs(exported - trained).max(initial=0.0)),
        agreement=float((decide(exported) == decide(trained)).mean()) if len(images) else 1.0,
    )
    tolerance = FP32_TOLERANCE.probability
    if not report.probabilities <= tolerance:
        raise ModelError(
            _("The exported network differs from the trained one by {found:.2g} in a probability.").format(
                found=report.probabilities
            ),
            _("Expected at most {tolerance:g} over {count} images.").format(tolerance=tolerance, count=report.count),
            _("Please report this with the model's name; the trained weights are in the run's checkpoints."),
        )
    return report


@dataclass(frozen=True)
class DetectionParityReport:
    """How far the detections of an exported detector are from those of the trained network.

    ``score`` and ``box`` (pixels of the image) are the largest differences among partners over ``count`` images;
    ``agreement`` is the fraction of detections that have a partner of the same class within the tolerances. ``mask`` is
    the largest part of two masks that is in one of them alone; ``None`` where there are no masks.
    """

    count: int
    score: float
    box: float
    agreement: float
    mask: float | None = None

    def to_dict(self) -> dict[str, float]:
        """Return the report as a JSON object, for the model card."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def require_detection_parity(
    exported: Sequence[Detections],
    trained: Sequence[Detections],
    min_score: float = 0.1,
    run_in_double: Callable[[], Sequence[Detections]] | None = None,
) -> DetectionParityReport:
    """Return how far the detections ``exported`` are from ``trained``, those from ``min_score`` on, on N images.

    Raises ``ModelError`` when more detections than ``FP32_TOLERANCE`` allows have no partner: one of the same class
    whose score and whose sides, in pixels of the image, are within it. The allowed ones may be ties in the suppression
    of duplicates.

    In a network that has learned very little, rounding may decide which positions become detections. ``run_in_double``
    returns the detections of the trained network in double precision; twice as many as those change may differ.
    """
    report, lone_count, total = _compare_detections(exported, trained, min_score)
    allowed_count = FP32_TOLERANCE.max_unmatched * total
    if lone_count > allowed_count and run_in_double is not None:
        allowed_count = max(
            allowed_count, ROUNDING_FACTOR * _compare_detections(run_in_double(), trained, min_score)[1]
        )
    if lone_count > allowed_count:
        raise ModelError(
            _(
                "The exported network differs on {lone} of {total} objects: missing, moved, or with another score."
            ).format(lone=lone_count, total=total),
            _("Expected scores within {score:g} and boxes within {box:g} pixels of the trained network's.").format(
                score=FP32_TOLERANCE.score, box=FP32_TOLERANCE.box
            ),
            _("Please report this with the model's name; the trained weights are in the run's checkpoints."),
        )
    return report


def _compare_detections(
    exported: Sequence[Detections], trained: Sequence[Detections], min_score: float
) -> tuple[DetectionParityReport, int, int]:
    """Return the report, how many detections of ``trained`` have no partner in ``exported``, and how many there are."""
    scores, boxes, masks, lone_count = [0.0], [0.0], [0.0], 0
    for ours, theirs in zip(exported, trained, strict=True):
        for row in np.flatnonzero(theirs.scores >= min_score).tolist():
            score, box = match_nearest_box(
                ours, theirs.boxes[row], int(theirs.class_ids[row]), float(theirs.scores[row])
            )
            mask = measure_mask_difference(ours, theirs, row) if np.isfinite(box) else 0.0
            is_partner = score <= FP32_TOLERANCE.score and box <= FP32_TOLERANCE.box and mask <= FP32_TOLERANCE.mask
            lone_count += int(not is_partner)
            if is_partner:
                scores.append(score)
                boxes.append(box)
                masks.append(mask)
    total = len(scores) - 1 + lone_count
    worst_mask = max(masks) if any(item.has_mask.any() for item in trained) else None
    return (
        DetectionParityReport(len(trained), max(scores), max(boxes), 1.0 - lone_count / max(total, 1), worst_mask),
        lone_count,
        total,
    )
