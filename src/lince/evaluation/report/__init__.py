"""A run told to people and programs: the record that the trainer fills, and the writers."""

from lince.evaluation.report.document import document, write_json
from lince.evaluation.report.record import DataFacts, ModelFacts, Picture, Pictures, RecipeRow, Report

__all__ = [
    "DataFacts",
    "ModelFacts",
    "Picture",
    "Pictures",
    "RecipeRow",
    "Report",
    "document",
    "write_json",
]
