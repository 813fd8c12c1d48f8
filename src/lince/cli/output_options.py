"""The option of all commands that write files: ``--overwrite``."""

from __future__ import annotations

import argparse

from lince.i18n import _


def add_overwrite_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--overwrite``; ``lince.outputs`` says what it allows."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=_("replace an output file that exists and was changed, or was not written by lince; never photos or runs"),
    )
