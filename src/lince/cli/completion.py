"""The command ``lince completion``: what a shell needs to complete commands and options of lince; by argcomplete."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from typing import Any

from lince.cli.console import Console
from lince.errors import MissingExtraError
from lince.i18n import _

SHELLS = ("bash", "zsh", "fish", "powershell")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lince completion``."""
    parser.add_argument(
        "shell",
        choices=SHELLS,
        help=_("your shell; add what is printed to the file that it reads when it starts, as in the examples"),
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Print the script that lets the shell complete.

    The JSON document has ``shell`` and ``script``. Raises ``MissingExtraError`` where argcomplete is not installed.
    """
    script = _load_argcomplete().shellcode(["lince"], shell=arguments.shell)
    console.print_result({"shell": arguments.shell, "script": script}, [script])


def read_typed_words() -> list[str]:
    """Return the words after ``lince`` in the line that is to be completed, up to the cursor."""
    line, point = os.environ.get("COMP_LINE", ""), int(os.environ.get("COMP_POINT", "0"))
    return line[:point].split()[1:]


def show_completions(parser: argparse.ArgumentParser) -> None:
    """Write the possible next words to the shell, and end the process."""
    _load_argcomplete().autocomplete(parser)


def _load_argcomplete() -> Any:
    """Return the library; raise ``MissingExtraError`` where it is not installed."""
    try:
        return import_module("argcomplete")
    except ImportError as error:
        raise MissingExtraError(
            _("This needs {module}, which is not installed.").format(module="argcomplete"),
            "",
            _("Type: {line}").format(line="pip install argcomplete"),
        ) from error
