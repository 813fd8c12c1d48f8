"""``lince models``: the networks to choose from with what they cost, or one of them layer by layer."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

import lince
from lince.cli.console import Console
from lince.cli.parser import positive
from lince.cli.table import columns
from lince.evaluation.figures import MISSING, decimal, magnitude
from lince.messages import _


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince models``."""
    parser.add_argument(
        "name", nargs="?", metavar=_("NAME"), help=_("one network to show: a preset, a timm name, or 'cnn: LAYERS'")
    )
    parser.add_argument(
        "--size", type=positive, metavar=_("PIXELS"), help=_("the side of the square that the network sees")
    )
    parser.add_argument(
        "--classes", type=positive, default=10, metavar="N", help=_("how many classes it tells apart (10)")
    )
    parser.add_argument("--grey", action="store_true", help=_("for grey images: one channel instead of three"))


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Show one network, or list the presets."""
    if arguments.name is None:
        console.result(_listed(), _list())
    else:
        found = lince.summary(arguments.name, size=arguments.size, classes=arguments.classes, grey=arguments.grey)
        console.result({"model": arguments.name, **asdict(found)}, found.lines())


def _listed() -> dict[str, Any]:
    return {"models": [{**asdict(entry), "name": name} for name, entry in lince.models().items()]}


def _list() -> list[str]:
    header = (_("name"), _("network"), _("parameters"), _("MACs"), _("ImageNet top-1"), _("licence of the weights"))
    rows = []
    for name, entry in lince.models().items():
        costs = [MISSING if value is None else magnitude(value) for value in (entry.params, entry.macs)]
        top1 = MISSING if entry.top1 is None else f"{decimal(entry.top1, 1)}%"
        rows.append((name, entry.published, *costs, top1, entry.licence))
    return [
        *columns(header, rows),
        "",
        _("Besides these: cnn, 'cnn: LAYERS' declared by you, and any timm network by its name."),
        _("Layer by layer: lince models NAME"),
    ]
