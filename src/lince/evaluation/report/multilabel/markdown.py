"""The sections of the report of a multilabel model in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report import markdown
from lince.evaluation.report.markdown import escape_markdown, render_table
from lince.evaluation.report.multilabel import texts
from lince.i18n import _
from lince.number_format import MISSING_VALUE, format_percent

if TYPE_CHECKING:
    from lince.evaluation.report.multilabel.report import MultilabelReport

_MAX_TOGETHER_CLASSES = 20  # a wider table is not readable as text


def list_sections(report: MultilabelReport) -> list[str]:
    """Return the sections in their order; an empty text is a section that is left out."""
    sentences = f"{texts.summarise_result(report)} {texts.describe_expected_range(report)}"
    headline = f"mAP {format_percent(report.metrics.map.value)}"
    return [
        markdown.render_header(report, headline, sentences, texts.list_key_figures(report)),
        _error_section(report),
        markdown.render_diagnosis(report),
        markdown.render_recipes(report),
        markdown.render_history(report),
        _class_section(report),
        _together_section(report),
        markdown.render_data(report),
        markdown.render_usage(report, texts.describe_prediction()),
        markdown.render_model(report),
    ]


def _error_section(report: MultilabelReport) -> str:
    """Return the section of the errors, with the worst images in a table."""
    lines = ["## " + _("Errors"), escape_markdown(texts.describe_errors(report))]
    if report.images.worst:
        header = (_("images with most errors"), _("missing"), _("said, but not there"), _("right"))
        rows = [
            (image.caption, *(", ".join(names) or MISSING_VALUE for names in (image.missing, image.extra, image.found)))
            for image in report.images.worst
        ]
        lines.append(render_table(header, rows, left=4))
    return "\n\n".join(lines)


def _class_section(report: MultilabelReport) -> str:
    """Return the section of the metrics, class by class and overall."""
    table = texts.build_class_table(list(report.metrics.scores))
    overall = render_table((_("metric"), _("value")), texts.list_overall_figures(report))
    return "\n\n".join(["## " + _("Metrics per class"), render_table(table.header, table.rows), overall])


def _together_section(report: MultilabelReport) -> str:
    """Return the section of the classes that go together; a sentence where there are too many classes for a table."""
    metrics = report.metrics
    lines = ["## " + _("Classes that go together"), texts.describe_empty(metrics)]
    if len(metrics.classes) <= _MAX_TOGETHER_CLASSES:
        lines.append(_("Test images that have both classes by their labels / by the predictions."))
        rows = [
            (name, *(f"{truth} / {said}" for truth, said in zip(truths, predicted, strict=True)))
            for name, truths, predicted in zip(
                metrics.classes.names, metrics.together.tolist(), metrics.predicted_together.tolist(), strict=True
            )
        ]
        lines.append(render_table((_("class"), *metrics.classes.names), rows))
    return "\n\n".join(lines)
