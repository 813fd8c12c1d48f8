"""The option of all commands that write files, ``--overwrite``, and the new folder of ``lince predict --save``."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from lince import fileio
from lince.i18n import _

DEFAULT_FOLDER = "answers"  # of ``--save`` without a value


def add_overwrite_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--overwrite``; ``lince.outputs`` says what it allows."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=_("replace an output file that exists and was changed, or was not written by lince; never photos or runs"),
    )


def resolve_output_folder(path: str | None, sources: Sequence[str]) -> Path | None:
    """Return the folder of ``--save``; ``None`` without that option.

    Without a value it is the first free one of ``answers``, ``answers2``, ... Raises ``UsageError`` when the folder is
    not empty, or in one of ``sources``.
    """
    if path is None:
        return None
    from lince import outputs  # noqa: PLC0415  # imports numpy, which help pages do without

    folder = _first_free_folder(Path(DEFAULT_FOLDER)) if path == DEFAULT_FOLDER else Path(path)
    fileio.require_empty_folder(folder)
    return outputs.require_output_folder(folder, outputs.ANSWERS, sources=sources)


def _first_free_folder(folder: Path) -> Path:
    """Return ``folder``, or the first of folder2, folder3, ... that does not exist."""
    numbered = (folder.with_name(f"{folder.name}{number}") for number in itertools.count(2))
    return next(candidate for candidate in itertools.chain([folder], numbered) if not candidate.exists())
