"""Whether an exported network answers what the trained one answers, on real images, before it is handed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.errors import ModelError
from lince.export.agreement import match_nearest_box
from lince.i18n import _

RunFunction = Callable[[NDArray[Any]], NDArray[Any]]
SCORE_TOLERANCE, BOX_TOLERANCE = 1e-3, 0.5  # of two findings of one object; pixels of the photo
MAX_UNMATCHED = 0.01  # the share of findings that may have no partner
ROUNDING_FACTOR = 2  # times as many as lose theirs when the network itself computes in double precision
PROBABILITY_TOLERANCE = 1e-3  # of probability; float32 kernels of two libraries differ by some 1e-5


@dataclass(frozen=True)
class ParityReport:
    """The largest differences over ``count`` images, and the share that got the same first class."""

    count: int
    logits: float
    probabilities: float
    agreement: float

    def to_dict(self) -> dict[str, float]:
        """Return the figures for the model card."""
        return asdict(self)


def require_parity(
    run: RunFunction, reference: NDArray[Any], images: NDArray[Any], tolerance: float = PROBABILITY_TOLERANCE
) -> ParityReport:
    """Return how far ``run`` (images (N, C, H, W) to logits (N, K)) is from the ``reference`` logits (N, K).

    Raises ``ModelError`` when a probability differs by more than ``tolerance`` or is not a number. First classes may
    then differ only where the two best tie within twice the tolerance.
    """
    logits = np.asarray(run(images), np.float64)
    if logits.shape != reference.shape:
        raise ValueError(f"the export answers {logits.shape}, the network {reference.shape}")
    trained = _softmax(np.asarray(reference, np.float64))
    exported = _softmax(logits)
    report = ParityReport(
        count=len(images),
        logits=float(np.abs(logits - reference).max(initial=0.0)),
        probabilities=float(np.abs(exported - trained).max(initial=0.0)),
        agreement=float((exported.argmax(1) == trained.argmax(1)).mean()) if len(images) else 1.0,
    )
    if not report.probabilities <= tolerance:
        raise ModelError(
            _("The exported network differs from the trained one by {found:.2g} in a probability.").format(
                found=report.probabilities
            ),
            _("Expected at most {tolerance:g} over {count} images.").format(tolerance=tolerance, count=report.count),
            _("Please report this with the model's name; the trained weights are in the run's checkpoints."),
        )
    return report


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


@dataclass(frozen=True)
class DetectionParityReport:
    """How far two lists of findings on ``count`` images are from each other.

    ``score`` and ``box`` (pixels of the photo) are the largest differences among the pairs; ``agreement`` is the share
    of the findings that have a partner of the same class within the tolerances.
    """

    count: int
    score: float
    box: float
    agreement: float

    def to_dict(self) -> dict[str, float]:
        """Return the figures for the model card."""
        return asdict(self)


def require_detection_parity(
    exported: Sequence[Detections],
    trained: Sequence[Detections],
    min_score: float = 0.1,
    run_in_double: Callable[[], Sequence[Detections]] | None = None,
) -> DetectionParityReport:
    """Return how far what ``exported`` found on N images is from what ``trained`` found, from the score ``surely`` on.

    Raises ``ModelError`` when more than 1 % of the findings have no partner of the same class whose score differs by
    at most 0.001 and whose sides by half a pixel: that much may fall to ties in what is kept of doubled boxes. More
    may where a network that has learnt next to nothing takes its places for objects by the last digits: ``exact``
    makes what the trained network itself finds in double precision.
    """
    report, lone, total = _compare_detections(exported, trained, min_score)
    allowed = MAX_UNMATCHED * total
    if lone > allowed and run_in_double is not None:
        allowed = max(allowed, ROUNDING_FACTOR * _compare_detections(run_in_double(), trained, min_score)[1])
    if lone > allowed:
        raise ModelError(
            _(
                "The exported network differs on {lone} of {total} objects: missing, moved, or with another score."
            ).format(lone=lone, total=total),
            _("Expected scores within {score:g} and boxes within {box:g} pixels of the trained network's.").format(
                score=SCORE_TOLERANCE, box=BOX_TOLERANCE
            ),
            _("Please report this with the model's name; the trained weights are in the run's checkpoints."),
        )
    return report


def _compare_detections(
    found: Sequence[Detections], trained: Sequence[Detections], surely: float
) -> tuple[DetectionParityReport, int, int]:
    """Return the differences, how many findings of ``trained`` have no partner in ``found``, and how many there are."""
    scores, boxes, lone = [0.0], [0.0], 0
    for ours, theirs in zip(found, trained, strict=True):
        for at in np.flatnonzero(theirs.scores >= surely).tolist():
            score, box = match_nearest_box(ours, theirs.boxes[at], int(theirs.class_ids[at]), float(theirs.scores[at]))
            lone += int(score > SCORE_TOLERANCE or box > BOX_TOLERANCE)
            if score <= SCORE_TOLERANCE and box <= BOX_TOLERANCE:
                scores.append(score)
                boxes.append(box)
    total = len(scores) - 1 + lone
    return DetectionParityReport(len(trained), max(scores), max(boxes), 1.0 - lone / max(total, 1)), lone, total
