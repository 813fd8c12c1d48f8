"""The template variables of a detection report in HTML: charts and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lince.evaluation.report import charts, texts
from lince.evaluation.report.detection import charts as detection_charts
from lince.evaluation.report.detection import texts as detection_texts
from lince.i18n import _

if TYPE_CHECKING:
    from lince.evaluation.report.detection.report import DetectionReport

_MAX_COUNTED_CLASSES = 24  # classes in the bar chart of boxes


def build_context(report: DetectionReport) -> dict[str, Any]:
    """Return the variables of ``detection.html.j2``, besides ``report`` and ``metrics``."""
    metrics = report.metrics
    curves = (charts.draw_loss_curves(report.history), detection_charts.draw_map_curves(report.history))
    names = metrics.classes.names[:_MAX_COUNTED_CLASSES]
    return {
        "task_texts": detection_texts,
        "recipes": texts.build_recipe_table(report.recipes),
        "curves": [chart for chart in curves if chart],
        "epochs": texts.build_epoch_table(report.history),
        "recall": detection_charts.draw_precision_recall(metrics.scores),
        "counts": charts.draw_class_counts(names, report.data.counts, _("Boxes per class")),
    }
