"""The report for programs: ``report.json``, whose names scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from lince import files
from lince.evaluation.report.detected import DetectionReport
from lince.evaluation.report.record import Report
from lince.version import __version__

FORMAT = 1


def document(report: Report | DetectionReport) -> dict[str, Any]:
    """Return ``report`` as JSON values: no NaN, no pictures."""
    record = {
        "format": FORMAT,
        "lince": __version__,
        "made": report.made.isoformat(timespec="seconds"),
        "title": report.title,
        "task": report.task,
        "recipe": report.recipe,
        "test": report.metrics.record(),
        **_learnt(report),
        "recipes": [row.record() for row in report.recipes],
        "diagnosis": [finding.record() for finding in report.findings],
        "history": [dict(epoch) for epoch in report.history],
        "data": report.data.record(),
        "model": report.model.record(),
        "timings": dict(report.timings),
        "config": dict(report.config),
        "environment": dict(report.environment),
        "notes": list(report.notes),
    }
    cleaned: dict[str, Any] = _finite(record)
    return cleaned


def write_json(report: Report | DetectionReport, path: Path) -> None:
    """Write ``report`` to ``path`` as JSON, whole or not at all."""
    files.write_json(Path(path), document(report))


def _learnt(report: Report | DetectionReport) -> dict[str, Any]:
    if isinstance(report, DetectionReport):
        return {"train": {"boxes": dict(report.train_boxes)}, "val": {"map50_95": report.val_headline}}
    return {"train": {"accuracy": report.train_accuracy}, "val": {"accuracy": report.val_accuracy}}


def _finite(value: Any) -> Any:
    """Return ``value`` with every number that JSON cannot hold (a diverged loss) as null."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
