"""From which score on a finding counts: chosen class by class, on images that training did not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections, Objects
from lince.decode import DEFAULT
from lince.evaluation.average_precision import support
from lince.evaluation.matching import columns, match

LENT = 40  # boxes: measured on hard hats, see NOTES.md

Array = NDArray[np.float64]


def choose(truth: Objects, found: Sequence[Detections], classes: int) -> tuple[float, ...]:
    """Return the threshold of each of ``classes``, (C,), at which F1 is best on these images.

    A class's own few boxes choose by chance: one box that is found with 1 % would let a hundred false ones in. So the
    findings and boxes of all other classes are counted with it, together as if they were ``LENT`` boxes, or as many as
    they are when they are fewer: they decide for a class with few boxes, and hardly matter for one with hundreds.
    """
    flat = columns(truth, found)
    matching = match(flat)
    held = support(flat, matching, classes)
    order = np.argsort(-flat.scores, kind="stable")
    hits, counted, scores = matching.hits[0, order], matching.counted[0, order], flat.scores[order]
    chosen = []
    for class_id, own in enumerate(held.tolist()):
        others = int(held.sum()) - own
        lent = min(others, LENT)
        weights = np.where(flat.classes[order] == class_id, 1.0, lent / max(others, 1))
        chosen.append(best(hits * weights, counted * weights, scores, own + lent))
    return tuple(chosen)


def best(hits: NDArray[Any], counted: NDArray[Any], scores: Array, positives: int) -> float:
    """Return the score, halfway to the next lower one, at which F1 is best; the higher one among equals.

    Findings (K,) come surest first: how much each is a hit, how much it counts (shares or bools), and its score.
    ``positives`` objects are to be found. Where nothing is ever hit, it is the default.
    """
    if not hits.any():
        return DEFAULT.lowest
    ends = np.flatnonzero(np.diff(scores, append=-1.0))  # a threshold keeps all of one score or none
    f1 = 2 * np.cumsum(hits)[ends] / (np.cumsum(counted)[ends] + positives)
    top = int(np.argmax(f1))
    below = scores[ends[top + 1]] if top + 1 < len(ends) else scores[ends[top]]
    return float(np.float32((scores[ends[top]] + below) / 2))
