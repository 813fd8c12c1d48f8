"""The command ``lince models``: lists networks with their cost, or one network layer by layer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import lince
from lince.cli.console import Console
from lince.cli.options import add_aliased_option, offer_values, parse_positive
from lince.i18n import _
from lince.models.classification.registry import PRESETS, ModelEntry
from lince.models.detection.registry import list_detectors
from lince.number_format import format_decimal
from lince.tasks import get_task, list_tasks


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince models``."""
    name = parser.add_argument(
        "name", nargs="?", metavar=_("NAME"), help=_("model to show: a preset, a timm name, or 'cnn: LAYERS'")
    )
    offer_values(name, (*PRESETS, *list_detectors()))
    add_aliased_option(
        parser,
        "size",
        type=parse_positive,
        metavar=_("PIXELS"),
        help=_("input size in pixels (default: chosen from the model and the data)"),
    )
    parser.add_argument(
        "--classes", type=parse_positive, default=10, metavar="N", help=_("number of classes (default: 10)")
    )
    parser.add_argument(
        "--grey",
        "--gray",
        "--grayscale",
        dest="grey",
        action="store_true",
        help=_("for greyscale images: one channel instead of three"),
    )
    parser.add_argument(
        "--task",
        choices=[task.name for task in list_tasks()],
        default=list_tasks()[0].name,
        help=_("list classification or detection models (default: classify)"),
    )
    parser.add_argument("--measure", action="store_true", help=_("measure the latency on this machine (ms per image)"))


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Print one network layer by layer where the task offers that, else the list of networks.

    The JSON document has ``models``, a list of the fields of each ``ModelEntry`` with its ``name``, or the fields of
    ``ModelSummary`` for a single network. With ``--measure`` there is also ``ms``, the latency in milliseconds per
    image. Raises ``UsageError`` for an unknown name.
    """
    task = get_task(arguments.task)
    entry = task.load_part("get_model")(arguments.name) if arguments.name else None
    if entry is None or not task.has_part("layers"):
        entries = lince.models(task.name) if entry is None else {arguments.name: entry}
        latencies = _measure_latencies(arguments, console, list(entries)) if arguments.measure else {}
        lines = task.load_part("cli").list_model_lines(entries, latencies)
        console.print_result(_models_document(latencies, entries), lines)
        return
    options = {"size": arguments.size, "classes": arguments.classes, "grey": arguments.grey}
    options["task"] = task.name
    model_summary = lince.summary(arguments.name, **options)
    document, lines = {"model": arguments.name, **asdict(model_summary)}, model_summary.format_lines()
    if arguments.measure:
        document["ms"] = lince.measure(arguments.name, **options)
        lines.append(_("Latency on this machine: {ms} ms per image.").format(ms=format_decimal(document["ms"], 1)))
    console.print_result(document, lines)


def _measure_latencies(arguments: argparse.Namespace, console: Console, names: list[str]) -> dict[str, float]:
    """Return the milliseconds per image of each network by its name.

    Every network is built at random weights and exported to ONNX first, which takes a few seconds each.
    """
    options = {"size": arguments.size, "classes": arguments.classes, "grey": arguments.grey}
    options["task"] = arguments.task
    latencies = {}
    with console.open_stage(_("Measuring the latency"), len(names)) as stage:
        for name in names:
            latencies[name] = lince.measure(name, **options)
            stage.advance()
    return latencies


def _models_document(latencies: dict[str, float], entries: Mapping[str, ModelEntry]) -> dict[str, Any]:
    """Return the JSON document of the list; ``latencies`` are milliseconds by name, empty where not measured."""
    return {
        "models": [
            {**asdict(entry), "name": name, **({"ms": latencies[name]} if latencies else {})}
            for name, entry in entries.items()
        ]
    }
