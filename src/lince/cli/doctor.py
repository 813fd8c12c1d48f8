"""``lince doctor``: what this machine is, what of lince is installed, and which runtime is fastest for a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import lince
from lince.cli.console import Console
from lince.cli.text_table import format_table
from lince.i18n import _
from lince.number_format import MISSING_VALUE, format_decimal, format_si_suffix

if TYPE_CHECKING:
    from lince.api.benchmark import BenchmarkResult


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince doctor``."""
    parser.add_argument(
        "--model", metavar=_("RUN"), help=_("benchmark every installed inference runtime with this run or model folder")
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Look around and tell; of a model, what each runtime takes."""
    if arguments.model:
        timed = lince.time_model(arguments.model, progress=console)
        console.print_result(timed.to_dict(), _benchmark_lines(timed))
        return
    found = lince.doctor()
    console.print_result(found, _system_lines(found))


def _benchmark_lines(found: BenchmarkResult) -> list[str]:
    header = (_("runtime"), _("threads"), _("ms per image, batch 1"), _("ms per image, batch 8"))
    rows = [
        (one.runtime, str(one.threads), format_decimal(one.one, 2), format_decimal(one.eight, 2))
        for one in found.measured
    ]
    best = found.fastest
    reasons = dict.fromkeys(f"{one.runtime}: {one.reason}" for one in found.measured if one.reason)
    return [
        *format_table(header, rows),
        "",
        *reasons,
        _("Fastest for one image: {runtime} with {threads} threads, {ms} ms").format(
            runtime=best.runtime, threads=best.threads, ms=format_decimal(best.one, 2)
        ),
        _("Type: {line}").format(line=found.line),
        *(_("Not installed, so not measured: {line}").format(line=line) for line in found.install),
    ]


def _system_lines(found: dict[str, Any]) -> list[str]:
    facts = [
        ("lince", found["lince"]),
        ("Python", found["python"]),
        (_("system"), found["system"]),
        (_("processor"), found["processor"]),
        (_("cores"), str(found["cores"])),
        (
            _("memory"),
            MISSING_VALUE if found["memory_bytes"] is None else format_si_suffix(found["memory_bytes"]) + "B",
        ),
        (_("GPU"), _gpu_text(found["gpu"])),
        (_("cache"), found["cache"]),
        (_("free disk"), format_si_suffix(found["free_disk_bytes"]) + "B"),
        *found["packages"].items(),
    ]
    width = max(len(name) for name, _value in facts)
    return [*(f"{name.ljust(width)}  {value}" for name, value in facts), "", *_feature_lines(found["extras"])]


def _gpu_text(name: str | None) -> str:
    return MISSING_VALUE if name is None else name or _("none usable")


def _feature_lines(extras: dict[str, bool]) -> list[str]:
    lines = [_("Ready: predict, evaluate, compare, augment.")]
    if extras["train"]:
        return [
            *lines,
            _("Ready: train, demo, models."),
            _("To measure the speed of the networks here: lince models --measure"),
        ]
    install = _("In lince's own folder, type: {line}").format(line='pip install -e ".[train]"')
    return [*lines, _("Not installed: training."), install]
