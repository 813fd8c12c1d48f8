"""``lince doctor``: what this machine is, what of lince is installed, and which runtime is fastest for a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import lince
from lince.cli.console import Console
from lince.cli.table import columns
from lince.evaluation.figures import MISSING, decimal, magnitude
from lince.messages import _

if TYPE_CHECKING:
    from lince.verbs.timing import Timings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince doctor``."""
    parser.add_argument(
        "--model", metavar=_("RUN"), help=_("time every installed runtime with this run or model folder")
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Look around and tell; of a model, what each runtime takes."""
    if arguments.model:
        timed = lince.time_model(arguments.model, progress=console)
        console.result(timed.record(), _timed(timed))
        return
    found = lince.doctor()
    console.result(found, _lines(found))


def _timed(found: Timings) -> list[str]:
    header = (_("runtime"), _("threads"), _("ms, one image"), _("ms an image, by eights"))
    rows = [(one.runtime, str(one.threads), decimal(one.one, 2), decimal(one.eight, 2)) for one in found.measured]
    best = found.fastest
    reasons = dict.fromkeys(f"{one.runtime}: {one.reason}" for one in found.measured if one.reason)
    return [
        *columns(header, rows),
        "",
        *reasons,
        _("Fastest for one image: {runtime} with {threads} threads, {ms} ms").format(
            runtime=best.runtime, threads=best.threads, ms=decimal(best.one, 2)
        ),
        _("Type: {line}").format(line=found.line),
        *(_("Not installed, and not timed: {line}").format(line=line) for line in found.install),
    ]


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
