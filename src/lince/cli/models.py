"""``lince models``: the networks to choose from with what they cost, or one of them layer by layer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import lince
from lince.cli.console import Console
from lince.cli.options import parse_positive
from lince.cli.text_table import format_table
from lince.i18n import _
from lince.models.classification.registry import ModelEntry
from lince.models.detection.registry import DetectorEntry, get_detector_entry, list_presets
from lince.number_format import MISSING_VALUE, format_decimal, format_percent, format_si_suffix


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince models``."""
    parser.add_argument(
        "name", nargs="?", metavar=_("NAME"), help=_("one network to show: a preset, a timm name, or 'cnn: LAYERS'")
    )
    parser.add_argument(
        "--size", type=parse_positive, metavar=_("PIXELS"), help=_("the side of the square that the network sees")
    )
    parser.add_argument(
        "--classes", type=parse_positive, default=10, metavar="N", help=_("how many classes it tells apart (10)")
    )
    parser.add_argument("--grey", action="store_true", help=_("for grey images: one channel instead of three"))
    parser.add_argument(
        "--task",
        choices=("classify", "detect"),
        default="classify",
        help=_("list networks that name an image, or those that find objects (classify)"),
    )
    parser.add_argument("--measure", action="store_true", help=_("time it on this machine: milliseconds an image"))


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Show one network, or list the presets; of detectors all, or one."""
    detect = arguments.task == "detect"
    if detect or arguments.name is None:
        entries = (
            {arguments.name: get_detector_entry(arguments.name)} if arguments.name else lince.models(arguments.task)
        )
        times = _measure_latencies(arguments, console, list(entries)) if arguments.measure else {}
        console.print_result(
            _models_document(times, entries), _detector_lines(times, entries) if detect else _classifier_lines(times)
        )
        return
    chosen = {"size": arguments.size, "classes": arguments.classes, "grey": arguments.grey}
    found = lince.summary(arguments.name, **chosen)
    document, lines = {"model": arguments.name, **asdict(found)}, found.format_lines()
    if arguments.measure:
        document["ms"] = lince.measure(arguments.name, **chosen)
        lines.append(_("Time for one image on this machine: {ms} ms.").format(ms=format_decimal(document["ms"], 1)))
    console.print_result(document, lines)


def _measure_latencies(arguments: argparse.Namespace, console: Console, names: list[str]) -> dict[str, float]:
    chosen = {"size": arguments.size, "classes": arguments.classes, "grey": arguments.grey}
    chosen["task"] = arguments.task
    times = {}
    with console.open_stage(_("Timing the networks"), len(names)) as stage:
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


def _detector_lines(times: dict[str, float], entries: Mapping[str, ModelEntry]) -> list[str]:
    header = [_("name"), _("pixels"), _("parameters"), _("MACs"), _("COCO AP"), _("licence of the weights")]
    rows = []
    for name, entry in entries.items():
        ap = entry.ap if isinstance(entry, DetectorEntry) else None
        costs = [MISSING_VALUE if value is None else format_si_suffix(value) for value in (entry.params, entry.macs)]
        row = [
            name,
            str(entry.size),
            *costs,
            MISSING_VALUE if ap is None else format_decimal(ap, 1),
            entry.licence,
        ]
        rows.append([*row, format_decimal(times[name], 1)] if times else row)
    return [
        *format_table([*header, _("ms an image here")] if times else header, rows),
        "",
        _("Named choices: {names}.").format(
            names=", ".join(f"{name} ({entry.name})" for name, entry in list_presets().items())
        ),
        _("Besides these: 'fasterrcnn: BACKBONE' over any timm network."),
    ]


def _classifier_lines(times: dict[str, float]) -> list[str]:
    header = [_("name"), _("network"), _("parameters"), _("MACs"), _("ImageNet top-1"), _("licence of the weights")]
    rows = []
    for name, entry in lince.models().items():
        costs = [MISSING_VALUE if value is None else format_si_suffix(value) for value in (entry.params, entry.macs)]
        top1 = MISSING_VALUE if entry.top1 is None else format_percent(entry.top1 / 100)
        row = [name, entry.pretrained_name, *costs, top1, entry.licence]
        rows.append([*row, format_decimal(times[name], 1)] if times else row)
    return [
        *format_table([*header, _("ms an image here")] if times else header, rows),
        "",
        _("Besides these: cnn, 'cnn: LAYERS' declared by you, and any timm network by its name."),
        _("Layer by layer: lince models NAME"),
    ]
