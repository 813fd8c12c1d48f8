"""The command ``lince export``: exports the model of a run for another runtime, and validates it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import lince
from lince.cli.console import Console, paint_warning
from lince.cli.options import parse_decimal, parse_positive
from lince.cli.output_options import add_overwrite_option
from lince.cli.text_table import format_table
from lince.errors import UsageError
from lince.export.targets import TARGETS
from lince.i18n import _, localise_number
from lince.number_format import MISSING_VALUE, format_decimal, format_percent, format_si_suffix

if TYPE_CHECKING:
    from lince.export.pipeline import ExportResult
    from lince.export.validator import ValidationReport


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince export``."""
    parser.add_argument("model", metavar=_("RUN"), help=_("a training run, or its model folder"))
    parser.add_argument(
        "--to", choices=list(TARGETS), default="onnx", help=_("target runtime or format (default: onnx)")
    )
    precisions = parser.add_mutually_exclusive_group()
    precisions.add_argument("--fp16", action="store_true", help=_("half precision (FP16): half the size"))
    precisions.add_argument(
        "--int8", action="store_true", help=_("INT8 quantisation where it helps: smaller and faster")
    )
    parser.add_argument(
        "--out",
        metavar=_("DIR"),
        help=_("output folder, new, or a file ending in .lince (default: exports/... in the run)"),
    )
    precisions.add_argument(
        "--self-contained",
        action="store_true",
        help=_("one self-contained ONNX file, with preprocessing and postprocessing, usable without lince"),
    )
    add_overwrite_option(parser)
    group = parser.add_argument_group(_("validation of the export"))
    group.add_argument("--data", metavar=_("DATA"), help=_("labelled photos (default: the test photos of the run)"))
    group.add_argument(
        "--count", type=parse_positive, default=100, metavar="N", help=_("number of photos (default: 100)")
    )
    group.add_argument(
        "--max-drop",
        type=parse_decimal,
        default=1.0,
        metavar=_("POINTS"),
        help=_("maximum drop in accuracy or mAP, in percentage points (default: 1)"),
    )
    group.add_argument(
        "--unchecked", action="store_true", help=_("export even if the model cannot be validated on this machine")
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Export the model, and print the run and the export side by side.

    The JSON document has ``path``, ``target``, ``precision``, ``network`` (file name) and the measurements of
    ``ValidationReport.to_dict``, or ``why`` it could not be validated. With ``--self-contained`` it has ``path`` and
    the fields of ``StandaloneReport``.

    Raises ``UsageError`` when ``--max-drop`` is not in 0..100 percentage points, and what ``lince.export`` raises.
    """
    if not 0 <= arguments.max_drop <= 100:
        raise UsageError(
            _("--max-drop cannot be {value}.").format(value=arguments.max_drop),
            _("Expected percentage points from 0 to 100."),
        )
    if arguments.self_contained:
        _export_standalone(arguments, console)
        return
    result = lince.export(
        arguments.model,
        arguments.to,
        precision="fp16" if arguments.fp16 else "int8" if arguments.int8 else None,
        out=arguments.out,
        data=arguments.data,
        count=arguments.count,
        max_drop=arguments.max_drop,
        unchecked=arguments.unchecked,
        progress=console,
    )
    console.print_result(_document(result), _result_lines(result))


def _export_standalone(arguments: argparse.Namespace, console: Console) -> None:
    """Export one self-contained ONNX file and print how close it is to lince.

    Raises ``UsageError`` for a target other than ``onnx``.
    """
    if arguments.to != "onnx":
        raise UsageError(
            _("--self-contained is not available for {target}.").format(target=arguments.to),
            _("Expected --to onnx."),
        )
    path, report = lince.contain(
        arguments.model,
        arguments.out,
        data=arguments.data,
        count=arguments.count,
        overwrite=arguments.overwrite,
        progress=console,
    )
    line = _("Compared with lince on {count} photos: maximum score difference {score}, agreement {agreement}").format(
        count=report.count, score=localise_number(f"{report.score:.2g}"), agreement=format_percent(report.agreement)
    )
    written = _("Written: {path}").format(path=path)
    notes = filter(None, [paint_warning(report.note)])
    console.print_result({"path": str(path), "self_contained": True, **report.to_dict()}, [line, *notes, written])


def _document(result: ExportResult) -> dict[str, Any]:
    """Return the JSON document: path, target, precision, file name of the network, and the measurements of the card."""
    card = result.card
    facts = {"path": str(result.path), "target": card.target, "precision": card.precision, "network": card.network}
    return {**facts, **card.exported}


def _result_lines(result: ExportResult) -> list[str]:
    """Return the measurements, or why there are none, and the path."""
    written = _("Written: {path}").format(path=result.path)
    if result.validation is None:
        return [_("Not validated: {why}.").format(why=result.card.exported["why"]), written]
    return [*_validation_lines(result.validation), *_comparison_table(result.validation), "", written]


def _validation_lines(report: ValidationReport) -> list[str]:
    """Return the number of images, the largest differences and the agreement, followed by an empty line."""
    differences = ", ".join(
        f"{_difference_name(name)} {localise_number(f'{value:.2g}')}"
        for name, value in report.output_agreement.differences.items()
    )
    return [
        _("Validated on {count} photos ({where}): largest difference {apart}; agreement {agreement}").format(
            count=report.count,
            where=report.split,
            apart=differences,
            agreement=format_percent(report.output_agreement.agreement),
        ),
        "",
    ]


def _difference_name(name: str) -> str:
    """Return the translated name of a difference of ``OutputAgreement``."""
    return {
        "probability": _("of a probability"),
        "score": _("of a score"),
        "box": _("of a side, in pixels"),
        "mask": _("of a mask, as a part of its pixels"),
    }[name]


def _comparison_table(report: ValidationReport) -> list[str]:
    """Return the table of quality, size, latency and throughput of run and export.

    The quality is the headline metric, a dash where the images are not labelled. Latency is in milliseconds for one
    image, throughput in images per second in batches of eight.
    """
    names = {"map": "mAP", "map50": "mAP50", "segm_map50": _("mask mAP50"), "miou": "mIoU"}
    metric = {"accuracy": _("accuracy"), **names}[report.metric_name]
    rows = [
        (metric, *(map(format_percent, report.quality) if report.quality else (MISSING_VALUE, MISSING_VALUE))),
        (_("size"), *(f"{format_si_suffix(size)}B" for size in report.file_sizes)),
        (_("latency, batch 1 (ms)"), *(format_decimal(value, 2) for value in report.milliseconds)),
        (_("throughput, batch 8 (images/s)"), *(format_decimal(value, 1) for value in report.throughput)),
    ]
    return format_table(("", _("run"), _("export")), rows)
