"""The sections of a classification report in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report import markdown
from lince.evaluation.report.classification import texts
from lince.evaluation.report.markdown import escape_markdown, render_table
from lince.i18n import _
from lince.number_format import format_count, format_percent

if TYPE_CHECKING:
    from lince.evaluation.report.classification.report import ClassificationReport

_MAX_MATRIX_CLASSES = 20  # a wider table is not readable as text
_MAX_MISTAKES = 20


def list_sections(report: ClassificationReport) -> list[str]:
    """Return the sections in their order; an empty text is a section that is left out."""
    headline = format_percent(report.metrics.accuracy.value)
    sentences = f"{texts.summarise_result(report)} {texts.describe_expected_range(report)}"
    return [
        markdown.render_header(report, headline, sentences, texts.list_key_figures(report)),
        _mistake_section(report),
        markdown.render_diagnosis(report),
        markdown.render_recipes(report),
        markdown.render_history(report),
        _class_section(report),
        _confusion_section(report),
        markdown.render_data(report),
        markdown.render_usage(report, texts.describe_prediction()),
        markdown.render_model(report),
    ]


def _mistake_section(report: ClassificationReport) -> str:
    """Return the section of the errors, with the most confident ones in a table."""
    lines = ["## " + _("Errors"), escape_markdown(texts.describe_errors(report))]
    if report.images.worst:
        header = (_("most confident errors"), _("true class"), _("prediction"), _("probability"))
        rows = [
            (image.caption, image.truth, image.predicted, format_percent(image.probability))
            for image in report.images.worst
        ]
        lines.append(render_table(header, rows, left=3))
    return "\n\n".join(lines)


def _class_section(report: ClassificationReport) -> str:
    """Return the section of the metrics, class by class and overall."""
    header = (_("class"), _("test images"), _("precision"), _("recall"), "F1")
    rows = []
    for score in report.metrics.scores:
        figures = [format_percent(item.value if item else None) for item in (score.precision, score.recall, score.f1)]
        rows.append((score.name, format_count(score.support), *figures))
    overall = render_table((_("metric"), _("value")), texts.list_overall_figures(report))
    return "\n\n".join(["## " + _("Metrics per class"), render_table(header, rows), overall])


def _confusion_section(report: ClassificationReport) -> str:
    """Return the section of the confusion matrix.

    With more than ``_MAX_MATRIX_CLASSES`` classes the most frequent errors are listed instead.
    """
    metrics = report.metrics
    title = "## " + _("Confusion matrix")
    if len(metrics.classes) > _MAX_MATRIX_CLASSES:
        header = (_("true class"), _("prediction"), _("images"), _("fraction of the class"))
        pairs = texts.list_worst_confusions(report, _MAX_MISTAKES)
        return (
            title
            + "\n\n"
            + render_table(header, [(p.truth, p.predicted, p.count, format_percent(p.rate)) for p in pairs], left=2)
        )
    names = metrics.classes.names
    rows = [(name, *counts) for name, counts in zip(names, metrics.confusion.tolist(), strict=True)]
    explanation = _("Rows: true class. Columns: predicted class.") + " " + _("Values: number of images.")
    return "\n\n".join([title, explanation, render_table((_("true class"), *names), rows)])
