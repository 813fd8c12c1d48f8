"""Sentences and tables of the report of a multilabel model, for HTML and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.report.texts import NamedTexts, TextTable, compute_total_seconds
from lince.i18n import _
from lince.number_format import (
    MISSING_VALUE,
    format_count,
    format_decimal,
    format_duration,
    format_percent,
    format_percent_range,
)

if TYPE_CHECKING:
    from lince.evaluation.multilabel.metrics import MultilabelMetrics, MultilabelScore
    from lince.evaluation.report.multilabel.report import MultilabelReport


def summarise_result(report: MultilabelReport) -> str:
    """Return the sentence with the number of test images of which all classes are right."""
    metrics = report.metrics
    return _("All classes are right on {right} of {total} test images.").format(
        right=format_count(round(metrics.figures.subset_accuracy.value * metrics.count)),
        total=format_count(metrics.count),
    )


def describe_expected_range(report: MultilabelReport) -> str:
    """Return the sentence that explains the confidence interval of the mean average precision."""
    return _("On other images of the same kind, expect a mean average precision {range} (95% interval).").format(
        range=format_percent_range(report.metrics.map.low, report.metrics.map.high)
    )


def describe_errors(report: MultilabelReport) -> str:
    """Return the numbers of missing and wrongly said classes, with the most frequent of each."""
    missing, extra = count_errors(report.metrics)
    if not missing.any() and not extra.any():
        return _("All classes of all {total} test images are right.").format(total=format_count(report.metrics.count))
    names = report.metrics.classes.names
    parts = []
    for counts, sentence in (
        (missing, _("{n} classes of test images were not found; most often: {name} ({most}).")),
        (extra, _("{n} classes were said that the images do not have; most often: {name} ({most}).")),
    ):
        if counts.any():
            worst = int(counts.argmax())
            parts.append(
                sentence.format(
                    n=format_count(int(counts.sum())), name=names[worst], most=format_count(int(counts[worst]))
                )
            )
    return " ".join(parts)


def count_errors(metrics: MultilabelMetrics) -> tuple[np.ndarray, np.ndarray]:
    """Return how many images miss each class, and for how many it was wrongly said, int64 (C,) each."""
    correct = np.array([score.correct for score in metrics.scores], np.int64)
    support = np.array([score.support for score in metrics.scores], np.int64)
    predicted = np.array([score.predicted for score in metrics.scores], np.int64)
    return support - correct, predicted - correct


def list_key_figures(report: MultilabelReport) -> NamedTexts:
    """Return the figures at the top of the report as (name, value)."""
    figures = report.metrics.figures
    rows = [
        (_("macro F1"), _format_value(figures.f1_macro)),
        (_("micro F1"), _format_value(figures.f1_micro)),
        (_("all classes right"), _format_value(figures.subset_accuracy)),
    ]
    if report.val_map is not None:
        rows.append((_("validation mAP"), format_percent(report.val_map)))
    if report.timings:
        rows.append((_("total time"), format_duration(compute_total_seconds(report.timings))))
    return rows


def describe_prediction() -> str:
    """Return what ``lince predict`` does with the model of a run."""
    return _("Find the classes of other photos")


def list_overall_figures(report: MultilabelReport) -> NamedTexts:
    """Return all metrics over the whole test set as (name, value), with their intervals."""
    figures = report.metrics.figures
    names = {
        _("mean average precision (mAP)"): figures.map,
        _("macro F1"): figures.f1_macro,
        _("micro F1"): figures.f1_micro,
        _("micro precision"): figures.precision_micro,
        _("micro recall"): figures.recall_micro,
        _("subset accuracy (all classes right)"): figures.subset_accuracy,
        _("Hamming loss (wrong answers)"): figures.hamming_loss,
    }
    rows = [(name, _format_interval(interval)) for name, interval in names.items()]
    return [*rows, (_("log loss of an answer"), format_decimal(report.metrics.log_loss))]


def build_class_table(scores: list[MultilabelScore]) -> TextTable:
    """Return one row per class: test images, average precision, threshold, and precision, recall and F1 at it."""
    header = (
        _("class"),
        _("test images"),
        _("average precision"),
        _("95% interval"),
        _("threshold"),
        _("precision"),
        _("recall"),
        "F1",
    )
    rows = tuple(
        (
            score.name,
            format_count(score.support),
            _format_value(score.ap),
            format_percent_range(score.ap.low, score.ap.high) if score.ap else MISSING_VALUE,
            format_percent(score.threshold, 0),
            *(_format_value(item) for item in (score.precision, score.recall, score.f1)),
        )
        for score in scores
    )
    return TextTable(header, rows)


def sort_scores(metrics: MultilabelMetrics) -> list[MultilabelScore]:
    """Return the scores of the classes, the lowest average precision first; those without one come last."""
    return sorted(metrics.scores, key=lambda score: (score.ap is None, score.ap.value if score.ap else 0.0, score.name))


def describe_empty(metrics: MultilabelMetrics) -> str:
    """Return the sentence about test images without any class."""
    truth, predicted = metrics.empty_counts
    return _("Without any class: {truth} test images by their labels, {predicted} by the predictions.").format(
        truth=format_count(truth), predicted=format_count(predicted)
    )


def _format_value(interval: ConfidenceInterval | None) -> str:
    """Return a figure as a percentage."""
    return format_percent(None if interval is None else interval.value)


def _format_interval(interval: ConfidenceInterval | None) -> str:
    """Return a figure as a percentage with its interval."""
    if interval is None:
        return MISSING_VALUE
    return f"{format_percent(interval.value)} ({format_percent_range(interval.low, interval.high)})"
