"""The command ``lince convert``: converts data to another format, and lists what was lost, left out and repaired."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import lince
from lince.cli.console import Console
from lince.cli.options import add_data_options, get_data_options, offer_values
from lince.cli.text_table import format_table
from lince.errors import UsageError
from lince.formats.registry import FORMATS
from lince.i18n import _
from lince.number_format import format_count

if TYPE_CHECKING:
    from lince.annotations import RejectedItem
    from lince.datasets.conversion import ConvertResult

_MAX_ITEMS = 10  # of each list on the terminal


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
    layouts = FORMATS.list_writable()
    layout = parser.add_argument(
        "--to", required=True, metavar=_("NAME"), help=_("one of: {names}").format(names=", ".join(layouts))
    )
    offer_values(layout, layouts)
    image_modes = parser.add_mutually_exclusive_group()
    for mode, help_text in (
        ("copy", _("copy the images (default)")),
        ("link", _("link to the images instead of copying them")),
        ("reference", _("leave the images where they are; the labels name their full paths")),
    ):
        image_modes.add_argument(
            f"--{mode}", dest="images", action="store_const", const=mode, default="copy", help=help_text
        )
    parser.add_argument(
        "--lossy", action="store_true", help=_("convert even if the new format cannot represent everything")
    )
    parser.add_argument("--allow-unusable", action="store_true", help=_("continue even if many images are unusable"))
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Convert the data and print what was written.

    The last path is the output folder, the others are data. The JSON document has ``path``, ``format``, ``images``,
    ``objects``, ``classes``, what was ``lost``, and the ``rejected`` and ``repaired`` items.

    Raises ``UsageError`` when only one path is given, and what ``lince.convert`` raises; nothing is written then.
    """
    *sources, out = arguments.paths
    if not sources:
        raise UsageError(
            _("Only one path was given: {path}.").format(path=out),
            _("Expected the data and then the output folder: lince convert DATA OUT --to {name}.").format(
                name=arguments.to
            ),
        )
    result = lince.convert(
        sources,
        out,
        arguments.to,
        images=arguments.images,
        lossy=arguments.lossy,
        **get_data_options(arguments),
        allow_unusable=arguments.allow_unusable,
        progress=console,
    )
    console.print_result(_document(result), _result_lines(result))


def _document(result: ConvertResult) -> dict[str, Any]:
    """Return the JSON document of a conversion.

    ``classes`` has the id of each class in the new format with its number of images or objects; ``lost`` has the kinds
    of loss with their counts; ``misstated_sizes`` counts images whose size differs from what their labels state.
    """
    return {
        "path": str(result.path),
        "format": result.format,
        "images": result.images,
        "objects": result.objects,
        "classes": [
            {"id": number, "name": name, "count": result.class_counts[name]}
            for number, name in enumerate(result.classes.names)
        ],
        "lost": [{"what": loss.kind, "count": loss.count, "words": loss.description} for loss in result.losses],
        "misstated_sizes": result.misstated_size_count,
        "used": result.summary,
        "rejected": [_item_record(item) for item in result.rejected],
        "repaired": [_item_record(item) for item in result.repaired],
    }


def _item_record(item: RejectedItem) -> dict[str, Any]:
    """Return a rejected or repaired item as a JSON object; ``fault`` is one of ``annotations.REJECTION_KINDS``."""
    return {
        "file": item.path,
        "line": item.line,
        "fault": item.kind,
        "reason": item.reason,
        "remedy": item.remedy,
    }


def _result_lines(result: ConvertResult) -> list[str]:
    """Return the table of the classes, what was left out, repaired and lost, and the path.

    Of the items that were left out or repaired, up to ten are listed.
    """
    rows = [
        (str(number), name, format_count(result.class_counts[name])) for number, name in enumerate(result.classes.names)
    ]
    lines = [
        *format_table((_("id"), _("class"), _("objects") if result.objects else _("images")), rows),
        "",
        result.summary,
    ]
    lines += _shortened_list(_("Skipped:"), result.rejected) + _shortened_list(_("Fixed:"), result.repaired)
    if result.losses:
        lines += [_("Lost in the conversion:"), *(f"  {loss}" for loss in result.losses)]
    if result.misstated_size_count:
        lines.append(
            _("Images whose size differs from their labels: {count:,} (lince check lists them)").format(
                count=result.misstated_size_count
            )
        )
    return [*lines, _written_line(result)]


def _written_line(result: ConvertResult) -> str:
    """Return the line with the path and the numbers of images and objects."""
    text = _("Written: {path} ({format}): {images:,} images")
    if result.objects:
        text = _("Written: {path} ({format}): {images:,} images, {objects:,} objects")
    return text.format(path=result.path, format=result.format, images=result.images, objects=result.objects)


def _shortened_list(title: str, items: tuple[RejectedItem, ...]) -> list[str]:
    """Return ``title`` and the first items below it; nothing without items."""
    if not items:
        return []
    more = [_("  and {more} more").format(more=len(items) - _MAX_ITEMS)] if len(items) > _MAX_ITEMS else []
    return [title, *(f"  {item}" for item in items[:_MAX_ITEMS]), *more]
