"""Shows an evaluation in a notebook: its figures, its classes, and its errors as pictures."""

from __future__ import annotations

from lince.api.evaluate import EvaluationResult
from lince.i18n import _
from lince.notebook.examples import list_class_tables, list_galleries, shorten_table
from lince.notebook.shown_object import ShownObject
from lince.option_phrases import reword_for_python
from lince.tasks import get_task

_MAX_CLASSES = 30


def render_evaluation(evaluation: EvaluationResult) -> str:
    """Return ``evaluation`` as HTML in the current language."""
    task, test = get_task(evaluation.task), evaluation.metrics.to_dict()
    notes = filter(None, (evaluation.seen.note, evaluation.seen.warning))
    return ShownObject(
        kind=_("Evaluation"),
        lines=[
            task.load_part("cli").list_metric_lines(evaluation.metrics)[0],
            evaluation.summary,
            *map(reword_for_python, notes),
        ],
        tables=[(title, shorten_table(table, _MAX_CLASSES)) for title, table in list_class_tables(task, test)],
        galleries=list_galleries(task, evaluation.dataset, evaluation.predictions, test),
    ).render()
