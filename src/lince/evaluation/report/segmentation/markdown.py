"""The sections of the report of a model of semantic segmentation in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report import markdown
from lince.evaluation.report.markdown import escape_markdown, render_table
from lince.evaluation.report.segmentation import texts
from lince.i18n import _
from lince.number_format import format_percent

if TYPE_CHECKING:
    from lince.evaluation.report.segmentation.report import SegmentationReport

_MAX_MATRIX_CLASSES = 20  # a wider table is not readable as text


def list_sections(report: SegmentationReport) -> list[str]:
    """Return the sections in their order; an empty text is a section that is left out."""
    sentences = f"{texts.summarise_result(report)} {texts.describe_expected_range(report)}"
    headline = f"mIoU {format_percent(report.metrics.miou.value)}"
    return [
        markdown.render_header(report, headline, sentences, texts.list_key_figures(report)),
        _error_section(report),
        markdown.render_diagnosis(report),
        markdown.render_recipes(report),
        markdown.render_history(report),
        _class_section(report),
        _confusion_section(report),
        markdown.render_data(report),
        markdown.render_usage(report, texts.describe_prediction()),
        markdown.render_model(report),
    ]


def _error_section(report: SegmentationReport) -> str:
    """Return the section of the errors, with the worst images in a table."""
    lines = ["## " + _("Errors"), escape_markdown(texts.describe_errors(report.metrics))]
    if report.images.worst:
        table = texts.build_worst_image_table(report)
        lines.append(render_table(table.header, table.rows))
    return "\n\n".join(lines)


def _class_section(report: SegmentationReport) -> str:
    """Return the section of the metrics, class by class and overall."""
    table = texts.build_class_table(report.metrics)
    overall = render_table((_("metric"), _("value")), texts.list_overall_figures(report))
    said = [escape_markdown(texts.describe_mean(report.metrics)), texts.describe_void(report.metrics)]
    parts = ["## " + _("Metrics per class"), render_table(table.header, table.rows), " ".join(filter(None, said))]
    return "\n\n".join([*parts, overall])


def _confusion_section(report: SegmentationReport) -> str:
    """Return the section of the confused pixels; empty where there are too many classes for a table."""
    if len(report.metrics.classes) > _MAX_MATRIX_CLASSES:
        return ""
    table = texts.build_confusion_table(report.metrics)
    return "\n\n".join(
        [
            "## " + _("Confusion matrix"),
            _("Rows: true class. Columns: predicted class.") + " " + _("Values: percentage of the true class."),
            render_table(table.header, table.rows),
        ]
    )
