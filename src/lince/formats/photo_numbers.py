"""Finds photos whose names are numbers with leading zeros (``007.png``) by a number without them."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable

from lince.storage.scan import looks_like_image


class PhotoNumbers:
    """The photos among ``names``, files of a tree, that are called by a number alone, by that number."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names_by_number: defaultdict[str, list[str]] = defaultdict(list)
        for name in filter(looks_like_image, names):
            stem = posixpath.splitext(posixpath.basename(name))[0]
            if _is_number(stem):
                self._names_by_number[_strip_zeros(stem)].append(name)

    def __len__(self) -> int:
        return sum(map(len, self._names_by_number.values()))

    def find(self, image_reference: str, folder: str = "") -> str | None:
        """Return the photo of a number such as ``7``; ``None`` where there is none, or no single one.

        Of several, the one in or below ``folder`` is meant.

        >>> PhotoNumbers(["a/007.png"]).find("7")
        'a/007.png'
        """
        number = image_reference.strip()
        names = self._names_by_number.get(_strip_zeros(number), []) if _is_number(number) else []
        if len(names) > 1 and folder:
            names = [name for name in names if name.startswith(f"{folder}/")]
        return names[0] if len(names) == 1 else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _strip_zeros(text: str) -> str:
    return text.lstrip("0") or "0"
