"""What a finished run is told in: a few lines for people, a document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lince.evaluation.confidence import ConfidenceInterval
from lince.i18n import _
from lince.number_format import format_percent, format_percent_range

if TYPE_CHECKING:
    from lince.training.run_folder import TrainingRun


def describe_run(run: TrainingRun, photos: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return the document (``report.json`` with the run's paths) and the lines that tell of a finished run.

    ``photos`` is what the person is told to try the model on.
    """
    report = run.report
    lines = [
        _result_line(report),
        _("Report: {path}").format(path=run.report_page),
        _("Model: {path}").format(path=run.model_folder),
        _("Try it: lince predict {run} {photos}").format(run=run, photos=photos or _("PHOTO")),
    ]
    paths = {"run": str(run), "report": str(run.report_page), "model_folder": str(run.model_folder)}
    return {**report, **paths}, lines


def _result_line(report: dict[str, Any]) -> str:
    test = report["test"]
    if report["task"] == "detect":
        found, strict = ConfidenceInterval(**test["map50"]), ConfidenceInterval(**test["map50_95"])
        return _("Test mAP50: {found} ({range}), mAP50-95: {strict}, on {count:,} images").format(
            found=format_percent(found.value),
            range=format_percent_range(found.low, found.high),
            strict=format_percent(strict.value),
            count=test["count"],
        )
    accuracy = ConfidenceInterval(**test["accuracy"])
    return _("Test accuracy: {accuracy} ({range}) on {count:,} images").format(
        accuracy=format_percent(accuracy.value),
        range=format_percent_range(accuracy.low, accuracy.high),
        count=test["count"],
    )
