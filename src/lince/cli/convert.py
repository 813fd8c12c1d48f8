"""``lince convert``: data in one format written anew in another, with what was lost, left out and mended."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import lince
from lince.cli.console import Console
from lince.cli.options import add_data_options, parse_merges
from lince.cli.text_table import format_table
from lince.errors import UsageError
from lince.formats.registry import FORMATS
from lince.i18n import _
from lince.number_format import format_count

if TYPE_CHECKING:
    from lince.annotations import RejectedItem
    from lince.datasets.conversion import ConvertResult

_MAX_ITEMS = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince convert``."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar=_("PATH"),
        help=_(
            "the data, in any format that lince reads (several datasets are merged, classes by name), then the "
            "output folder"
        ),
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar=_("NAME"),
        help=_("one of: {names}").format(names=", ".join(FORMATS.list_writable())),
    )
    ways = parser.add_mutually_exclusive_group()
    for way, line in (
        ("copy", _("copy the images (default)")),
        ("link", _("link to the images instead of copying them")),
        ("reference", _("leave the images where they are; the labels name their full paths")),
    ):
        ways.add_argument(f"--{way}", dest="images", action="store_const", const=way, default="copy", help=line)
    parser.add_argument(
        "--lossy", action="store_true", help=_("convert even if the new format cannot represent everything")
    )
    parser.add_argument("--allow-unusable", action="store_true", help=_("continue even if many images are unusable"))
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Convert, and tell what came of it."""
    *sources, out = arguments.paths
    if not sources:
        raise UsageError(
            _("Only one path was given: {path}.").format(path=out),
            _("Expected the data and then the output folder: lince convert DATA OUT --to {name}.").format(
                name=arguments.to
            ),
        )
    done = lince.convert(
        sources,
        out,
        arguments.to,
        images=arguments.images,
        lossy=arguments.lossy,
        format=arguments.format,
        pattern=arguments.pattern,
        merge=parse_merges(arguments.merge),
        fix=arguments.fix,
        allow_unusable=arguments.allow_unusable,
        progress=console,
    )
    console.print_result(_document(done), _result_lines(done))


def _document(done: ConvertResult) -> dict[str, Any]:
    return {
        "path": str(done.path),
        "format": done.format,
        "images": done.images,
        "objects": done.objects,
        "classes": [
            {"id": number, "name": name, "count": done.class_counts[name]}
            for number, name in enumerate(done.classes.names)
        ],
        "lost": [{"what": loss.kind, "count": loss.count, "words": loss.description} for loss in done.losses],
        "misstated_sizes": done.misstated_size_count,
        "used": done.summary,
        "rejected": [_item_record(item) for item in done.rejected],
        "repaired": [_item_record(item) for item in done.repaired],
    }


def _item_record(item: RejectedItem) -> dict[str, Any]:
    return {
        "file": item.path,
        "line": item.line,
        "fault": item.kind,
        "reason": item.reason,
        "remedy": item.remedy,
    }


def _result_lines(done: ConvertResult) -> list[str]:
    rows = [
        (str(number), name, format_count(done.class_counts[name])) for number, name in enumerate(done.classes.names)
    ]
    lines = [
        *format_table((_("id"), _("class"), _("objects") if done.objects else _("images")), rows),
        "",
        done.summary,
    ]
    lines += _shortened_list(_("Skipped:"), done.rejected) + _shortened_list(_("Fixed:"), done.repaired)
    if done.losses:
        lines += [_("Lost in the conversion:"), *(f"  {loss}" for loss in done.losses)]
    if done.misstated_size_count:
        lines.append(
            _("Images whose size differs from their labels: {count:,} (lince check lists them)").format(
                count=done.misstated_size_count
            )
        )
    return [*lines, _written_line(done)]


def _written_line(done: ConvertResult) -> str:
    text = _("Written: {path} ({format}): {images:,} images")
    if done.objects:
        text = _("Written: {path} ({format}): {images:,} images, {objects:,} objects")
    return text.format(path=done.path, format=done.format, images=done.images, objects=done.objects)


def _shortened_list(title: str, items: tuple[RejectedItem, ...]) -> list[str]:
    if not items:
        return []
    more = [_("  and {more} more").format(more=len(items) - _MAX_ITEMS)] if len(items) > _MAX_ITEMS else []
    return [title, *(f"  {item}" for item in items[:_MAX_ITEMS]), *more]
