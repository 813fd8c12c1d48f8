"""Measures by how much test images that are copies of training images flatter a model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lince.errors import DataError
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.diagnosis.leak import LeakSummary
from lince.evaluation.report import Report
from lince.progress import Progress
from lince.training.recipe import RecipeContext

MetricFunction = Callable[[NDArray[np.int64]], ConfidenceInterval]


def measure_leak(
    context: RecipeContext, name: str, measured: ConfidenceInterval, measure: MetricFunction
) -> LeakSummary | None:
    """Return what the leaking test images do to the figure called ``name``; ``None`` where none leaks.

    ``measured`` is the figure on all test images. ``measure`` returns it for the test images at given places, int64
    (K,), and raises ``DataError`` where it cannot be measured on them.
    """
    if context.division is None or context.test_groups is None:
        return None
    leaking = context.division.leaking_test_rows
    clean = np.flatnonzero(~np.isin(context.test_rows, leaking)).astype(np.int64)
    if not len(leaking):
        return None
    try:
        clean_figure = measure(clean) if len(clean) else None
    except DataError:
        clean_figure = None
    counts = context.division.count_leaks()
    return LeakSummary(name, len(leaking), len(context.test_rows), measured, clean_figure, counts)


def describe_division(context: RecipeContext) -> list[str]:
    """Return the sentences for the report that tell which images were kept together."""
    return [] if context.division is None else context.division.describe()


def show_leak(report: Report, progress: Progress) -> None:
    """Show the finding on leaking test images, if there is one."""
    for finding in report.findings:
        if finding.code == "leak":
            progress.show_message(finding.text)
