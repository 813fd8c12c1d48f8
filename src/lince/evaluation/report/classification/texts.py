"""Sentences and tables of a classification report, for HTML and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lince.evaluation.diagnosis.classification.prediction_rules import ClassConfusion, list_confusions
from lince.evaluation.report.texts import NamedTexts, compute_total_seconds
from lince.i18n import _
from lince.number_format import (
    format_count,
    format_decimal,
    format_duration,
    format_percent,
    format_percent_range,
)

if TYPE_CHECKING:
    from lince.evaluation.report.classification.report import ClassificationReport

_MAX_TIES = 3  # equally frequent errors that are named in a sentence


def summarise_result(report: ClassificationReport) -> str:
    """Return the sentence with the number of correctly classified test images."""
    metrics = report.metrics
    return _("Correct on {right} of {total} test images.").format(
        right=format_count(int(metrics.confusion.trace())), total=format_count(metrics.count)
    )


def describe_expected_range(report: ClassificationReport) -> str:
    """Return the sentence that explains the confidence interval of the accuracy."""
    return _("On other images of the same kind, expect an accuracy {range} (95% interval).").format(
        range=format_percent_range(report.metrics.accuracy.low, report.metrics.accuracy.high)
    )


def describe_errors(report: ClassificationReport) -> str:
    """Return the number of errors in sentences, and the most frequent ones where they are up to ``_MAX_TIES``."""
    metrics = report.metrics
    wrong = metrics.count - int(metrics.confusion.trace())
    if not wrong:
        return _("All {total} test images were classified correctly.").format(total=format_count(metrics.count))
    sentence = _("{wrong} of {total} predictions are wrong.").format(
        wrong=format_count(wrong), total=format_count(metrics.count)
    )
    confusions = list_confusions(metrics)
    worst = [pair for pair in confusions if pair.count == confusions[0].count]
    if len(worst) == 1:
        return sentence + " " + _("Most frequent error: {pair}.").format(pair=worst[0])
    if worst[0].count == 1:
        return sentence + " " + _("No class was predicted as another one more than once.")
    if len(worst) <= _MAX_TIES:
        return sentence + " " + _("Most frequent errors: {pairs}.").format(pairs="; ".join(map(str, worst)))
    return sentence


def list_worst_confusions(report: ClassificationReport, max_pairs: int) -> list[ClassConfusion]:
    """Return the ``max_pairs`` most frequent errors."""
    return list_confusions(report.metrics)[:max_pairs]


def list_key_figures(report: ClassificationReport) -> NamedTexts:
    """Return the figures at the top of the report as (name, value).

    They are macro F1, top-k accuracy for the largest k, training and validation accuracy where measured, the
    calibration error, and the duration of the run.
    """
    metrics = report.metrics
    rows = [(_("macro F1"), format_percent(metrics.macro.f1))]
    rows += [
        (_("top-{k} accuracy").format(k=k), format_percent(accuracy))
        for k, accuracy in list(metrics.top_k_accuracy.items())[-1:]
    ]
    if report.train_accuracy is not None:
        rows.append((_("training accuracy"), format_percent(report.train_accuracy)))
    if report.val_accuracy is not None:
        rows.append((_("validation accuracy"), format_percent(report.val_accuracy)))
    rows.append((_("calibration error"), format_decimal(metrics.calibration.ece)))
    if report.timings:
        rows.append((_("total time"), format_duration(compute_total_seconds(report.timings))))
    return rows


def describe_prediction() -> str:
    """Return what ``lince predict`` does with the model of a run."""
    return _("Classify other photos")


def list_overall_figures(report: ClassificationReport) -> NamedTexts:
    """Return all metrics over the whole test set as (name, value).

    Macro averages weight every class the same. The calibration error is the expected calibration error with 15 bins.
    """
    metrics = report.metrics
    interval = format_percent_range(metrics.accuracy.low, metrics.accuracy.high)
    rows = [
        (_("accuracy"), f"{format_percent(metrics.accuracy.value)} ({interval})"),
        (_("macro precision"), format_percent(metrics.macro.precision)),
        (_("macro recall (balanced accuracy)"), format_percent(metrics.macro.recall)),
        (_("macro F1"), format_percent(metrics.macro.f1)),
    ]
    rows += [
        (_("top-{k} accuracy").format(k=k), format_percent(accuracy)) for k, accuracy in metrics.top_k_accuracy.items()
    ]
    return [
        *rows,
        (_("log loss"), format_decimal(metrics.log_loss)),
        (_("calibration error (ECE, 15 bins)"), format_decimal(metrics.calibration.ece)),
        (_("mean confidence"), format_percent(metrics.calibration.confidence)),
    ]
