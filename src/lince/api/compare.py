"""Compares training runs on their common test images: ``lince.compare``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lince.errors import DataError, TrainingError, UsageError
from lince.evaluation.report.facts import RunDetails
from lince.fileio import quote_path
from lince.i18n import _
from lince.tasks import load_predictions
from lince.training.run_folder import PREDICTIONS_FILE, TrainingRun
from lince.training.seen_images import find_keys_to_leave_out


def compare(
    runs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *others: str | os.PathLike[str],
    shared_only: bool = False,
) -> Any:
    """Return the comparison of ``runs`` on their common test images; the first run is the baseline of the others.

    ``runs`` is a list of paths or runs, or the first of them, with the ``others`` after it.

    The result is the ``Comparison`` of the task, with ``to_dict()`` and ``build_view()``. All runs must be of one task.
    ``shared_only`` compares on the images that all test sets have, where they differ. Common images that one of the
    runs was trained on, or chosen by, are left out and counted (``seen_count``).

    Raises ``UsageError`` for fewer than two runs or a run without predictions, and ``DataError`` for several tasks,
    different classes, or different test sets without ``shared_only``.
    """
    runs = [*([runs] if isinstance(runs, (str, os.PathLike)) else runs), *others]
    if len(runs) < 2:
        raise UsageError(_("There is only one training run to compare."), _("Expected two or more."))
    tasks_and_predictions = {_run_label(run, runs): load_predictions(_find_predictions_file(Path(run))) for run in runs}
    tasks = {task.name: task for task, _predictions in tasks_and_predictions.values()}
    if len(tasks) > 1:
        labels = [f"{name} ({task.title})" for name, (task, _predictions) in tasks_and_predictions.items()]
        raise DataError(
            _("The training runs are for different tasks: {runs}.").format(runs=", ".join(labels)),
            _("Expected runs for the same task."),
            _("Compare detectors with detectors, and classifiers with classifiers."),
        )
    (task,) = tasks.values()
    predictions = {name: loaded for name, (_task, loaded) in tasks_and_predictions.items()}
    seen_keys = frozenset[str]().union(*(find_keys_to_leave_out(Path(run)) for run in runs))
    seen_keys &= frozenset.intersection(*(frozenset(item.keys) for item in predictions.values()))
    details = {_run_label(run, runs): found for run in runs if (found := _read_details(Path(run))) is not None}
    unseen = {name: _leave_out(loaded, seen_keys) for name, loaded in predictions.items()} if seen_keys else predictions
    comparison = task.load_part("compare")(unseen, shared_only=shared_only)
    folders = {_run_label(run, runs): Path(run) for run in runs}
    known = {field.name for field in fields(comparison)}
    added = {"seen_count": len(seen_keys), "details": details, "folders": folders}
    return replace(comparison, **{name: value for name, value in added.items() if name in known and value})


def _read_details(run: Path) -> RunDetails | None:
    """Return how ``run`` was trained; ``None`` where it has no report, as a folder of ``lince evaluate``."""
    try:
        return RunDetails.from_report(TrainingRun(run).report)
    except TrainingError:
        return None


def _leave_out(predictions: Any, seen_keys: frozenset[str]) -> Any:
    """Return ``predictions`` without those for images with a content digest in ``seen_keys``.

    Raises ``DataError`` when none is left.
    """
    rows = [row for row, key in enumerate(predictions.keys) if key not in seen_keys]
    if rows:
        return predictions.select(rows)
    raise DataError(
        _("All {count:,} common test images trained one of the runs or were its validation images.").format(
            count=len(seen_keys)
        ),
        _("Expected test images that are new to every run."),
        _("Run lince evaluate for each run on photos that none of them has seen, and compare these."),
    )


def _find_predictions_file(run: Path) -> Path:
    """Return the predictions file of ``run``; raise ``UsageError`` when it has none."""
    path = run / PREDICTIONS_FILE
    if not path.is_file():
        raise UsageError(
            _("There is no {name} in {run}.").format(name=PREDICTIONS_FILE, run=run),
            _("Expected a finished run."),
            _("If it was interrupted, continue it with: lince train --resume {run}").format(run=quote_path(run)),
        )
    return path


def _run_label(run: str | os.PathLike[str], runs: Sequence[str | os.PathLike[str]]) -> str:
    """Return the folder name of ``run``, or its whole path where another of ``runs`` has the same name."""
    path = Path(run)
    namesakes = [candidate for candidate in runs if Path(candidate).name == path.name]
    return path.name if len(namesakes) == 1 else str(path)
