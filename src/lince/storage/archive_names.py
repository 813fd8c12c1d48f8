"""Finds the encoding of file names in zip archives that do not say it: western Europe's, or Japan's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_WESTERN = ("cp850", "cp1252")  # of Windows' own archiver in western Europe, and of other programs there
_JAPANESE = "cp932"
_WESTERN_SIGNS = "ªº°·¿¡«»´"
_JAPANESE_LETTERS = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff01-\uff5e]")  # kana, kanji, wide forms
_TURN_OF_CASE = re.compile(r"[a-zà-öø-ÿ][A-ZÀ-ÖØ-Þ]")


def find_name_encoding(raw_names: Iterable[bytes]) -> str:
    """Return the encoding in which all of ``raw_names`` are plausible text, '' where there is none.

    Several may fit a short name; so western text is taken only where its accents stand as words have them, and
    Japanese where all letters beyond ASCII are kana or kanji.
    """
    names = list(raw_names)
    for encoding in _WESTERN:
        if all(_is_western(text) for text in _decode(names, encoding)):
            return encoding
    return _JAPANESE if all(map(_is_japanese, _decode(names, _JAPANESE))) else ""


def _decode(names: list[bytes], encoding: str) -> list[str]:
    """Return ``names`` as text; one that the encoding cannot hold becomes U+FFFD, which is no plausible text."""
    return [name.decode(encoding, "replace") for name in names]


def _is_western(text: str) -> bool:
    """Whether the letters beyond ASCII are Latin, and in words that change to capitals only at their beginning."""
    for word in re.findall(r"[^\x00-\x40\x5b\x5d-\x60\x7b-\x7f]+", text):  # a backslash belongs to the word
        if word.isascii():
            continue
        letters = [letter for letter in word if not letter.isascii() and letter not in _WESTERN_SIGNS]
        if not all(unicodedata.name(letter, "").startswith("LATIN") for letter in letters):
            return False
        if _TURN_OF_CASE.search(word) or "\\" in word:
            return False
    return True


def _is_japanese(text: str) -> bool:
    return all(letter.isascii() or _JAPANESE_LETTERS.fullmatch(letter) for letter in text)
