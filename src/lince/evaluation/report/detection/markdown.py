"""The sections of a detection report in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.report import markdown
from lince.evaluation.report.markdown import render_table
from lince.i18n import _
from lince.number_format import format_percent

if TYPE_CHECKING:
    from lince.evaluation.report.detection.report import DetectionReport


def list_sections(report: DetectionReport) -> list[str]:
    """Return the sections in their order; an empty text is a section that is left out."""
    texts = report.texts
    headline = f"{report.metrics.name_map('50')} {format_percent(report.metrics.map50.value)}"
    sentences = f"{texts.summarise_result(report)} {texts.describe_expected_range(report)}"
    return [
        markdown.render_header(report, headline, sentences, texts.list_key_figures(report)),
        markdown.render_diagnosis(report),
        markdown.render_recipes(report),
        markdown.render_history(report),
        _detection_tables(report),
        _worst_image_section(report),
        markdown.render_data(report),
        markdown.render_usage(report, texts.describe_prediction()),
        markdown.render_model(report),
    ]


def _detection_tables(report: DetectionReport) -> str:
    """Return the sections of the tables: classes, object sizes, kinds of error, confusion matrix."""
    sections, texts = [], report.texts
    for title, table in (
        (_("Metrics per class"), texts.build_class_table(report)),
        (_("By size"), texts.build_size_table(report)),
        (_("Errors"), texts.build_error_table(report)),
        (_("Confusion matrix"), texts.build_confusion_table(report)),
    ):
        sections.append("## " + title + "\n\n" + render_table(table.header, table.rows))
    return "\n\n".join(sections)


def _worst_image_section(report: DetectionReport) -> str:
    """Return the section of the images with most errors; empty where there are none."""
    table = report.texts.build_worst_image_table(report)
    return (
        "## " + _("Images with most errors") + "\n\n" + render_table(table.header, table.rows, 2) if table.rows else ""
    )
