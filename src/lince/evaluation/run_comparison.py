"""What the comparisons of all tasks are: runs on the same test images, and how each differs from the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from lince.annotations import Classes
from lince.evaluation.bootstrap import Bootstrap, FloatArray
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report.comparison_view import ShownComparison
from lince.evaluation.report.facts import RunDetails

MIN_IMAGES = 6  # five of five better happens by chance with p = 1/16, which is not significant


class _Difference(Protocol):
    """How a run differs from the first one."""

    @property
    def outcome(self) -> str:
        """``better``, ``worse``, or ``unclear``."""

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""


M = TypeVar("M")  # the metrics of a task
D = TypeVar("D", bound=_Difference)


@dataclass(frozen=True, eq=False)
class ComparedRun(Generic[M, D]):
    """One run of a comparison: its metrics, and its difference from the first run (``None`` for the first itself)."""

    name: str
    metrics: M
    difference: D | None


@dataclass(frozen=True, eq=False, repr=False)
class RunComparison(ShownComparison, Generic[M, D]):
    """Base class: runs on the same ``count`` test images; the first is the baseline of the others.

    ``left_out_counts`` counts, for each run, the test images that are not in all test sets; ``seen_count`` those of all
    test sets that were left out, because one of the runs was trained on them or chosen by them; ``folders`` are
    those of the runs. ``details`` says by name how runs were trained, where they have a report.
    """

    runs: tuple[ComparedRun[M, D], ...]
    count: int
    left_out_counts: Mapping[str, int]
    seen_count: int = 0
    folders: Mapping[str, Path] = field(default_factory=dict)
    details: Mapping[str, RunDetails] = field(default_factory=dict)

    def summarise_metrics(self, metrics: M) -> dict[str, Any]:
        """Return the figures of a run as a JSON object."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as a JSON object."""
        return {
            "count": self.count,
            "left_out": dict(self.left_out_counts),
            "seen": self.seen_count,
            "runs": [
                {
                    "name": run.name,
                    "details": self.details[run.name].to_dict() if run.name in self.details else None,
                    **self.summarise_metrics(run.metrics),
                    "difference": None if run.difference is None else run.difference.to_dict(),
                }
                for run in self.runs
            ],
        }


@dataclass(frozen=True)
class ClassFigure:
    """A figure of one class, 0..1, with the first run (``before``) and with another run (``after``).

    ``support`` is the number of test images (or objects) of the class; a figure is ``None`` where it is not defined.
    """

    name: str
    support: int
    before: float | None
    after: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as a JSON object."""
        return dict(vars(self))


@dataclass(frozen=True)
class ClassFigureDifference(ClassFigure):
    """The figure of a class in two runs, and the difference with its interval.

    The difference is ``None`` where it is not defined in both runs.
    """

    difference: ConfidenceInterval | None

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return {**vars(self), "difference": None if self.difference is None else self.difference.to_dict()}


def decide_outcome(count: int, difference: ConfidenceInterval) -> str:
    """Return ``better``, ``worse``, or ``unclear`` for the ``difference`` of a figure on ``count`` images.

    It is unclear when the interval contains 0, or there are fewer than ``MIN_IMAGES`` images.
    """
    if count < MIN_IMAGES or difference.low <= 0 <= difference.high:
        return "unclear"
    return "better" if difference.value > 0 else "worse"


def compute_class_differences(
    classes: Classes, supports: Sequence[int], figures: tuple[FloatArray, FloatArray], bootstrap: Bootstrap
) -> tuple[ClassFigureDifference, ...]:
    """Return how the figure of each of the C classes differs between two runs, with paired intervals.

    ``figures`` are those of both runs, float64 (1 + R, C) each: on the test set itself, then on the resampled ones of
    ``bootstrap``, the same for both; NaN where they are not defined. ``supports`` are the images of each class.
    """
    before, after = figures
    differences = after - before
    return tuple(
        ClassFigureDifference(
            name,
            supports[i],
            _to_optional(before[0, i]),
            _to_optional(after[0, i]),
            None if np.isnan(differences[0, i]) else bootstrap.compute_difference(differences[:, i]),
        )
        for i, name in enumerate(classes.names)
    )


def _to_optional(value: float) -> float | None:
    """Return ``value``, or ``None`` for NaN."""
    return None if np.isnan(value) else float(value)
