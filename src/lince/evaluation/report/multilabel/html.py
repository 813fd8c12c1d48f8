"""The template variables of the report of a multilabel model in HTML: charts, tables, classes that go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lince.evaluation.multilabel.metrics import MultilabelMetrics
from lince.evaluation.report import charts, texts
from lince.evaluation.report.charts import round_track_start
from lince.evaluation.report.classification import head_charts
from lince.evaluation.report.confusion_matrix import MAX_OPEN_MATRIX_CLASSES, compute_cell_opacity
from lince.evaluation.report.multilabel import texts as multilabel_texts
from lince.evaluation.report.threshold_charts import ClassThreshold, choose_drawn_classes, draw_class_thresholds
from lince.i18n import _

if TYPE_CHECKING:
    from lince.evaluation.report.multilabel.report import MultilabelReport

MAX_TABLE_ROWS = 20  # rows of the class table; the other classes are collapsed
_MAX_COUNTED_CLASSES = 24  # classes in the bar chart of images
_MAX_DETAILED_CLASSES = 12  # up to it, the cells of classes that go together have room for both counts


@dataclass(frozen=True)
class TogetherCell:
    """How many images have two classes, and how many were predicted to; ``opacity`` follows the share of the row."""

    truth: int
    predicted: int
    opacity: float


def build_context(report: MultilabelReport) -> dict[str, Any]:
    """Return the variables of ``multilabel.html.j2``, besides ``report`` and ``metrics``."""
    metrics = report.metrics
    chance = sum(score.support for score in metrics.scores) / max(1, metrics.count * _count_tested(metrics))
    curves = (
        charts.draw_loss_curves(report.history),
        charts.draw_validation_curve(report.history, "val_map", _("Mean average precision")),
        charts.draw_rate_curve(report.history),
    )
    scores = multilabel_texts.sort_scores(metrics)
    drawn = choose_drawn_classes(metrics.scores)
    names = metrics.classes.names[:_MAX_COUNTED_CLASSES]
    return {
        "task_texts": multilabel_texts,
        "headline": charts.draw_figure_bar(
            metrics.map, chance, _("baseline: at random"), _("Mean average precision on the test images")
        ),
        "curves": [chart for chart in curves if chart],
        "epochs": texts.build_epoch_table(report.history),
        "recipes": texts.build_recipe_table(report.recipes),
        "head_charts": head_charts.draw_head_charts(report.head),
        "scores": scores,
        "shown_rows": MAX_TABLE_ROWS,
        "track_from": round_track_start([score.ap.low for score in scores if score.ap] + [metrics.map.low]),
        "threshold_charts": draw_class_thresholds(
            [
                ClassThreshold(
                    score.name,
                    score.support,
                    score.threshold,
                    score.curve,
                    {key: None if item is None else item.value for key, item in score.list_figures().items()},
                )
                for score in metrics.scores
            ]
        ),
        "undrawn": len(drawn) if _count_tested(metrics) > len(drawn) else 0,
        "together": build_together_cells(metrics),
        "together_is_detailed": len(metrics.classes) <= _MAX_DETAILED_CLASSES,
        "together_is_collapsed": len(metrics.classes) > MAX_OPEN_MATRIX_CLASSES,
        "counts": charts.draw_class_counts(names, report.data.counts),
        "uncounted": max(0, len(metrics.classes) - len(names)),
    }


def build_together_cells(metrics: MultilabelMetrics) -> list[list[TogetherCell]]:
    """Return the cells of the table of classes that go together, by row and column."""
    rows = []
    for i, (truths, predicted) in enumerate(
        zip(metrics.together.tolist(), metrics.predicted_together.tolist(), strict=True)
    ):
        support = max(1, metrics.scores[i].support)
        rows.append(
            [
                TogetherCell(truth, said, compute_cell_opacity(truth / support))
                for truth, said in zip(truths, predicted, strict=True)
            ]
        )
    return rows


def _count_tested(metrics: MultilabelMetrics) -> int:
    """Return how many classes have a test image."""
    return sum(score.support > 0 for score in metrics.scores)
