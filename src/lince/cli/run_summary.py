"""The summary of a finished run, as lines and as a JSON document."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lince.cli.console import paint_warning
from lince.cli.text_table import format_table
from lince.fileio import quote_path
from lince.i18n import _
from lince.tasks import get_task
from lince.training.split_warnings import describe_small_test

if TYPE_CHECKING:
    from lince.training.run_folder import TrainingRun


def describe_run(run: TrainingRun, photos: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return the JSON document (``report.json`` with the run's paths) and the lines for a finished run.

    ``photos`` is the path in the example command that uses the model.
    """
    report = run.report
    task = get_task(report["task"])
    lines = [
        *_list_recipe_lines(report["recipes"]),
        task.load_part("cli").describe_test_result(report["test"], task.headline),
        *filter(None, [paint_warning(describe_small_test(report["data"]["splits"].get("test", 0)))]),
        _("Report: {path}").format(path=run.report_page),
        _("Model: {path}").format(path=run.model_folder),
        _("Try it: lince predict {run} {photos}").format(
            run=quote_path(run.folder), photos=quote_path(photos) if photos else _("PHOTO")
        ),
    ]
    paths = {"run": str(run), "report": str(run.report_page), "model_folder": str(run.model_folder)}
    return {**report, **paths}, lines


def _list_recipe_lines(records: list[dict[str, Any]]) -> list[str]:
    """Return the table of the recipes of ``--recipe all`` and which one was kept; nothing where one was trained.

    ``records`` are the rows of ``report.json``.
    """
    if not records:
        return []
    # Imported only where there is a table: the report's templates take longer to load than the help of lince train.
    from lince.evaluation.report.facts import RecipeResult  # noqa: PLC0415
    from lince.evaluation.report.texts import build_recipe_table, translate_recipe  # noqa: PLC0415

    rows = [RecipeResult.from_dict(record) for record in records]
    # The check mark of the page is no character of every terminal; a line names the recipe instead.
    table = build_recipe_table([replace(row, chosen=False) for row in rows])
    kept = ", ".join(translate_recipe(row.name) for row in rows if row.chosen)
    return [*format_table(table.header, table.rows), "", _("Kept: {name}").format(name=kept)]
