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
from lince.errors import DataError
from lince.i18n import _
from lince.validation import require_choice

TRUTH_MODES = ("auto", "folders", "names", "none")
_IGNORED_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}  # what systems leave in folders by themselves


_URL_SCHEMES = ("http://", "https://")


class BinaryStream(Protocol):
    """A file object, opened for bytes."""

    def read(self) -> bytes:
        """Return all that is left."""
        ...


# A photo, wherever it is: a file's path, the bytes of one, an open file, a picture of Pillow, pixels, a web address.
ImageInput = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryStream | Picture | NDArray[np.uint8]


@dataclass(frozen=True)
class ImageItem:
    """What is to be looked at: ``name`` is what people and files are told, ``path`` opens it if it lies in a file.

    Otherwise ``path`` is empty, and the photo is ``held``.
    """

    path: str
    name: str
    data: Any = field(default=None, repr=False, compare=False)

    @property
    def source(self) -> ImageInput:
        """The photo itself, or the path of its file."""
        held: ImageInput = self.path if self.data is None else self.data
        return held


def is_url(source: object) -> bool:
    """Return whether ``source`` is the address of a photo on the web."""
    return isinstance(source, str) and source.lower().startswith(_URL_SCHEMES)


def to_image_item(source: ImageInput, name: str = "") -> ImageItem:
    """Return the one photo ``source``; what lies in no file is called ``name``."""
    if is_url(source):
        return ImageItem("", to_printable(str(source)).partition("?")[0], source)  # what follows may be a key
    if isinstance(source, (str, os.PathLike)):
        return ImageItem(os.fspath(source), to_printable(os.fspath(source)))
    return ImageItem("", name, source)


def iter_image_items(where: ImageInput | Iterable[ImageInput]) -> Sequence[ImageItem] | Iterator[ImageItem]:
    """Return the photos of ``where``: what ``find`` takes, or any other photos, several or one.

    Those of a generator are asked for one by one, as they are looked at. A photo that lies in no file is called by
    its number, ``#1``. Raises ``DataError`` when there is nothing to look at.
    """
    if isinstance(where, (str, os.PathLike)):
        return find_images(os.fspath(where))
    if _is_single_image(where):
        return [ImageItem("", "#1", where)]
    items: Any = where
    if isinstance(items, Sequence) and all(isinstance(item, (str, os.PathLike)) for item in items):
        return find_images([os.fspath(item) for item in items])
    return list(_iter_items(items)) if isinstance(items, Sequence) else _iter_items(items)


def find_images(sources: str | Path | Sequence[str | Path]) -> list[ImageItem]:
    """Return the files that ``sources`` (files, folders, patterns such as ``*.jpg``) hold, in natural order.

    Folders are searched to the bottom; hidden files are left out. Photos of a single folder are named relative to
    it, others as they were typed. Raises ``DataError`` when a source does not exist or all are empty.
    """
    asked = [sources] if isinstance(sources, (str, Path)) else list(sources)
    alone = len(asked) == 1
    found = [photo for source in asked for photo in _expand_source(os.fspath(source), alone)]
    if not found:
        raise DataError(
            _("There is no photo in {sources}.").format(
                sources=", ".join(to_printable(os.fspath(item)) for item in asked)
            ),
            _("Expected photos, folders of photos, or patterns such as '*.jpg'."),
        )
    return list({str(photo.source): photo for photo in found}.values())


def to_printable(name: str) -> str:
    """Return ``name`` with the bytes that are not text written as ``\\xe9``, so that it can be printed and saved."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def infer_true_classes(items: Sequence[ImageItem], classes: Classes, mode: str = "auto") -> list[int | None]:
    """Return the class id that each photo's folder or file name tells, ``None`` where it tells none.

    ``how`` is ``folders`` (the folder of the photo is called like a class), ``names`` (the file name starts with
    the class, as in ``Abyssinian_12.jpg``), ``none``, or ``auto``: folders, when every photo lies in one.
    """
    require_choice("truth", mode, TRUTH_MODES)
    if mode == "names":
        return [_class_from_file_name(photo, classes) for photo in items]
    by_folder = [_class_from_folder(photo, classes) for photo in items]
    if mode == "none" or (mode == "auto" and None in by_folder):
        return [None] * len(items)
    return by_folder


def resolve_truth_mode(items: Iterable[ImageItem], classes: Classes, mode: str) -> str:
    """Return how ``truths`` finds the classes of any of ``photos``: ``auto`` looks at all of them, where it can."""
    if require_choice("truth", mode, TRUTH_MODES) != "auto":
        return mode
    all_known = isinstance(items, Sequence) and None not in infer_true_classes(items, classes, "folders")
    return "folders" if all_known else "none"


def natural_sort_key(text: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return a sort key that puts ``photo2`` before ``photo10``."""
    parts = re.split(r"(\d+)", text)
    return tuple((int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts), text


def _is_single_image(source: object) -> bool:
    pixels = isinstance(source, np.ndarray) and source.ndim <= 3
    return pixels or isinstance(source, (bytes, bytearray, memoryview, Picture)) or hasattr(source, "read")


def _iter_items(items: Iterable[ImageInput]) -> Iterator[ImageItem]:
    for number, item in enumerate(items, 1):
        if isinstance(item, (str, os.PathLike)) and os.path.isdir(item):
            yield from _expand_source(os.fspath(item), alone=False)
        else:
            yield to_image_item(item, f"#{number}")


def _expand_source(source: str, alone: bool) -> list[ImageItem]:
    if is_url(source):
        return [to_image_item(source)]
    if os.path.isdir(source):
        paths = sorted(_walk_files(source), key=natural_sort_key)
        return [ImageItem(path, _display_name(os.path.relpath(path, source) if alone else path)) for path in paths]
    if os.path.isfile(source):
        return [ImageItem(source, _display_name(source))]
    matches = sorted(glob.glob(source, recursive=True), key=natural_sort_key)
    if not matches:
        raise DataError(
            _("There is nothing at {path}.").format(path=to_printable(source)),
            _("Expected a photo, a folder of photos, or a pattern such as '*.jpg'."),
            _("Check the spelling, and the folder that you are in: {folder}.").format(folder=to_printable(os.getcwd())),
        )
    return [photo for match in matches for photo in _expand_source(match, alone=False)]


def _walk_files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        inside = [
            entry for entry in entries if not entry.name.startswith(".") and entry.name.casefold() not in _IGNORED_NAMES
        ]
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk_files(entry.path)
        elif entry.is_file():
            yield entry.path


def _display_name(path: str) -> str:
    return to_printable(PurePath(path).as_posix())


def _class_from_folder(photo: ImageItem, classes: Classes) -> int | None:
    if not photo.path:
        return None
    folder = to_printable(PurePath(os.path.abspath(photo.path)).parent.name)
    return classes.names.index(folder) if folder in classes.names else None


def _class_from_file_name(photo: ImageItem, classes: Classes) -> int | None:
    stem = PurePath(photo.path).stem
    fitting = [name for name in classes.names if re.match(re.escape(name) + r"(?![^\W\d_])", stem)]
    return classes.names.index(max(fitting, key=len)) if fitting else None
