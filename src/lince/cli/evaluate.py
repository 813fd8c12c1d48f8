"""``lince evaluate``: how well a model does on labelled photos, with intervals and class by class."""

from __future__ import annotations

import argparse
from pathlib import Path

import lince
from lince.cli.console import Console
from lince.cli.parser import add_data, merges
from lince.cli.table import columns
from lince.evaluation.classification import ClassificationMetrics
from lince.evaluation.detection import DetectionMetrics
from lince.evaluation.figures import count, percent, percent_range
from lince.messages import _

PREDICTIONS = "predictions.csv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince evaluate``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a run or a model folder"))
    parser.add_argument("data", metavar=_("DATA"), help=_("labelled photos; of a set with a test part, that part"))
    parser.add_argument(
        "--out", metavar=_("DIR"), help=_("write predictions.csv there, for lince compare to hold against others")
    )
    add_data(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Ask the model about every labelled photo, and print and write the figures."""
    dataset = lince.open(
        arguments.data,
        format=arguments.format,
        pattern=arguments.pattern,
        merge=merges(arguments.merge),
        fix=arguments.fix,
        progress=console,
    )
    found = lince.evaluate(arguments.model, dataset, progress=console)
    document = {"part": found.part, "used": found.summary, **found.metrics.record()}
    lines = [found.summary, *_told(found.metrics)]
    if arguments.out:
        path = Path(arguments.out) / PREDICTIONS
        found.predictions.save(path)
        document["predictions"] = str(path)
        lines.append(_("Written: {path}").format(path=path))
    console.result(document, lines)


def _told(metrics: ClassificationMetrics | DetectionMetrics) -> list[str]:
    return _objects(metrics) if isinstance(metrics, DetectionMetrics) else _lines(metrics)


def _objects(metrics: DetectionMetrics) -> list[str]:
    header = (_("class"), _("boxes"), "AP50", "AP50-95", _("precision"), _("recall"), _("F1"))
    rows = [
        (
            score.name,
            count(score.support),
            *(percent(item.value if item else None) for item in (score.ap50, score.ap50_95)),
            *(percent(share) for share in (score.precision, score.recall, score.f1)),
        )
        for score in metrics.scores
    ]
    headline = _("mAP50: {found} ({range}), mAP50-95: {strict}, on {count} images").format(
        found=percent(metrics.map50.value),
        range=percent_range(metrics.map50),
        strict=percent(metrics.map50_95.value),
        count=count(metrics.count),
    )
    return [headline, "", *columns(header, rows)]


def _lines(metrics: ClassificationMetrics) -> list[str]:
    header = (_("class"), _("images"), _("precision"), _("recall"), _("F1"))
    rows = [
        (
            score.name,
            count(score.support),
            *(percent(item.value if item else None) for item in (score.precision, score.recall, score.f1)),
        )
        for score in metrics.scores
    ]
    accuracy = _("Accuracy: {accuracy} ({range}) on {count} images").format(
        accuracy=percent(metrics.accuracy.value), range=percent_range(metrics.accuracy), count=count(metrics.count)
    )
    return [accuracy, "", *columns(header, rows)]
