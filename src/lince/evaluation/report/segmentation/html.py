"""The template variables of the report of a model of semantic segmentation in HTML: charts and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lince.evaluation.report import charts, texts
from lince.evaluation.report.charts import round_track_start
from lince.evaluation.report.classification import head_charts
from lince.evaluation.report.confusion_matrix import build_matrix_view
from lince.evaluation.report.segmentation import texts as segmentation_texts
from lince.evaluation.segmentation.metrics import MIOU_TOLERANCE
from lince.i18n import _

if TYPE_CHECKING:
    from lince.evaluation.report.segmentation.report import SegmentationReport

MAX_TABLE_ROWS = 20  # rows of the class table; the other classes are collapsed
_MAX_COUNTED_CLASSES = 24  # classes in the bar chart of images


def build_context(report: SegmentationReport) -> dict[str, Any]:
    """Return the variables of ``segmentation.html.j2``, besides ``report`` and ``metrics``."""
    metrics = report.metrics
    monitor = str(report.config.get("monitor", "val_miou"))
    tolerance = MIOU_TOLERANCE if monitor == "val_miou" else 0.0
    best_epoch = charts.find_best_epoch(report.history, monitor, tolerance)
    curves = (
        charts.draw_loss_curves(report.history, best_epoch),
        charts.draw_validation_curve(report.history, "val_miou", _("Mean IoU")),
        charts.draw_rate_curve(report.history),
    )
    commonest, baseline = metrics.baseline
    scores = segmentation_texts.sort_scores(metrics)
    matrix_names = (_("background"), *metrics.classes.names)
    names = metrics.classes.names[:_MAX_COUNTED_CLASSES]
    return {
        "task_texts": segmentation_texts,
        "headline": charts.draw_figure_bar(
            metrics.miou,
            baseline,
            _("baseline: always “{name}”").format(name=segmentation_texts.translate_class(commonest)),
            _("Mean IoU on the test images"),
        ),
        "curves": [chart for chart in curves if chart],
        "epochs": texts.build_epoch_table(report.history),
        "recipes": texts.build_recipe_table(report.recipes),
        "head_charts": head_charts.draw_head_charts(report.head),
        "scores": scores,
        "shown_rows": MAX_TABLE_ROWS,
        "track_from": round_track_start([score.iou.low for score in scores if score.iou] + [metrics.miou.low]),
        "matrix": build_matrix_view(
            metrics.confusion, (matrix_names, matrix_names), (), _("Values: number of pixels.")
        ),
        "counts": charts.draw_class_counts(names, report.data.counts),
        "uncounted": max(0, len(metrics.classes) - len(names)),
    }
