"""Substitutes for the characters that an output stream cannot hold, such as a pipe of Windows (cp1252, cp850)."""

from __future__ import annotations

import codecs
import contextlib
import io
import sys

ERROR_HANDLER = "lince.substitutes"
# Signs of lince's texts, and those of its libraries, by what stands for them in ASCII. Letters are not among them: a
# name without its accents would be another name.
_SUBSTITUTES = str.maketrans(
    {
        "\u202f": " ",
        "\xa0": " ",
        "“": '"',
        "”": '"',
        "«": '"',
        "»": '"',
        "‘": "'",
        "’": "'",
        "…": "...",
        "–": "-",
        "—": "-",
        "−": "-",
        "·": "-",
        "×": "x",
        "±": "+/-",
        "≤": "<=",
        "≥": ">=",
        "→": "->",
        "←": "<-",
        "✓": "ok",
        "─": "-",
        "│": "|",
        "├": "|",
        "└": "`",
    }
)


def make_streams_printable() -> None:
    """Let stdout and stderr replace what they cannot encode: signs by similar ones, letters by an escape (``\\xf1``).

    So a line is never lost to an error, not even one with a file name that is not text.
    """
    codecs.register_error(ERROR_HANDLER, _replace_characters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors=ERROR_HANDLER)


def _replace_characters(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for the characters that ``error`` is about, in ASCII, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_SUBSTITUTES)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
