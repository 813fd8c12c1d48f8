"""Reports of training runs and comparisons: their content as dataclasses, and writers of HTML, Markdown and JSON."""

from lince.evaluation.report.classification.comparison_view import (
    build_classifier_table,
    build_recall_table,
    describe_outcomes,
)
from lince.evaluation.report.classification.report import (
    ClassificationReport,
    ClassificationReportImage,
    ClassificationReportImages,
)
from lince.evaluation.report.comparison_view import ComparisonView, render_comparison_markdown
from lince.evaluation.report.detection.report import DetectionReport, DetectionReportImage, DetectionReportImages
from lince.evaluation.report.facts import DataSummary, MatrixCell, MatrixPhoto, ModelFacts, RecipeResult
from lince.evaluation.report.html import render_comparison_html, render_html, write_html
from lince.evaluation.report.json_document import report_to_dict, write_json
from lince.evaluation.report.markdown import render_markdown, write_markdown
from lince.evaluation.report.multilabel.report import (
    MultilabelReport,
    MultilabelReportImage,
    MultilabelReportImages,
)
from lince.evaluation.report.report import Report
from lince.evaluation.report.segmentation.report import (
    SegmentationReport,
    SegmentationReportImage,
    SegmentationReportImages,
)

__all__ = [
    "ClassificationReport",
    "ClassificationReportImage",
    "ClassificationReportImages",
    "ComparisonView",
    "DataSummary",
    "DetectionReport",
    "DetectionReportImage",
    "DetectionReportImages",
    "MatrixCell",
    "MatrixPhoto",
    "ModelFacts",
    "MultilabelReport",
    "MultilabelReportImage",
    "MultilabelReportImages",
    "RecipeResult",
    "Report",
    "SegmentationReport",
    "SegmentationReportImage",
    "SegmentationReportImages",
    "build_classifier_table",
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
