"""Finds the photos that a person points at: files, folders, patterns, or several of them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as Picture

from lince.annotations import Classes
from lince.choices import one_of
from lince.errors import DataError
from lince.messages import _

TRUTHS = ("auto", "folders", "names", "none")
_LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # what systems leave in folders by themselves


_WEB = ("http://", "https://")


class Stream(Protocol):
    """A file object, opened for bytes."""

    def read(self) -> bytes:
        """Return all that is left."""
        ...


# A photo, wherever it is: a file's path, the bytes of one, an open file, a picture of Pillow, pixels, a web address.
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Stream | Picture | NDArray[np.uint8]


@dataclass(frozen=True)
class Photo:
    """What is to be looked at: ``name`` is what people and files are told, ``path`` opens it if it lies in a file.

    Otherwise ``path`` is empty, and the photo is ``held``.
    """

    path: str
    name: str
    held: Any = field(default=None, repr=False, compare=False)

    @property
    def source(self) -> Source:
        """The photo itself, or the path of its file."""
        held: Source = self.path if self.held is None else self.held
        return held


def is_address(source: object) -> bool:
    """Return whether ``source`` is the address of a photo on the web."""
    return isinstance(source, str) and source.lower().startswith(_WEB)


def one(source: Source, name: str = "") -> Photo:
    """Return the one photo ``source``; what lies in no file is called ``name``."""
    if is_address(source):
        return Photo("", readable(str(source)).partition("?")[0], source)  # what follows may be a key
    if isinstance(source, (str, os.PathLike)):
        return Photo(os.fspath(source), readable(os.fspath(source)))
    return Photo("", name, source)


def each(where: Source | Iterable[Source]) -> Sequence[Photo] | Iterator[Photo]:
    """Return the photos of ``where``: what ``find`` takes, or any other photos, several or one.

    Those of a generator are asked for one by one, as they are looked at. A photo that lies in no file is called by
    its number, ``#1``. Raises ``DataError`` when there is nothing to look at.
    """
    if isinstance(where, (str, os.PathLike)):
        return find(os.fspath(where))
    if _is_one(where):
        return [Photo("", "#1", where)]
    items: Any = where
    if isinstance(items, Sequence) and all(isinstance(item, (str, os.PathLike)) for item in items):
        return find([os.fspath(item) for item in items])
    return list(_lazily(items)) if isinstance(items, Sequence) else _lazily(items)


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
    return list({str(photo.source): photo for photo in found}.values())


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


def how_known(photos: Iterable[Photo], classes: Classes, how: str) -> str:
    """Return how ``truths`` finds the classes of any of ``photos``: ``auto`` looks at all of them, where it can."""
    if one_of("truth", how, TRUTHS) != "auto":
        return how
    all_known = isinstance(photos, Sequence) and None not in truths(photos, classes, "folders")
    return "folders" if all_known else "none"


def natural(text: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return a sort key that puts ``photo2`` before ``photo10``."""
    parts = re.split(r"(\d+)", text)
    return tuple((int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts), text


def _is_one(source: object) -> bool:
    pixels = isinstance(source, np.ndarray) and source.ndim <= 3
    return pixels or isinstance(source, (bytes, bytearray, memoryview, Picture)) or hasattr(source, "read")


def _lazily(items: Iterable[Source]) -> Iterator[Photo]:
    for number, item in enumerate(items, 1):
        if isinstance(item, (str, os.PathLike)) and os.path.isdir(item):
            yield from _of_one(os.fspath(item), alone=False)
        else:
            yield one(item, f"#{number}")


def _of_one(source: str, alone: bool) -> list[Photo]:
    if is_address(source):
        return [one(source)]
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
    if not photo.path:
        return None
    folder = readable(PurePath(os.path.abspath(photo.path)).parent.name)
    return classes.names.index(folder) if folder in classes.names else None


def _by_name(photo: Photo, classes: Classes) -> int | None:
    stem = PurePath(photo.path).stem
    fitting = [name for name in classes.names if re.match(re.escape(name) + r"(?![^\W\d_])", stem)]
    return classes.names.index(max(fitting, key=len)) if fitting else None
