"""The template variables of a classification report in HTML: charts, tables and the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lince.evaluation.class_scores import ClassScore
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.report import charts, texts, threshold_charts
from lince.evaluation.report.charts import round_track_start
from lince.evaluation.report.classification import head_charts
from lince.evaluation.report.classification import texts as classification_texts
from lince.evaluation.report.confusion_matrix import MAX_OPEN_MATRIX_CLASSES, build_matrix_view
from lince.evaluation.report.facts import DataSummary
from lince.i18n import _

if TYPE_CHECKING:
    from lince.evaluation.report.classification.report import ClassificationReport

MAX_TABLE_ROWS = 20  # rows of the class table; the other classes are collapsed
_MAX_EDGE_CLASSES = 12  # of the smallest and of the largest classes, where there are too many for a chart


def build_context(report: ClassificationReport) -> dict[str, Any]:
    """Return the variables of ``classification.html.j2``, besides ``report`` and ``metrics``."""
    metrics = report.metrics
    majority_name, majority_fraction = metrics.majority_class
    best_epoch = charts.find_best_epoch(report.history, str(report.config.get("monitor", "val_loss")))
    curves = (
        charts.draw_loss_curves(report.history, best_epoch),
        charts.draw_accuracy_curves(report.history, best_epoch),
        charts.draw_rate_curve(report.history),
    )
    hidden = max(len(metrics.classes) - 2 * _MAX_EDGE_CLASSES, 0)
    return {
        "task_texts": classification_texts,
        "headline": charts.draw_accuracy_bar(
            metrics.accuracy, majority_fraction, _("baseline: always “{name}”").format(name=majority_name)
        ),
        "curves": [chart for chart in curves if chart],
        "epochs": texts.build_epoch_table(report.history),
        "recipes_from": round_track_start(row.test.low for row in report.recipes if row.test),
        "scores": sorted(metrics.scores, key=_weakest_first_key),
        "track_from": _track_start(metrics),
        "shown_rows": MAX_TABLE_ROWS,
        "reliability": charts.draw_reliability_diagram(metrics.calibration),
        "confidence": metrics.confidence_curve and threshold_charts.draw_abstention(metrics.confidence_curve),
        "head_charts": head_charts.draw_head_charts(report.head),
        "matrix": build_matrix_view(
            metrics.confusion,
            (metrics.classes.names, metrics.classes.names),
            report.images.cells,
            _("Values: number of images."),
        ),
        "counts": charts.draw_class_counts(_chart_class_names(report.data, metrics), report.data.counts),
        "uncounted": hidden if len(metrics.classes) > MAX_OPEN_MATRIX_CLASSES else 0,
    }


def _weakest_first_key(score: ClassScore) -> tuple[bool, float, str]:
    """Return the key that sorts classes by F1, the lowest first; classes without F1 come last."""
    return (score.f1 is None, score.f1.value if score.f1 else 0.0, score.name)


def _track_start(metrics: ClassificationMetrics) -> float:
    """Return where the bars of the class table start, below the lowest bound of all intervals, in 0..1."""
    return round_track_start([score.f1.low for score in metrics.scores if score.f1] + [metrics.accuracy.low])


def _chart_class_names(data: DataSummary, metrics: ClassificationMetrics) -> list[str]:
    """Return the classes for the bar chart of counts, the largest first.

    With more than ``MAX_OPEN_MATRIX_CLASSES`` only the largest and the smallest.
    """
    names = list(metrics.classes.names)
    names.sort(key=lambda name: -sum(counts.get(name, 0) for counts in data.counts.values()))
    return names if len(names) <= MAX_OPEN_MATRIX_CLASSES else names[:_MAX_EDGE_CLASSES] + names[-_MAX_EDGE_CLASSES:]
