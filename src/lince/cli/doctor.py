"""The command ``lince doctor``: shows hardware and installed parts, or which runtime is fastest for a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import lince
from lince.cli.console import Console
from lince.cli.text_table import format_table
from lince.fileio import make_install_line
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
    """Print the description of the system; with ``--model`` the latency of each runtime.

    The JSON document is that of ``lince.doctor``, or that of ``BenchmarkResult.to_dict`` with the latencies in
    milliseconds (``measured``), the ``fastest`` row and the command to use it (``line``).
    """
    if arguments.model:
        benchmark = lince.time_model(arguments.model, progress=console)
        console.print_result(benchmark.to_dict(), _benchmark_lines(benchmark))
        return
    system = lince.doctor()
    console.print_result(system, _system_lines(system))


def _benchmark_lines(benchmark: BenchmarkResult) -> list[str]:
    """Return the table of latencies, the fastest runtime, and how to use or install others.

    A runtime that cannot run the model has dashes in the table and its reason below.
    """
    header = (_("runtime"), _("threads"), _("ms per image, batch 1"), _("ms per image, batch 8"))
    rows = [
        (row.runtime, str(row.threads), format_decimal(row.one, 2), format_decimal(row.eight, 2))
        for row in benchmark.measured
    ]
    best = benchmark.fastest
    reasons = dict.fromkeys(f"{row.runtime}: {row.reason}" for row in benchmark.measured if row.reason)
    return [
        *format_table(header, rows),
        "",
        *reasons,
        _("Fastest for one image: {runtime} with {threads} threads, {ms} ms").format(
            runtime=best.runtime, threads=best.threads, ms=format_decimal(best.one, 2)
        ),
        _("Type: {line}").format(line=benchmark.line),
        *(_("Not installed, so not measured: {line}").format(line=line) for line in benchmark.install),
    ]


def _system_lines(system: dict[str, Any]) -> list[str]:
    """Return the facts of ``lince.doctor``, one per line."""
    facts = [
        ("lince", system["lince"]),
        ("Python", system["python"]),
        (_("system"), system["system"]),
        (_("processor"), system["processor"]),
        (_("cores"), str(system["cores"])),
        (
            _("memory"),
            MISSING_VALUE if system["memory_bytes"] is None else format_si_suffix(system["memory_bytes"]) + "B",
        ),
        (_("GPU"), _gpu_text(system["gpu"])),
        (_("cache"), system["cache"]),
        (_("free disk"), format_si_suffix(system["free_disk_bytes"]) + "B"),
        *system["packages"].items(),
    ]
    width = max(len(name) for name, _value in facts)
    return [*(f"{name.ljust(width)}  {value}" for name, value in facts), "", *_feature_lines(system["extras"])]


def _gpu_text(name: str | None) -> str:
    """Return the name of the accelerator; a dash where it is unknown, a text where there is none."""
    return MISSING_VALUE if name is None else name or _("none usable")


def _feature_lines(extras: dict[str, bool]) -> list[str]:
    """Return which commands can be used with the installed extras."""
    if extras["train"]:
        return [
            _("Ready: all commands."),
            _("To measure the speed of the networks here: lince models --measure"),
        ]
    return [
        _(
            "Ready: check, split, convert, train classifiers with --recipe transfer, evaluate, compare, predict, "
            "export to ONNX, serve."
        ),
        _("Not ready, for want of PyTorch: the recipes finetune and scratch, training detectors, other networks."),
        _("In lince's own folder, type: {line}").format(line=make_install_line("train")),
    ]
