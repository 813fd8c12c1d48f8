"""The report for programs: ``report.json``, whose names scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from lince import fileio
from lince.evaluation.report.classification.report import ClassificationReport
from lince.evaluation.report.detection.report import DetectionReport
from lince.version import __version__

FORMAT = 1


def report_to_dict(report: ClassificationReport | DetectionReport) -> dict[str, Any]:
    """Return ``report`` as JSON values: no NaN, no pictures."""
    record = {
        "format": FORMAT,
        "lince": __version__,
        "made": report.created_at.isoformat(timespec="seconds"),
        "title": report.title,
        "task": report.task,
        "recipe": report.recipe,
        "test": report.metrics.to_dict(),
        **_train_val_figures(report),
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


def write_json(report: ClassificationReport | DetectionReport, path: Path) -> None:
    """Write ``report`` to ``path`` as JSON, whole or not at all."""
    fileio.write_json(Path(path), report_to_dict(report))


def _train_val_figures(report: ClassificationReport | DetectionReport) -> dict[str, Any]:
    if isinstance(report, DetectionReport):
        return {"train": {"boxes": dict(report.train_boxes)}, "val": {"map50_95": report.val_primary_metric}}
    return {"train": {"accuracy": report.train_accuracy}, "val": {"accuracy": report.val_accuracy}}


def _nan_to_none(value: Any) -> Any:
    """Return ``value`` with every number that JSON cannot hold (a diverged loss) as null."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nan_to_none(item) for item in value]
    return value
