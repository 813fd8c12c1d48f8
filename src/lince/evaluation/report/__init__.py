"""A run told to people and programs: the record that the trainer fills, and the writers."""

from lince.evaluation.report.classification.report import (
    ClassificationReport,
    DataSummary,
    ModelSummary,
    RecipeResult,
    ReportImage,
    ReportImages,
)
from lince.evaluation.report.comparison_view import (
    ComparisonView,
    build_classifier_table,
    build_comparison_view,
    build_recall_table,
    describe_outcomes,
    render_comparison_markdown,
)
from lince.evaluation.report.detection.report import DetectionReport, DetectionReportImage, DetectionReportImages
from lince.evaluation.report.html import render_comparison_html, render_html, write_html
from lince.evaluation.report.json_document import report_to_dict, write_json
from lince.evaluation.report.markdown import render_markdown, write_markdown

__all__ = [
    "ClassificationReport",
    "ComparisonView",
    "DataSummary",
    "DetectionReport",
    "DetectionReportImage",
    "DetectionReportImages",
    "ModelSummary",
    "RecipeResult",
    "ReportImage",
    "ReportImages",
    "build_classifier_table",
    "build_comparison_view",
    "build_recall_table",
    "describe_outcomes",
    "render_comparison_html",
    "render_comparison_markdown",
    "render_html",
    "render_markdown",
    "report_to_dict",
    "write_html",
    "write_json",
    "write_markdown",
]
