"""What a finished run is told in: a few lines for people, a document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lince.i18n import _
from lince.tasks import get_task

if TYPE_CHECKING:
    from lince.training.run_folder import TrainingRun


def describe_run(run: TrainingRun, photos: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return the document (``report.json`` with the run's paths) and the lines that tell of a finished run.

    ``photos`` is what the person is told to try the model on.
    """
    report = run.report
    task = get_task(report["task"])
    lines = [
        task.load_part("cli").describe_test_result(report["test"], task.headline),
        _("Report: {path}").format(path=run.report_page),
        _("Model: {path}").format(path=run.model_folder),
        _("Try it: lince predict {run} {photos}").format(run=run, photos=photos or _("PHOTO")),
    ]
    paths = {"run": str(run), "report": str(run.report_page), "model_folder": str(run.model_folder)}
    return {**report, **paths}, lines
