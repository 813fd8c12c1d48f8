"""The command ``lince``: runs the command that was typed, and turns errors into messages and exit codes.

Exit codes: 0 success, 1 failure, 2 invalid command or options, 130 interrupted with Ctrl-C, 141 the reader of the
output has gone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from lince.cli.command_parser import CommandParser
from lince.cli.console import Console
from lince.cli.examples import format_examples
from lince.cli.interruption import InterruptWatch
from lince.cli.options import localise_argparse
from lince.cli.substitutes import make_streams_printable
from lince.errors import LinceError
from lince.i18n import LANGUAGES, _
from lince.version import __version__

EXIT_USAGE, EXIT_INTERRUPTED, EXIT_OUTPUT_CLOSED = 2, 130, 141
DEBUG_VARIABLE = "LINCE_DEBUG"
COMPLETION_VARIABLE = "_ARGCOMPLETE"  # set by a shell that asks how a line may go on


def main(words: Sequence[str] | None = None) -> int:
    """Run ``lince`` with the arguments ``words`` (by default those of the process) and return the exit code.

    With the environment variable ``LINCE_DEBUG``, errors are raised instead of printed.
    """
    arguments = list(sys.argv[1:] if words is None else words)
    make_streams_printable()
    localise_argparse()
    console = Console(as_json="--json" in arguments)
    try:
        with InterruptWatch():
            return _run_command(arguments, console)
    except LinceError as error:
        return _report_error(console, error)
    except BrokenPipeError:
        # The reader has gone. Python flushes the buffer when it ends, which would raise the error again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OUTPUT_CLOSED
    except FileExistsError as error:
        problem = _("{path} exists already.").format(path=error.filename2 or error.filename)
        return _report_error(console, LinceError(problem, remedy=_("Choose another name, or remove it.")))
    except OSError as error:
        return _report_error(
            console, LinceError(_os_error_text(error), remedy=_("Check the disk and the permissions, then repeat."))
        )
    except KeyboardInterrupt:
        console.show_message(_("Interrupted."))
        return EXIT_INTERRUPTED


def list_commands() -> dict[str, str]:
    """Return the commands with a line of help each, in the order in which a beginner needs them."""
    return {
        "demo": _("train on built-in digits, to see the whole workflow"),
        "studio": _("label photos in the browser"),
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
        "completion": _("let your shell complete commands and options with the Tab key"),
    }


def build_parser(given: Sequence[str]) -> CommandParser:
    """Return the parser of the whole command line, with the options of the command that ``given`` names.

    Only the module of that command is imported: the libraries behind the others take longer to load than a help page.
    """
    requested = next((word for word in given if not word.startswith("-")), None)
    parser = CommandParser(
        "lince",
        description=_("From your own photos to a working image classifier or object detector, on your own machine."),
        epilog=_("lince COMMAND --help shows the options of a command. LINCE_LANG={codes} sets the language.").format(
            codes="|".join(LANGUAGES)
        ),
        allow_abbrev=False,
        words=() if requested else given,
    )
    parser.add_argument("--version", action="version", version=f"lince {__version__}", help=_("show the version"))
    branches = parser.add_subparsers(dest="verb", metavar=_("COMMAND"), required=True, title=_("commands"))
    for name, line in list_commands().items():
        description = line[:1].upper() + line[1:] + "."
        branch = branches.add_parser(name, help=line, description=description, allow_abbrev=False, words=given)
        if name == requested:
            command = import_module(f"lince.cli.{name}")
            command.configure(branch)
            branch.formatter_class, branch.epilog = argparse.RawDescriptionHelpFormatter, format_examples(name)
            branch.set_defaults(do=command.run, parser=branch)
            branch.add_argument("--json", action="store_true", help=_("print the result as JSON"))
    return parser


def _parse_words(words: list[str]) -> argparse.Namespace:
    """Return the arguments; paths of a list may stand before and after options: ``DATA --format voc OUT``."""
    parser = build_parser(words)
    arguments, rest = parser.parse_known_args(words)
    paths = getattr(arguments, "paths", None)
    if rest and isinstance(paths, list) and not any(word.startswith("-") for word in rest):
        paths += rest
    elif rest:
        arguments.parser.error(_("unrecognized arguments: %s") % " ".join(rest))
    return arguments


def _run_command(words: list[str], console: Console) -> int:
    """Parse ``words`` and run the command; return the exit code. Without words, show the commands on stderr.

    Where a shell asks how a line may go on, only that is answered.
    """
    if COMPLETION_VARIABLE in os.environ:
        completion = import_module("lince.cli.completion")
        completion.show_completions(build_parser(completion.read_typed_words()))
    if not words:
        build_parser(words).print_help(sys.stderr)
        return EXIT_USAGE
    try:
        arguments = _parse_words(words)
    except SystemExit as end:  # argparse has shown the help, or what is wrong with the words
        return int(end.code or 0)
    arguments.do(arguments, console)
    sys.stdout.flush()
    return 0


def _report_error(console: Console, error: LinceError) -> int:
    """Print ``error`` and return its exit code; with ``LINCE_DEBUG`` raise it."""
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    console.print_error(error)
    return error.exit_code


def _os_error_text(error: OSError) -> str:
    """Return the file and the reason of an operating system error; of a copy, the file that was to be written."""
    reason = error.strerror or str(error)
    path = error.filename2 or error.filename
    return f"{path}: {reason}" if path else reason
