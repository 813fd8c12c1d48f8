"""Decodes the text of CSV files and finds their delimiter, for every format that is a CSV table."""

from __future__ import annotations

CSV_SUFFIXES = (".csv", ".tsv")
_DELIMITERS = ",;\t|"


def decode_text(data: bytes) -> str:
    """Return the text of a CSV file.

    UTF-16 is recognised by its byte order mark; else UTF-8 is tried (a byte order mark is dropped), then Windows-1252,
    which older spreadsheets write. Never raises: what no encoding explains becomes U+FFFD.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def find_first_line(text: str) -> tuple[str, str]:
    """Return (line, delimiter) of the first line of ``text`` that is not blank, the empty string where there is none.

    The delimiter is the one of comma, semicolon, tab and bar that occurs most often in it; a comma in a tie.
    """
    line = next((line for line in text.splitlines() if line.strip()), "")
    return line, max(_DELIMITERS, key=line.count)
