"""``lince models``: the networks to choose from with what they cost, or one of them layer by layer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import lince
from lince.cli.console import Console
from lince.cli.options import parse_positive
from lince.i18n import _
from lince.models.classification.registry import ModelEntry
from lince.number_format import format_decimal
from lince.tasks import get_task, list_tasks


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince models``."""
    parser.add_argument(
        "name", nargs="?", metavar=_("NAME"), help=_("model to show: a preset, a timm name, or 'cnn: LAYERS'")
    )
    parser.add_argument(
        "--size",
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
    """Show one network, or list the presets; of detectors all, or one."""
    task = get_task(arguments.task)
    entry = task.load_part("get_model")(arguments.name) if arguments.name else None
    if entry is None or not task.has_part("layers"):
        entries = lince.models(task.name) if entry is None else {arguments.name: entry}
        latencies = _measure_latencies(arguments, console, list(entries)) if arguments.measure else {}
        lines = task.load_part("cli").list_model_lines(entries, latencies)
        console.print_result(_models_document(latencies, entries), lines)
        return
    chosen = {"size": arguments.size, "classes": arguments.classes, "grey": arguments.grey}
    found = lince.summary(arguments.name, **chosen)
    document, lines = {"model": arguments.name, **asdict(found)}, found.format_lines()
    if arguments.measure:
        document["ms"] = lince.measure(arguments.name, **chosen)
        lines.append(_("Latency on this machine: {ms} ms per image.").format(ms=format_decimal(document["ms"], 1)))
    console.print_result(document, lines)


def _measure_latencies(arguments: argparse.Namespace, console: Console, names: list[str]) -> dict[str, float]:
    chosen = {"size": arguments.size, "classes": arguments.classes, "grey": arguments.grey}
    chosen["task"] = arguments.task
    times = {}
    with console.open_stage(_("Measuring the latency"), len(names)) as stage:
        for name in names:
            times[name] = lince.measure(name, **chosen)
            stage.advance()
    return times


def _models_document(times: dict[str, float], entries: Mapping[str, ModelEntry]) -> dict[str, Any]:
    return {
        "models": [
            {**asdict(entry), "name": name, **({"ms": times[name]} if times else {})} for name, entry in entries.items()
        ]
    }
