"""What a finished run is told in: a few lines for people, a document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lince.evaluation.figures import percent, percent_range
from lince.evaluation.interval import Interval
from lince.messages import _

if TYPE_CHECKING:
    from lince.training.run import Run


def trained(run: Run, photos: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return the document (``report.json`` with the run's paths) and the lines that tell of a finished run.

    ``photos`` is what the person is told to try the model on.
    """
    report = run.report
    lines = [
        _result(report),
        _("Report: {path}").format(path=run.report_page),
        _("Model: {path}").format(path=run.model),
        _("Try it: lince predict {run} {photos}").format(run=run, photos=photos or _("PHOTO")),
    ]
    paths = {"run": str(run), "report": str(run.report_page), "model_folder": str(run.model)}
    return {**report, **paths}, lines


def _result(report: dict[str, Any]) -> str:
    test = report["test"]
    if report["task"] == "detect":
        found, strict = Interval(**test["map50"]), Interval(**test["map50_95"])
        return _("Test mAP50: {found} ({range}), mAP50-95: {strict}, on {count:,} images").format(
            found=percent(found.value), range=percent_range(found), strict=percent(strict.value), count=test["count"]
        )
    accuracy = Interval(**test["accuracy"])
    return _("Test accuracy: {accuracy} ({range}) on {count:,} images").format(
        accuracy=percent(accuracy.value), range=percent_range(accuracy), count=test["count"]
    )
