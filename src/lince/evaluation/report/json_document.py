"""Writes ``report.json``, the report for programs; its keys are a stable interface."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from lince import fileio
from lince.evaluation.report.report import Report
from lince.version import __version__

FORMAT_VERSION = 1


def report_to_dict(report: Report) -> dict[str, Any]:
    """Return ``report`` as a JSON object, without images; NaN and infinity become null.

    ``test`` holds the metrics, ``train`` and ``val`` those of the other splits, ``diagnosis`` the findings. ``format``
    is the version of these keys, and ``made`` the local time in ISO 8601.
    """
    record = {
        "format": FORMAT_VERSION,
        "lince": __version__,
        "made": report.created_at.isoformat(timespec="seconds"),
        "title": report.title,
        "task": report.task,
        "recipe": report.recipe,
        "test": report.metrics.to_dict(),
        **report.summarise_train_val(),
        "recipes": [row.to_dict() for row in report.recipes],
        "diagnosis": [finding.to_dict() for finding in report.findings],
        "history": [dict(epoch) for epoch in report.history],
        "data": report.data.to_dict(),
        "model": report.model.to_dict(),
        "timings": dict(report.timings),
        "config": dict(report.config),
        "environment": dict(report.environment),
        "notes": list(report.notes),
    }
    cleaned: dict[str, Any] = _nan_to_none(record)
    return cleaned


def write_json(report: Report, path: Path) -> None:
    """Write ``report`` to ``path`` as JSON, atomically."""
    fileio.write_json(Path(path), report_to_dict(report))


def _nan_to_none(value: Any) -> Any:
    """Return ``value`` with NaN and infinity, which JSON does not have, as ``None``."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nan_to_none(item) for item in value]
    return value
