"""The argument parser of the command line: it says which verb, option or value was probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from lince.validation import suggest_names


class CommandParser(argparse.ArgumentParser):
    """An ``argparse.ArgumentParser`` whose errors name the closest verb, option or value.

    ``words`` are those that were typed; options that the parser does not know are looked for among them.
    """

    def __init__(self, *arguments: Any, words: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.words = tuple(words)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise ``ArgumentError`` with the closest choice when ``value`` is none of the choices of ``action``."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            names = suggest_names(str(value), map(str, action.choices or ()))
            if not names:
                raise
            raise argparse.ArgumentError(action, f"{error.message}\n{names}") from None

    def error(self, message: str) -> Any:
        """Show usage, ``message`` and the options that were probably meant, and exit with 2."""
        super().error("\n".join((message, *self._suggest_options())))

    def _suggest_options(self) -> Iterable[str]:
        """Yield a line for each word of an option that this parser does not know but that resembles some."""
        known = [option[2:] for option in self._option_string_actions if option.startswith("--")]
        for word in self.words:
            option = word.partition("=")[0]
            if option.startswith("-") and option not in self._option_string_actions:
                line = suggest_names(option, known, prefix="--")
                if line:
                    yield line
