"""Shows a training run in a notebook: its test result, its diagnosis, its classes, and its errors as pictures."""

from __future__ import annotations

from typing import Any

from lince.evaluation.report.texts import NamedTexts, translate_recipe
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.notebook.examples import list_class_tables, list_galleries, reopen_run_data, shorten_table
from lince.notebook.shown_object import ShownObject
from lince.number_format import format_count, format_duration
from lince.tasks import get_task, load_predictions
from lince.training.run_folder import PREDICTIONS_FILE, TrainingRun

_MAX_FINDINGS, _MAX_CLASSES = 3, 12


def render_run(run: TrainingRun) -> str:
    """Return ``run`` as HTML in the current language, what its report says in that of the report."""
    if not run.is_finished:
        return _render_unfinished(run)
    report = run.report
    task, test = get_task(report["task"]), report["test"]
    tables = [(title, shorten_table(table, _MAX_CLASSES)) for title, table in list_class_tables(task, test)]
    path = run.folder / PREDICTIONS_FILE
    predictions = load_predictions(path)[1] if path.is_file() else None
    dataset = None if predictions is None else reopen_run_data(run)
    return ShownObject(
        kind=_("Training run"),
        name=str(run),
        lines=[task.load_part("cli").describe_test_result(test, task.headline)],
        facts=_list_facts(report),
        findings=[_read_finding(record) for record in report["diagnosis"][:_MAX_FINDINGS]],
        tables=tables,
        galleries=list_galleries(task, dataset, predictions, test),
        footer=[_("Report: {path}").format(path=run.report_page)],
    ).render()


def _render_unfinished(run: TrainingRun) -> str:
    """Return what is known of a run that has no report yet."""
    return ShownObject(
        kind=_("Training run"),
        name=str(run),
        lines=[
            _("It has not finished; epochs so far: {count}.").format(count=format_count(run.finished_epoch_count)),
            _("Continue it with: {line}").format(line=f'lince.resume("{run}")'),
        ],
    ).render()


def _list_facts(report: dict[str, Any]) -> NamedTexts:
    """Return recipe, network, data and duration of a run as (name, value)."""
    splits = report["data"]["splits"]
    return [
        (_("recipe"), translate_recipe(report["recipe"])),
        (_("network"), report["model"]["name"]),
        (_("training images"), format_count(splits.get("train", 0))),
        (_("total time"), format_duration(report["timings"].get("total", 0.0))),
    ]


def _read_finding(record: dict[str, Any]) -> Finding:
    """Return a finding of ``report.json``."""
    severity = Severity[record["severity"].upper()]
    return Finding(record["code"], severity, record["title"], record["text"], tuple(record["advice"]))
