"""The template variables of a detection report in HTML: charts and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lince.evaluation.report import charts, texts
from lince.evaluation.report.confusion_matrix import MatrixView, build_matrix_view
from lince.evaluation.report.detection import charts as detection_charts
from lince.evaluation.report.threshold_charts import choose_drawn_classes
from lince.i18n import _

if TYPE_CHECKING:
    from lince.evaluation.report.detection.report import DetectionReport

_MAX_COUNTED_CLASSES = 24  # classes in the bar chart of boxes


def build_context(report: DetectionReport) -> dict[str, Any]:
    """Return the variables of ``detection.html.j2``, besides ``report`` and ``metrics``."""
    metrics = report.metrics
    best_epoch = charts.find_best_epoch(report.history, str(report.config.get("monitor", report.monitor)))
    curves = (
        charts.draw_loss_curves(report.history, best_epoch),
        detection_charts.draw_map_curves(report.history, best_epoch),
        detection_charts.draw_loss_parts(report.history),
        detection_charts.draw_hit_curves(report.history),
        charts.draw_rate_curve(report.history),
    )
    precision_recall = detection_charts.draw_precision_recall(metrics.scores)
    drawn = choose_drawn_classes(metrics.scores)
    with_objects = sum(score.support > 0 for score in metrics.scores)
    names = metrics.classes.names[:_MAX_COUNTED_CLASSES]
    return {
        "task_texts": report.texts,
        "recipes": texts.build_recipe_table(report.recipes),
        "curves": [chart for chart in curves if chart],
        "epochs": texts.build_epoch_table(report.history),
        "unit_charts": [
            *detection_charts.draw_confidence_charts(metrics.scores),
            *([precision_recall] if precision_recall else []),
        ],
        "undrawn": len(drawn) if with_objects > len(drawn) else 0,
        "counts": charts.draw_class_counts(names, report.data.counts, _("Boxes per class"), _("Boxes")),
        "matrix": _build_matrix(report),
    }


def _build_matrix(report: DetectionReport) -> MatrixView:
    """Return the confusion matrix: its last row is the background, its last column what was missed."""
    classes = report.metrics.classes.names
    return build_matrix_view(
        report.metrics.confusion,
        ((*classes, _("background")), (*classes, _("missed"))),
        report.images.cells,
        _("Values: number of objects."),
        frozenset({len(classes)}),
    )
