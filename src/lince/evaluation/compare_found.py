"""Detectors side by side on the same test set: does the one find more than the other, or was it luck?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lince.evaluation.average_precision import Array, affordable, mean, precisions, resampled
from lince.evaluation.compare import require_same, require_several, same_classes
from lince.evaluation.detection import DetectionMetrics, with_flattery_corrected
from lince.evaluation.found import FoundObjects
from lince.evaluation.interval import Interval
from lince.evaluation.matching import Columns, Matching, columns, match

FEWEST_IMAGES = 6  # of 5 images, all better: a coin falls so 1 time in 16, which is no proof yet
_DECIMALS = 3  # of a pixel; formats write a side with as many


@dataclass(frozen=True)
class FoundClass:
    """How the average precision (overlap 0.5) of one class moved; ``None`` without test objects."""

    name: str
    support: int
    before: float | None
    after: float | None


@dataclass(frozen=True)
class FoundDifference:
    """A detector against the first one, on the same ``count`` images.

    ``map50`` and ``map50_95`` are the differences with their paired bootstrap intervals: both detectors are measured
    on the same drawn test sets, so that what an easy or a hard image gives to both takes no part.
    """

    count: int
    map50: Interval
    map50_95: Interval
    classes: tuple[FoundClass, ...]

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or, when luck may explain the difference in mAP50-95, ``unclear``."""
        found = self.map50_95
        if self.count < FEWEST_IMAGES or found.low <= 0 <= found.high:
            return "unclear"
        return "better" if found.value > 0 else "worse"

    def record(self) -> dict[str, Any]:
        """Return the difference as JSON."""
        return {
            "map50": self.map50.record(),
            "map50_95": self.map50_95.record(),
            "verdict": self.verdict,
            "classes": [vars(item) for item in self.classes],
        }


@dataclass(frozen=True, eq=False)
class ComparedDetector:
    """One run of a comparison: its figures, and how it differs from the first run (``None`` for that one)."""

    name: str
    metrics: DetectionMetrics
    difference: FoundDifference | None


@dataclass(frozen=True, eq=False)
class FoundComparison:
    """Detectors on the same ``count`` test images, the first being the one that the others are held against.

    ``left_out`` counts, for each run, the test images that not all runs share.
    """

    runs: tuple[ComparedDetector, ...]
    count: int
    left_out: Mapping[str, int]

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON."""
        return {
            "count": self.count,
            "left_out": dict(self.left_out),
            "runs": [
                {
                    "name": run.name,
                    "map50": run.metrics.map50.record(),
                    "map50_95": run.metrics.map50_95.record(),
                    "difference": None if run.difference is None else run.difference.record(),
                }
                for run in self.runs
            ],
        }


def compare_found(runs: Mapping[str, FoundObjects], *, shared_only: bool = False, seed: int = 0) -> FoundComparison:
    """Return ``runs`` (by name, at least two) held against the first of them on the same marked images.

    Images are matched by content and by what is marked on them, so a moved or renamed folder compares, and so does
    another order of images, boxes or classes. Raises ``DataError`` when class names differ, test sets do and
    ``shared_only`` is not set, or no object is marked on the images that are shared.
    """
    require_several(runs)
    classes = same_classes({name: item.classes for name, item in runs.items()})
    given = {name: item.arranged(classes) for name, item in runs.items()}
    rows = {name: _by_identity(item) for name, item in given.items()}
    first = next(iter(rows.values()))
    shared = [image for image in first if all(image in own for own in rows.values())]
    left_out = {name: len(own) - len(shared) for name, own in rows.items()}
    require_same(left_out, len(shared), shared_only)
    aligned = {name: item.select([rows[name][image] for image in shared]) for name, item in given.items()}
    metrics = {name: item.metrics(seed) for name, item in aligned.items()}
    differences = _differences(list(aligned.values()), list(metrics.values()), seed)
    compared = (ComparedDetector(name, metrics[name], one) for name, one in zip(metrics, differences, strict=True))
    return FoundComparison(tuple(compared), len(shared), left_out)


_Marked = tuple[tuple[int, int, tuple[float, ...]], ...]
_Identity = tuple[str, _Marked, int]


def _by_identity(item: FoundObjects) -> dict[_Identity, int]:
    """Name each image by content, by what is marked on it and by which copy of it this is; return its row."""
    copies: Counter[tuple[str, _Marked]] = Counter()
    rows: dict[_Identity, int] = {}
    for row, key in enumerate(item.keys):
        marked = _marked(item, row)
        rows[key, marked, copies[key, marked]] = row
        copies[key, marked] += 1
    return rows


def _marked(item: FoundObjects, image: int) -> _Marked:
    span = item.truth.of(image)
    ids, flags = item.truth.class_ids[span].tolist(), item.truth.flags[span].tolist()
    boxes = np.round(item.truth.boxes[span], _DECIMALS).tolist()
    return tuple(sorted((ids[i], flags[i], tuple(boxes[i])) for i in range(len(ids))))


def _differences(items: list[FoundObjects], metrics: list[DetectionMetrics], seed: int) -> list[FoundDifference | None]:
    """Return how each of ``items`` differs from the first, for which there is ``None``."""
    classes = len(items[0].classes)
    flat = [columns(item.truth, item.found) for item in items]
    matched = [match(one) for one in flat]
    draws = min(affordable(*pair) for pair in zip(flat, matched, strict=True))
    measured = [_measured(*pair, classes, seed, draws) for pair in zip(flat, matched, strict=True)]
    result: list[FoundDifference | None] = [None]
    for values, figures in zip(measured[1:], metrics[1:], strict=True):
        map50, strict = (_paired(before, after) for before, after in zip(measured[0], values, strict=True))
        result.append(FoundDifference(len(items[0]), map50, strict, _classes(metrics[0], figures)))
    return result


def _measured(flat: Columns, matching: Matching, classes: int, seed: int, draws: int) -> tuple[Array, Array]:
    """Return mAP50 and mAP50-95 (1 + R,): on the test set itself first, then on each drawn one."""
    own = precisions(flat, matching, classes)[None]
    levels = mean(np.concatenate([own, resampled(flat, matching, classes, seed, draws)]))
    return levels[:, 0], levels.mean(axis=1)


def _paired(before: Array, after: Array) -> Interval:
    change = after - before
    return with_flattery_corrected(float(change[0]), change[1:], lowest=-1.0)


def _classes(first: DetectionMetrics, other: DetectionMetrics) -> tuple[FoundClass, ...]:
    return tuple(
        FoundClass(
            old.name,
            old.support,
            None if old.ap50 is None else old.ap50.value,
            None if new.ap50 is None else new.ap50.value,
        )
        for old, new in zip(first.scores, other.scores, strict=True)
    )
