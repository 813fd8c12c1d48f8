"""The command ``lince split``: splits a dataset into training, validation and test."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import lince
from lince.cli.console import Console
from lince.cli.options import add_data_options, get_data_options, parse_decimal, parse_positive
from lince.cli.output_options import add_overwrite_option
from lince.i18n import _

if TYPE_CHECKING:
    from lince.api.split import SplitResult


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince split``."""
    parser.add_argument("data", metavar=_("DATA"), help=_("the photos, in any format that lince reads"))
    parser.add_argument(
        "out",
        metavar=_("FILE"),
        nargs="?",
        help=_("output table (default: splits.csv next to the data, which all commands use)"),
    )
    parser.add_argument(
        "--val", type=parse_decimal, default=0.1, metavar=_("FRACTION"), help=_("validation fraction (default: 0.1)")
    )
    parser.add_argument(
        "--test", type=parse_decimal, default=0.2, metavar=_("FRACTION"), help=_("test fraction (default: 0.2)")
    )
    parser.add_argument(
        "--folds",
        type=parse_positive,
        metavar="K",
        help=_("also divide the rest into K cross-validation folds (default: none)"),
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=_("random seed (default: 0)"))
    parser.add_argument(
        "--ignore-existing-split",
        "--anew",
        dest="anew",
        action="store_true",
        help=_("ignore the split that comes with the data"),
    )
    parser.add_argument(
        "--no-grouping",
        "--apart",
        dest="apart",
        action="store_true",
        help=_("do not group near-duplicate photos, which otherwise stay in the same split"),
    )
    parser.add_argument("--group", metavar=_("TEXT"), help=_("group photos by file name, such as '{group}_{n}'"))
    add_overwrite_option(parser)
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Split the dataset, write the table, and print the sizes of the splits.

    The JSON document has ``path`` of the table, ``sizes`` by split, ``groups`` (how many images were kept together, by
    reason), ``cuts`` (groups that held too much: images, groups made of them, and by what), ``leaks`` (images that
    share a group with one of a given test split), ``unreadable`` (images that cannot be read), and ``used``, the
    sentence of ``Dataset.summarise``.
    """
    result = lince.split(
        arguments.data,
        arguments.out,
        val=arguments.val,
        test=arguments.test,
        folds=arguments.folds,
        seed=arguments.seed,
        anew=arguments.anew,
        together=not arguments.apart,
        group=arguments.group,
        overwrite=arguments.overwrite,
        **get_data_options(arguments),
        progress=console,
    )
    record = {
        "path": str(result.path),
        "sizes": {name or "unassigned": size for name, size in result.split_sizes.items()},
        "groups": result.groups.reasons,
        "cuts": [cut.to_dict() for cut in result.groups.cuts],
        "leaks": result.leak_count,
        "unreadable": len(result.groups.unreadable_rows),
        "used": result.dataset.summarise(),
    }
    console.print_result(record, list(_result_lines(result)))


def _result_lines(result: SplitResult) -> list[str]:
    """Return the sizes, the groups that were kept together, the leaks, and the path of the table.

    Leaks are only possible where a test split came with the data.
    """
    sizes = result.split_sizes
    lines = [result.dataset.summarise(), *result.dataset.describe_left_out()]
    lines.append(_("training {train:,}, validation {val:,}, test {test:,}").format(**{k: sizes[k] for k in sizes if k}))
    unreadable = len(result.groups.unreadable_rows)
    if unreadable:
        lines.append(_("{count:,} images cannot be read: lince check names them").format(count=unreadable))
    if sizes[""] > unreadable:
        lines.append(_("{count:,} images have no label and are in no split").format(count=sizes[""] - unreadable))
    lines += result.division.describe()
    if result.leak_count:
        lines.append(
            _(
                "{count:,} training or validation images are copies or frames of what the test split that came with "
                "the data shows; --ignore-existing-split makes a split without this leakage"
            ).format(count=result.leak_count)
        )
    if result.division.val_leak_count:
        lines.append(
            _(
                "{count:,} training images are copies or frames of what the validation split that came with the data "
                "shows; --ignore-existing-split makes a split without this leakage"
            ).format(count=result.division.val_leak_count)
        )
    lines.append(_("Written: {path}").format(path=result.path))
    return lines
