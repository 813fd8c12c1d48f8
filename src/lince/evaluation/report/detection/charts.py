"""Charts of a detection report: precision, recall and F1 at every confidence, and figures by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from lince.evaluation.average_precision import RECALL_LEVELS
from lince.evaluation.detection.metrics import DetectionScore
from lince.evaluation.report import texts
from lince.evaluation.report.charts import ChartSeries, draw_curves, list_history_points
from lince.evaluation.report.facts import HistoryRow
from lince.evaluation.report.threshold_charts import (
    ClassThreshold,
    choose_drawn_classes,
    draw_class_thresholds,
    draw_unit_chart,
    get_class_style,
)
from lince.i18n import _
from lince.number_format import format_percent


def draw_precision_recall(scores: Sequence[DetectionScore]) -> Markup | None:
    """Return the precision-recall curves at IoU 0.5; ``None`` where no class has test objects.

    There is one for each class of ``choose_drawn_classes``, and the mean of all classes with test objects.
    """
    class_ids = choose_drawn_classes(scores)
    curves = [score.precision_curve for score in scores if score.precision_curve is not None]
    if not class_ids:
        return None
    series = []
    for class_id in class_ids:
        curve, ap50 = scores[class_id].precision_curve, scores[class_id].ap50
        points = () if curve is None else tuple(zip(RECALL_LEVELS.tolist(), curve.tolist(), strict=True))
        average = "" if ap50 is None else f" · AP50 {format_percent(ap50.value)}"
        series.append(ChartSeries(scores[class_id].name + average, get_class_style(class_id), points))
    if len(curves) > 1:
        mean = np.mean(curves, axis=0).tolist()
        series.append(
            ChartSeries(_("mean of all classes"), "all", tuple(zip(RECALL_LEVELS.tolist(), mean, strict=True)))
        )
    title = _("Precision and recall of {n} classes").format(n=len(class_ids))
    return draw_unit_chart(series, (_("Recall (objects found)"), _("Precision (correct boxes)")), title)


def draw_confidence_charts(scores: Sequence[DetectionScore]) -> list[Markup]:
    """Return F1, precision and recall against the confidence, at IoU 0.5, of the classes of ``choose_drawn_classes``.

    All classes are counted together as one more line; dots are at the thresholds of the model.
    """
    return draw_class_thresholds(
        [
            ClassThreshold(
                score.name,
                score.support,
                score.threshold,
                score.confidence_curve,
                {"f1": score.f1, "precision": score.precision, "recall": score.recall},
            )
            for score in scores
        ]
    )


def draw_loss_parts(history: Sequence[HistoryRow]) -> Markup | None:
    """Return the parts of the training loss by epoch; ``None`` where it has none, or for fewer than two epochs."""
    titles = texts.list_loss_parts(history)
    styles = ("train solid", "train", "train second", "train third", "train fourth", "train fifth")
    series = [
        ChartSeries(title, style, points)
        for (key, title), style in zip(titles.items(), styles, strict=False)
        if len(points := list_history_points(history, key)) > 1
    ]
    return draw_curves(series, _("Parts of the training loss"), None, relative=False)


def draw_map_curves(history: Sequence[HistoryRow], best_epoch: float | None = None) -> Markup | None:
    """Return the average precision on the validation images by epoch, as SVG; ``None`` for fewer than two epochs.

    mAP50 and mAP50-95 are curves of their own, and so are those of masks where there are any; epochs without a value
    are skipped, ``best_epoch`` is marked.
    """
    series = [
        ChartSeries(name, style, points)
        for key, name, style in (
            ("val_segm_map50", _("mask mAP50"), "train"),
            ("val_segm_map50_95", _("mask mAP50-95"), "train second"),
            ("val_map50", "mAP50", "val"),
            ("val_map50_95", "mAP50-95", "val second"),
        )
        if len(points := list_history_points(history, key)) > 1
    ]
    return draw_curves(series, _("Validation mAP"), best_epoch, relative=True)


def draw_hit_curves(history: Sequence[HistoryRow]) -> Markup | None:
    """Return precision and recall on the validation images by epoch; ``None`` for fewer than two epochs."""
    series = [
        ChartSeries(name, style, points)
        for key, name, style in (
            ("val_precision", _("precision"), "precision"),
            ("val_recall", _("recall"), "recall"),
        )
        if len(points := list_history_points(history, key)) > 1
    ]
    return draw_curves(series, _("Validation precision and recall"), None, relative=True)
