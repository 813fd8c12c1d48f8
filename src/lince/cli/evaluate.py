"""``lince evaluate``: how well a model does on labelled photos, with intervals and class by class."""

from __future__ import annotations

import argparse
from pathlib import Path

import lince
from lince.cli.console import Console
from lince.cli.options import add_data_options, parse_merges
from lince.cli.text_table import format_table
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.i18n import _
from lince.number_format import format_count, format_percent, format_percent_range

PREDICTIONS_FILE = "predictions.csv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince evaluate``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a run or a model folder"))
    parser.add_argument("data", metavar=_("DATA"), help=_("labelled photos; of a set with a test part, that part"))
    parser.add_argument(
        "--out", metavar=_("DIR"), help=_("write predictions.csv there, for lince compare to hold against others")
    )
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Ask the model about every labelled photo, and print and write the figures."""
    dataset = lince.open(
        arguments.data,
        format=arguments.format,
        pattern=arguments.pattern,
        merge=parse_merges(arguments.merge),
        fix=arguments.fix,
        progress=console,
    )
    found = lince.evaluate(arguments.model, dataset, progress=console)
    document = {"part": found.split, "used": found.summary, **found.metrics.to_dict()}
    lines = [found.summary, *_metric_lines(found.metrics)]
    if arguments.out:
        path = Path(arguments.out) / PREDICTIONS_FILE
        found.predictions.save(path)
        document["predictions"] = str(path)
        lines.append(_("Written: {path}").format(path=path))
    console.print_result(document, lines)


def _metric_lines(metrics: ClassificationMetrics | DetectionMetrics) -> list[str]:
    return _detection_lines(metrics) if isinstance(metrics, DetectionMetrics) else _classification_lines(metrics)


def _detection_lines(metrics: DetectionMetrics) -> list[str]:
    header = (_("class"), _("boxes"), "AP50", "AP50-95", _("precision"), _("recall"), _("F1"))
    rows = [
        (
            score.name,
            format_count(score.support),
            *(format_percent(item.value if item else None) for item in (score.ap50, score.ap50_95)),
            *(format_percent(share) for share in (score.precision, score.recall, score.f1)),
        )
        for score in metrics.scores
    ]
    headline = _("mAP50: {found} ({range}), mAP50-95: {strict}, on {count} images").format(
        found=format_percent(metrics.map50.value),
        range=format_percent_range(metrics.map50.low, metrics.map50.high),
        strict=format_percent(metrics.map50_95.value),
        count=format_count(metrics.count),
    )
    return [headline, "", *format_table(header, rows)]


def _classification_lines(metrics: ClassificationMetrics) -> list[str]:
    header = (_("class"), _("images"), _("precision"), _("recall"), _("F1"))
    rows = [
        (
            score.name,
            format_count(score.support),
            *(format_percent(item.value if item else None) for item in (score.precision, score.recall, score.f1)),
        )
        for score in metrics.scores
    ]
    accuracy = _("Accuracy: {accuracy} ({range}) on {count} images").format(
        accuracy=format_percent(metrics.accuracy.value),
        range=format_percent_range(metrics.accuracy.low, metrics.accuracy.high),
        count=format_count(metrics.count),
    )
    return [accuracy, "", *format_table(header, rows)]
