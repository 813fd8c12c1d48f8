"""Finds the photos that a person points at: files, folders, patterns, or several of them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from lince.annotations import Classes
from lince.choices import one_of
from lince.errors import DataError
from lince.messages import _

TRUTHS = ("auto", "folders", "names", "none")
_LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # what systems leave in folders by themselves


@dataclass(frozen=True)
class Photo:
    """A file to be looked at: ``path`` opens it, ``name`` is what people and files are told."""

    path: str
    name: str


def find(sources: str | Path | Sequence[str | Path]) -> list[Photo]:
    """Return the files that ``sources`` (files, folders, patterns such as ``*.jpg``) hold, in natural order.

    Folders are searched to the bottom; hidden files are left out. Photos of a single folder are named relative to
    it, others as they were typed. Raises ``DataError`` when a source does not exist or all are empty.
    """
    asked = [sources] if isinstance(sources, (str, Path)) else list(sources)
    alone = len(asked) == 1
    found = [photo for source in asked for photo in _of_one(os.fspath(source), alone)]
    if not found:
        raise DataError(
            _("There is no photo in {sources}.").format(sources=", ".join(readable(os.fspath(item)) for item in asked)),
            _("Expected photos, folders of photos, or patterns such as '*.jpg'."),
        )
    return list({photo.path: photo for photo in found}.values())


def readable(name: str) -> str:
    """Return ``name`` with the bytes that are not text written as ``\\xe9``, so that it can be printed and saved."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def truths(photos: Sequence[Photo], classes: Classes, how: str = "auto") -> list[int | None]:
    """Return the class id that each photo's folder or file name tells, ``None`` where it tells none.

    ``how`` is ``folders`` (the folder of the photo is called like a class), ``names`` (the file name starts with
    the class, as in ``Abyssinian_12.jpg``), ``none``, or ``auto``: folders, when every photo lies in one.
    """
    one_of("truth", how, TRUTHS)
    if how == "names":
        return [_by_name(photo, classes) for photo in photos]
    by_folder = [_by_folder(photo, classes) for photo in photos]
    if how == "none" or (how == "auto" and None in by_folder):
        return [None] * len(photos)
    return by_folder


def natural(text: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return a sort key that puts ``photo2`` before ``photo10``."""
    parts = re.split(r"(\d+)", text)
    return tuple((int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts), text


def _of_one(source: str, alone: bool) -> list[Photo]:
    if os.path.isdir(source):
        paths = sorted(_walk(source), key=natural)
        return [Photo(path, _name(os.path.relpath(path, source) if alone else path)) for path in paths]
    if os.path.isfile(source):
        return [Photo(source, _name(source))]
    matches = sorted(glob.glob(source, recursive=True), key=natural)
    if not matches:
        raise DataError(
            _("There is nothing at {path}.").format(path=readable(source)),
            _("Expected a photo, a folder of photos, or a pattern such as '*.jpg'."),
            _("Check the spelling, and the folder that you are in: {folder}.").format(folder=readable(os.getcwd())),
        )
    return [photo for match in matches for photo in _of_one(match, alone=False)]


def _walk(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        inside = [entry for entry in entries if not entry.name.startswith(".") and entry.name.casefold() not in _LITTER]
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif entry.is_file():
            yield entry.path


def _name(path: str) -> str:
    return readable(PurePath(path).as_posix())


def _by_folder(photo: Photo, classes: Classes) -> int | None:
    folder = readable(PurePath(os.path.abspath(photo.path)).parent.name)
    return classes.names.index(folder) if folder in classes.names else None


def _by_name(photo: Photo, classes: Classes) -> int | None:
    stem = PurePath(photo.path).stem
    fitting = [name for name in classes.names if re.match(re.escape(name) + r"(?![^\W\d_])", stem)]
    return classes.names.index(max(fitting, key=len)) if fitting else None
