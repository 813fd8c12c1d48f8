"""``lince export``: a run's model for another runtime, judged beside the run before it is handed over."""

from __future__ import annotations

import argparse
from typing import Any

import lince
from lince.cli.console import Console
from lince.cli.options import parse_positive
from lince.cli.text_table import format_table
from lince.errors import UsageError
from lince.export.pipeline import ExportResult
from lince.export.validator import ValidationReport
from lince.i18n import _, localise_number
from lince.number_format import MISSING_VALUE, format_decimal, format_percent, format_si_suffix

# Named here rather than asked for: the libraries behind them take longer to load than a help page.
TARGETS = ("onnx", "openvino", "litert", "torchscript", "torch-export", "coreml", "tensorrt")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince export``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a training run, or its model folder"))
    parser.add_argument("--to", choices=TARGETS, default="onnx", help=_("target runtime or format (default: onnx)"))
    halves = parser.add_mutually_exclusive_group()
    halves.add_argument("--fp16", action="store_true", help=_("half precision (FP16): half the size"))
    halves.add_argument("--int8", action="store_true", help=_("INT8 quantisation where it helps: smaller and faster"))
    parser.add_argument(
        "--out",
        metavar=_("DIR"),
        help=_("output folder, new, or a file ending in .lince (default: exports/... in the run)"),
    )
    halves.add_argument(
        "--self-contained",
        action="store_true",
        help=_("one ONNX file with preprocessing and postprocessing included, usable without lince"),
    )
    group = parser.add_argument_group(_("validation of the export"))
    group.add_argument("--data", metavar=_("DATA"), help=_("labelled photos (default: the test photos of the run)"))
    group.add_argument(
        "--count", type=parse_positive, default=100, metavar="N", help=_("number of photos (default: 100)")
    )
    group.add_argument(
        "--max-drop",
        type=float,
        default=1.0,
        metavar=_("POINTS"),
        help=_("maximum drop in accuracy or mAP, in percentage points (default: 1)"),
    )
    group.add_argument(
        "--unchecked", action="store_true", help=_("export even if the model cannot be validated on this machine")
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Export, and show the run and the export side by side."""
    if not 0 <= arguments.max_drop <= 100:
        raise UsageError(
            _("--max-drop cannot be {value}.").format(value=arguments.max_drop),
            _("Expected percentage points from 0 to 100."),
        )
    if arguments.self_contained:
        _export_standalone(arguments, console)
        return
    done = lince.export(
        arguments.model,
        arguments.to,
        precision="fp16" if arguments.fp16 else "int8" if arguments.int8 else "fp32",
        out=arguments.out,
        data=arguments.data,
        count=arguments.count,
        max_drop=arguments.max_drop,
        unchecked=arguments.unchecked,
        progress=console,
    )
    console.print_result(_document(done), _result_lines(done))


def _export_standalone(arguments: argparse.Namespace, console: Console) -> None:
    if arguments.to != "onnx":
        raise UsageError(
            _("--self-contained is not available for {target}.").format(target=arguments.to),
            _("Expected --to onnx."),
        )
    path, found = lince.contain(
        arguments.model, arguments.out, data=arguments.data, count=arguments.count, progress=console
    )
    line = _("Compared with lince on {count} photos: maximum score difference {score}, agreement {agreement}").format(
        count=found.count, score=localise_number(f"{found.score:.2g}"), agreement=format_percent(found.agreement)
    )
    written = _("Written: {path}").format(path=path)
    console.print_result({"path": str(path), "self_contained": True, **found.to_dict()}, [line, written])


def _document(done: ExportResult) -> dict[str, Any]:
    card = done.card
    facts = {"path": str(done.path), "target": card.target, "precision": card.precision, "network": card.network}
    return {**facts, **card.exported}


def _result_lines(done: ExportResult) -> list[str]:
    written = _("Written: {path}").format(path=done.path)
    if done.validation is None:
        return [_("Not validated: {why}.").format(why=done.card.exported["why"]), written]
    return [*_validation_lines(done.validation), *_comparison_table(done.validation), "", written]


def _validation_lines(found: ValidationReport) -> list[str]:
    apart = ", ".join(
        f"{_difference_name(name)} {localise_number(f'{value:.2g}')}"
        for name, value in found.output_agreement.differences.items()
    )
    return [
        _("Validated on {count} photos ({where}): largest difference {apart}; agreement {agreement}").format(
            count=found.count,
            where=found.split,
            apart=apart,
            agreement=format_percent(found.output_agreement.agreement),
        ),
        "",
    ]


def _difference_name(name: str) -> str:
    return {"probability": _("of a probability"), "score": _("of a score"), "box": _("of a side, in pixels")}[name]


def _comparison_table(found: ValidationReport) -> list[str]:
    figure = {"accuracy": _("accuracy"), "map50": "mAP50"}[found.metric_name]
    rows = [
        (figure, *(map(format_percent, found.quality) if found.quality else (MISSING_VALUE, MISSING_VALUE))),
        (_("size"), *(f"{format_si_suffix(size)}B" for size in found.file_sizes)),
        (_("latency, batch 1 (ms)"), *(format_decimal(value, 2) for value in found.milliseconds)),
        (_("throughput, batch 8 (images/s)"), *(format_decimal(value, 1) for value in found.throughput)),
    ]
    return format_table(("", _("run"), _("export")), rows)
