"""A run told to people and programs: the record that the trainer fills, and the writers."""

from lince.evaluation.report.detected import DetectionPicture, DetectionPictures, DetectionReport
from lince.evaluation.report.document import document, write_json
from lince.evaluation.report.markdown import render_markdown, write_markdown
from lince.evaluation.report.page import render_comparison, render_html, write_html
from lince.evaluation.report.record import DataFacts, ModelFacts, Picture, Pictures, RecipeRow, Report
from lince.evaluation.report.side_by_side import (
    SideBySide,
    compared_classes,
    compared_runs,
    render_comparison_markdown,
    side_by_side,
    verdicts,
)

__all__ = [
    "DataFacts",
    "DetectionPicture",
    "DetectionPictures",
    "DetectionReport",
    "ModelFacts",
    "Picture",
    "Pictures",
    "RecipeRow",
    "Report",
    "SideBySide",
    "compared_classes",
    "compared_runs",
    "document",
    "render_comparison",
    "render_comparison_markdown",
    "render_html",
    "render_markdown",
    "side_by_side",
    "verdicts",
    "write_html",
    "write_json",
    "write_markdown",
]
