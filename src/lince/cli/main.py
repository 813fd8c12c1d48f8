"""The command ``lince``: finds the verb, runs it, and turns whatever happens into words and an exit code.

Exit codes: 0 it did what was asked, 1 it could not, 2 it was asked for something that cannot be, 130 interrupted
with Ctrl-C, 141 the reader of its output went away.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from lince.cli.console import Console
from lince.cli.options import localise_argparse
from lince.errors import LinceError
from lince.i18n import _
from lince.version import __version__

EXIT_INTERRUPTED, EXIT_OUTPUT_CLOSED = 130, 141
DEBUG_VARIABLE = "LINCE_DEBUG"


def main(words: Sequence[str] | None = None) -> int:
    """Run ``lince`` with ``words`` (those it was called with by default) and return the exit code."""
    given = list(sys.argv[1:] if words is None else words)
    _escape_unprintable()
    localise_argparse()
    console = Console(as_json="--json" in given)
    try:
        return _run_command(given, console)
    except LinceError as error:
        return _report_error(console, error)
    except BrokenPipeError:
        # Nobody reads any more; what is still in the buffer must not complain when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OUTPUT_CLOSED
    except FileExistsError as error:
        found = _("{path} exists already.").format(path=error.filename2 or error.filename)
        return _report_error(console, LinceError(found, remedy=_("Choose another name, or remove it.")))
    except OSError as error:
        return _report_error(
            console, LinceError(_os_error_text(error), remedy=_("Check the disk and the permissions, then repeat."))
        )
    except KeyboardInterrupt:
        console.show_message(_("Interrupted."))
        return EXIT_INTERRUPTED


def list_commands() -> dict[str, str]:
    """Return what lince can do: a line of help for each verb, in the order of a newcomer's day."""
    return {
        "demo": _("train on built-in digits: the whole workflow in about a minute"),
        "check": _("find problems in your photos and labels, and how to fix them"),
        "show": _("preview annotations on the photos"),
        "convert": _("convert a dataset to another format"),
        "split": _("split a dataset into training, validation and test, without leakage"),
        "train": _("train an image classifier or object detector on your photos"),
        "evaluate": _("evaluate a model on labelled photos"),
        "compare": _("compare training runs on the same test photos"),
        "predict": _("run inference on new photos or videos"),
        "similar": _("find the photos most similar to a given one"),
        "export": _("export a model for another runtime, and validate it"),
        "serve": _("serve models over HTTP, with a web page"),
        "augment": _("preview data augmentation"),
        "models": _("list available models with their cost, or show one layer by layer"),
        "doctor": _("show the hardware and what is installed"),
    }


def build_parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the whole command, with the options of the verb that ``given`` names."""
    parser = argparse.ArgumentParser(
        "lince",
        description=_("From your own photos to a working image classifier or object detector, on your own machine."),
        epilog=_("lince COMMAND --help shows the options of a command. LINCE_LANG=en|es|pt sets the language."),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lince {__version__}", help=_("show the version"))
    branches = parser.add_subparsers(dest="verb", metavar=_("COMMAND"), required=True, title=_("commands"))
    named = next((word for word in given if not word.startswith("-")), None)
    for name, line in list_commands().items():
        described = line[:1].upper() + line[1:] + "."
        branch = branches.add_parser(name, help=line, description=described, allow_abbrev=False)
        if name == named:
            # Only the verb in use is loaded: the libraries behind the others take longer than the help page.
            verb = import_module(f"lince.cli.{name}")
            verb.configure(branch)
            branch.set_defaults(do=verb.run)
            branch.add_argument("--json", action="store_true", help=_("print the result as JSON"))
    return parser


def _run_command(given: list[str], console: Console) -> int:
    try:
        arguments = build_parser(given).parse_args(given)
    except SystemExit as end:  # argparse has shown the help, or what is wrong with the words
        return int(end.code or 0)
    arguments.do(arguments, console)
    sys.stdout.flush()
    return 0


def _report_error(console: Console, error: LinceError) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    console.print_error(error)
    return error.exit_code


def _os_error_text(error: OSError) -> str:
    reason = error.strerror or str(error)
    place = error.filename2 or error.filename  # of a copy: where it was to be written
    return f"{place}: {reason}" if place else reason


def _escape_unprintable() -> None:
    """Let names that are not text, and letters that a terminal lacks, be printed rather than end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")
