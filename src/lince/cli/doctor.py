"""``lince doctor``: what this machine is, what of lince is installed, and where its cache lies."""

from __future__ import annotations

import argparse
from typing import Any

import lince
from lince.cli.console import Console
from lince.evaluation.figures import MISSING, magnitude
from lince.messages import _


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince doctor``: there are none of its own."""
    parser.set_defaults(verb="doctor")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Look around and tell."""
    found = lince.doctor()
    console.result(found, _lines(found))


def _lines(found: dict[str, Any]) -> list[str]:
    facts = [
        ("lince", found["lince"]),
        ("Python", found["python"]),
        (_("system"), found["system"]),
        (_("processor"), found["processor"]),
        (_("cores"), str(found["cores"])),
        (_("memory"), MISSING if found["memory_bytes"] is None else magnitude(found["memory_bytes"]) + "B"),
        (_("GPU"), _gpu(found["gpu"])),
        (_("cache"), found["cache"]),
        (_("free disk"), magnitude(found["free_disk_bytes"]) + "B"),
        *found["packages"].items(),
    ]
    width = max(len(name) for name, _value in facts)
    return [*(f"{name.ljust(width)}  {value}" for name, value in facts), "", *_abilities(found["extras"])]


def _gpu(name: str | None) -> str:
    return MISSING if name is None else name or _("none that can be used")


def _abilities(extras: dict[str, bool]) -> list[str]:
    lines = [_("Ready: predict, evaluate, compare, augment.")]
    if extras["train"]:
        return [*lines, _("Ready: train, demo, models."), _("How fast the networks are here: lince models --measure")]
    install = _("In lince's own folder, type: {line}").format(line='pip install -e ".[train]"')
    return [*lines, _("Not installed: training."), install]
