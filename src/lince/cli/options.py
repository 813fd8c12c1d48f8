"""Words in, choices out: argparse in the person's language, and the kinds of value that lince's options take."""

from __future__ import annotations

import argparse
import gettext
import os
import re

from lince.errors import UsageError
from lince.formats.registry import FORMATS
from lince.i18n import LOCALE_FOLDER, _, get_language

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


def localise_argparse() -> None:
    """Let argparse, which asks gettext's default catalogue, speak the language of lince's own messages."""
    os.environ["LANGUAGE"] = get_language()
    gettext.bindtextdomain("lince", str(LOCALE_FOLDER))
    gettext.textdomain("lince")


def list_argparse_messages() -> tuple[str, ...]:
    """Return argparse's own words in the language in force: they stand here so that the catalogues hold them."""
    return (
        _("usage: "),
        _("positional arguments"),
        _("options"),
        _("show this help message and exit"),
        _("%(prog)s: error: %(message)s\n"),
        _("argument %(argument_name)s: %(message)s"),
        _("the following arguments are required: %s"),
        _("unrecognized arguments: %s"),
        _("expected one argument"),
        _("expected at least one argument"),
        _("invalid %(type)s value: %(value)r"),
        _("invalid choice: %(value)r (choose from %(choices)s)"),
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add how the data is to be read: the arguments of ``lince.open``."""
    group = parser.add_argument_group(_("how to read the data"))
    names = ", ".join(FORMATS)
    group.add_argument(
        "--format", metavar=_("NAME"), help=_("data format, one of: {names} (default: detected)").format(names=names)
    )
    group.add_argument(
        "--pattern", metavar=_("TEXT"), help=_("position of the class in the file names, such as '{class}_{n}'")
    )
    group.add_argument(
        "--merge",
        metavar=_("NAME=A,B"),
        action="append",
        default=[],
        help=_("merge the classes A and B into NAME (can be repeated)"),
    )
    group.add_argument(
        "--fix",
        metavar=_("LIST"),
        type=parse_list,
        default=(),
        help=_("what to fix while reading: clip, order, duplicates; files are not changed"),
    )


def parse_list(text: str) -> tuple[str, ...]:
    """Return the words in ``clip,order``."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def parse_merges(texts: list[str]) -> dict[str, list[str]]:
    """Return the groups that ``--merge cat=Abyssinian,Bengal`` asks for; raise ``UsageError`` on anything else."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        name, equals, members = text.partition("=")
        listed = [member.strip() for member in members.split(",") if member.strip()]
        if not (name.strip() and equals and listed):
            raise UsageError(
                _("--merge cannot be '{text}'.").format(text=text),
                _("Expected a new name and the classes to merge: --merge cat=Abyssinian,Bengal."),
            )
        groups.setdefault(name.strip(), []).extend(listed)
    return groups


def parse_duration(text: str) -> float:
    """Return the seconds in ``90s``, ``15m``, ``1.5h`` or ``300``; raise ``UsageError`` on anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|)", text.strip().lower())
    if not found:
        raise UsageError(
            _("'{text}' is not a duration.").format(text=text), _("Expected seconds, minutes or hours: 90s, 15m, 1.5h.")
        )
    return float(found[1]) * _UNIT_SECONDS[found[2]]


def parse_positive(text: str) -> int:
    """Return the whole number, 1 or more, in ``text``; raise ``UsageError`` on anything else."""
    if not (text.isdecimal() and int(text) > 0):
        raise UsageError(
            _("'{text}' is not a positive whole number.").format(text=text), _("Expected a whole number, 1 or more.")
        )
    return int(text)


def parse_split(text: str) -> tuple[float, float]:
    """Return the validation and test shares in ``0.1,0.2``; raise ``UsageError`` on anything else."""
    try:
        val, test = map(float, text.split(","))
    except ValueError:
        raise UsageError(
            _("--split cannot be '{text}'.").format(text=text),
            _("Expected the validation and test fractions: --split 0.1,0.2."),
        ) from None
    return val, test
