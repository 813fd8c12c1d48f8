"""Reads from file names which images may be versions of one original, and which were taken one after the other.

Names are only evidence: whether two images belong together is decided by what they show (``groups.py``).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lince.splits import SPLIT_WORDS

SCOPES = FOLDER, SPLITS, EVERYWHERE = "folder", "splits", "everywhere"
# clip_0041, beach (12): a series and the number of an image in it. Explorer and browsers write the parentheses.
_SERIES_PATTERN = re.compile(r"(?P<series>.*?)(?:(?P<number>\d+)| ?\((?P<listed>\d+)\))$")
# beach_jpg.rf.0a1b2c3d: a version made by Roboflow from beach.jpg.
_EXPORT_PATTERN = re.compile(
    r"(?P<original>.+)[._](?:jpe?g|png|bmp|webp|tiff?|heic|avif)\.rf\.[0-9a-z]{8,}$", re.IGNORECASE
)
# beach-copy, beach (copia), beach - Copy (2), beach_flip2: a version made by hand or by an augmentation program.
_VERSION_PATTERN = re.compile(
    r"(?P<original>.+?)(?:[ _-]*\((?:copy|copia|cópia)\)"
    r"|[ _-]+(?:copy|copia|cópia|aug|augmented|alt|(?:[hv]|horizontal_|vertical_)?flip|flipped|mirror|mirrored"
    r"|rot|rotate|rotated|rotation|crop|cropped|zoom|bright|brightness|dark|contrast|blur|noise|gr[ae]y|resized|small"
    r")(?:[ _-]?\d+| \(\d+\))?)$",
    re.IGNORECASE,
)


def get_stem(name: str) -> str:
    """Return the file name of ``name`` without folders and suffix."""
    return posixpath.splitext(posixpath.basename(name))[0]


def get_original_stem(stem: str) -> str:
    """Return the file stem of the original that ``stem`` is named a version of; ``stem`` itself when it is none."""
    while match := _EXPORT_PATTERN.fullmatch(stem) or _VERSION_PATTERN.fullmatch(stem):
        stem = match["original"]
    return stem


@lru_cache(2**17)
def _find_series(name: str) -> tuple[str, int] | None:
    """Return the series and the number of the image called ``name``; ``None`` where its name has no number."""
    match = _SERIES_PATTERN.fullmatch(get_original_stem(get_stem(name)))
    return (match["series"], int((match["number"] or match["listed"])[-15:])) if match else None


def list_version_families(names: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return the rows, ascending, of each set of ``names`` that are named versions of one original.

    At least one of a set carries the mark of a version; two equal file names in two folders are not enough.
    """
    families: dict[str, list[int]] = {}
    marked: set[str] = set()
    for row, name in enumerate(names):
        stem = get_stem(name)
        original = get_original_stem(stem)
        families.setdefault(original.casefold(), []).append(row)
        if original != stem:
            marked.add(original.casefold())
    return [np.array(families[key], np.int64) for key in families if key in marked and len(families[key]) > 1]


def list_export_families(names: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return the rows, ascending, of each set of ``names`` that Roboflow made from one file name.

    Such versions may be mosaics, which do not look alike; or photos of one name that do not belong together.
    """
    families: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        match = _EXPORT_PATTERN.fullmatch(get_stem(name))
        if match:
            families.setdefault(match["original"].casefold(), []).append(row)
    return [np.array(rows, np.int64) for rows in families.values() if len(rows) > 1]


def list_series(names: Sequence[str], scope: str) -> list[NDArray[np.int64]]:
    """Return the rows of each series of ``names``, in the order of their numbers.

    A series has one name but for the number at its end. It is in one folder for the ``scope`` ``FOLDER``, in one but
    for folders named after splits for ``SPLITS``, and anywhere for ``EVERYWHERE``: photos of one film or one camera may
    have been dealt to folders of splits and of classes.
    """
    series: dict[tuple[str, str], list[tuple[int, str, int]]] = {}
    for row, name in enumerate(names):
        found = _find_series(name)
        if found:
            family, number = found
            folders = [] if scope == EVERYWHERE else name.split("/")[:-1]
            if scope == SPLITS:
                folders = [folder for folder in folders if folder.lower() not in SPLIT_WORDS]
            series.setdefault(("/".join(folders), family), []).append((number, name, row))
    return [np.array([row for *_key, row in sorted(members)], np.int64) for members in series.values()]
