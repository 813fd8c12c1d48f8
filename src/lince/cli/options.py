"""Options that several commands share, parsers of option values, and argparse in the user's language."""

from __future__ import annotations

import argparse
import gettext
import os
import re
from collections.abc import Iterable
from typing import Any

from lince.errors import UsageError
from lince.formats.registry import FORMATS
from lince.i18n import LOCALE_FOLDER, _, get_language
from lince.option_aliases import list_flags, make_repeated_error

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


def localise_argparse() -> None:
    """Let argparse, which takes its messages from gettext's default catalogue, use that of lince."""
    os.environ["LANGUAGE"] = get_language()
    gettext.bindtextdomain("lince", str(LOCALE_FOLDER))
    gettext.textdomain("lince")


def list_argparse_messages() -> tuple[str, ...]:
    """Return argparse's own messages in the current language.

    They are listed here so that ``scripts/messages.py`` extracts them for the catalogues.
    """
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


class AliasedOption(argparse.Action):
    """Stores the value of an option with several names; giving two of them is an error that says so.

    As always on a command line, the last of several values given by one name counts. With ``type`` a list, such as that
    of thresholds, all of them count.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store ``values``; raise ``UsageError`` when the option was given by another name before."""
        flags = vars(namespace).setdefault("typed_flags", {})
        flag = option_string or self.option_strings[0]
        if flags.setdefault(self.dest, flag) != flag:
            raise make_repeated_error(flags[self.dest], flag)
        is_list = isinstance(self.default, list)
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values] if is_list else values)


def add_aliased_option(group: argparse._ActionsContainer, name: str, **options: Any) -> argparse.Action:
    """Return the option ``name``, added to ``group`` by all of its names; ``options`` are those of ``add_argument``."""
    return group.add_argument(*list_flags(name), dest=name, action=AliasedOption, **options)


def offer_values(action: argparse.Action, values: Iterable[str]) -> None:
    """Let shells complete the value of ``action`` with ``values``, where it may also have others or a better error."""
    names = tuple(values)
    action.completer = lambda **_context: names  # type: ignore[attr-defined]  # of argcomplete


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to read the data; ``get_data_options`` returns their values."""
    group = parser.add_argument_group(_("how to read the data"))
    names = ", ".join(FORMATS)
    layout = group.add_argument(
        "--format", metavar=_("NAME"), help=_("data format, one of: {names} (default: detected)").format(names=names)
    )
    offer_values(layout, FORMATS)
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
        help=_("what to fix while reading: clip, order, duplicates (default: nothing); files are not changed"),
    )
    group.add_argument(
        "--void",
        metavar=_("LIST"),
        type=parse_list,
        default=(),
        help=_("values, #rrggbb colours or names in mask images that say nothing of a pixel (default: 255 and void)"),
    )


def get_data_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of ``add_data_options`` as keyword arguments of ``lince.open``."""
    return {
        "format": arguments.format,
        "pattern": arguments.pattern,
        "merge": parse_merges(arguments.merge),
        "fix": arguments.fix,
        "void": arguments.void,
    }


def parse_list(text: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list: ``clip,order``."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def parse_merges(texts: list[str]) -> dict[str, list[str]]:
    """Return the classes to merge by their new name, from values such as ``cat=Abyssinian,Bengal``.

    A name that occurs twice gets the classes of both. Raises ``UsageError`` for anything else.
    """
    groups: dict[str, list[str]] = {}
    for text in texts:
        name, equals, members = text.partition("=")
        classes = [member.strip() for member in members.split(",") if member.strip()]
        if not (name.strip() and equals and classes):
            raise UsageError(
                _("--merge cannot be '{text}'.").format(text=text),
                _("Expected a new name and the classes to merge: --merge cat=Abyssinian,Bengal."),
            )
        groups.setdefault(name.strip(), []).extend(classes)
    return groups


def parse_decimal(text: str) -> float:
    """Return the number in ``0.5`` or ``0,5``, as the languages of lince write it.

    Raises ``UsageError`` for anything else, and for ``1,250``, which may be one and a quarter or a thousand and more.
    """
    word = text.strip()
    if re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+", word, re.ASCII):
        readings = [word.replace(",", ".")] * (word.count(",") == 1) + [word.replace(",", "")]
        raise UsageError(
            _("'{text}' may have thousands separators or a decimal comma.").format(text=text),
            _("Expected {readings}.").format(readings=_(" or ").join(readings)),
        )
    try:
        return float(word.replace(",", ".") if re.fullmatch(r"[+-]?\d*,\d+(e[+-]?\d+)?", word, re.ASCII) else word)
    except ValueError:
        raise UsageError(
            _("'{text}' is not a number.").format(text=text), _("Expected a number, such as 0.5 or 0,5.")
        ) from None


def parse_duration(text: str) -> float:
    """Return the seconds of ``90s``, ``15m``, ``1.5h``, ``1,5h`` or ``300``; raise ``UsageError`` for anything else."""
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*(s|m|min|h|)", text.strip().lower())
    if not match:
        raise UsageError(
            _("'{text}' is not a duration.").format(text=text), _("Expected seconds, minutes or hours: 90s, 15m, 1.5h.")
        )
    return parse_decimal(match[1]) * _UNIT_SECONDS[match[2]]


def parse_positive(text: str) -> int:
    """Return the integer, 1 or more, in ``text``; raise ``UsageError`` for anything else."""
    if not (text.isdecimal() and int(text) > 0):
        raise UsageError(
            _("'{text}' is not a positive whole number.").format(text=text), _("Expected a whole number, 1 or more.")
        )
    return int(text)


def parse_split(text: str) -> tuple[float, float]:
    """Return the validation and test fractions in ``0.1,0.2``, ``0,1 0,2`` or ``0,1;0,2``.

    Raises ``UsageError`` for anything else.
    """
    words = text.replace(";", " ").split()
    try:
        val, test = map(parse_decimal, words) if len(words) == 2 else map(float, text.split(","))
    except (ValueError, UsageError):
        raise UsageError(
            _("--split cannot be '{text}'.").format(text=text),
            _("Expected the validation and test fractions: --split 0.1,0.2."),
        ) from None
    return val, test
