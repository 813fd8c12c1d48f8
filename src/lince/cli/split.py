"""``lince split``: data divided for training, validation and test, with what shows the same kept together."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import lince
from lince.cli.console import Console
from lince.cli.options import add_data_options, parse_merges, parse_positive
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
        "--val", type=float, default=0.1, metavar=_("FRACTION"), help=_("validation fraction (default: 0.1)")
    )
    parser.add_argument(
        "--test", type=float, default=0.2, metavar=_("FRACTION"), help=_("test fraction (default: 0.2)")
    )
    parser.add_argument(
        "--folds", type=parse_positive, metavar="K", help=_("also divide the rest into K cross-validation folds")
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
    add_data_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Divide, and say how many images each part has."""
    done = lince.split(
        arguments.data,
        arguments.out,
        val=arguments.val,
        test=arguments.test,
        folds=arguments.folds,
        seed=arguments.seed,
        anew=arguments.anew,
        together=not arguments.apart,
        group=arguments.group,
        format=arguments.format,
        pattern=arguments.pattern,
        merge=parse_merges(arguments.merge),
        fix=arguments.fix,
        progress=console,
    )
    record = {
        "path": str(done.path),
        "sizes": {name or "unassigned": size for name, size in done.split_sizes.items()},
        "groups": done.groups.reasons if done.groups else {},
        "leaks": done.leak_count,
        "used": done.dataset.summarise(),
    }
    console.print_result(record, list(_result_lines(done)))


def _result_lines(done: SplitResult) -> list[str]:
    sizes = done.split_sizes
    lines = [done.dataset.summarise()]
    lines.append(_("training {train:,}, validation {val:,}, test {test:,}").format(**{k: sizes[k] for k in sizes if k}))
    if sizes[""]:
        lines.append(_("{count:,} images have no label and are in no split").format(count=sizes[""]))
    if done.groups and done.groups.grouped_count:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in done.groups.reasons.items())
        lines.append(_("{count:,} images grouped: {reasons}").format(count=done.groups.grouped_count, reasons=reasons))
    if done.leak_count:
        lines.append(
            _(
                "{count:,} training images are near-duplicates of images in the test split that came with the "
                "data; --ignore-existing-split makes a split without this leakage"
            ).format(count=done.leak_count)
        )
    lines.append(_("Written: {path}").format(path=done.path))
    return lines
