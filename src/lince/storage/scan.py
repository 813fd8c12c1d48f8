"""Looking through folders: what lies there, what the operating system left behind, and which names are images'."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.i18n import _

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff")
_UNSUPPORTED_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd")
SPLIT_FILE = "splits.csv"  # lince's own, beside the data; no label file
_SYSTEM_FILES = {SPLIT_FILE, "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
_SYSTEM_FOLDERS = {"__macosx", "$recycle.bin", "system volume information", "@eadir", "__pycache__", "lost+found"}


def natural_sort_key(text: str) -> list[tuple[int, str, int]]:
    """Return the key that sorts as people do: case aside, and 2 before 10."""
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(1, "", int(part)) if part.isdecimal() else (0, part, 0) for part in parts]


def looks_like_image(name: str) -> bool:
    """Whether the ending of ``name`` is an image's."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def reject_non_image(name: str) -> RejectedItem:
    """Return the refusal of the file ``name``."""
    ending = os.path.splitext(name)[1]
    if ending.lower() in _UNSUPPORTED_SUFFIXES:
        return RejectedItem(name, _("lince does not read {ending}").format(ending=ending), _("save it as JPEG or PNG"))
    return RejectedItem(
        name, _("not an image: {ending}").format(ending=ending or _("no ending")), _("move it elsewhere")
    )


def list_folders(path: Path) -> list[str]:
    """Return the names of the folders in ``path``, those of the operating system left out, sorted naturally."""
    with _scan_folder(path) as entries:
        found = [entry.name for entry in entries if not is_hidden_folder(entry.name) and entry.is_dir()]
    return sorted(found, key=lambda name: (natural_sort_key(name), name))


def list_files(path: Path) -> list[str]:
    """Return the names of the files in ``path`` itself, those of the operating system left out, sorted."""
    with _scan_folder(path) as entries:
        return sorted(
            entry.name for entry in entries if _is_file(entry) and not _is_system_name(entry.name, _SYSTEM_FILES)
        )


def walk_files(path: Path) -> Iterator[str]:
    """Yield the files in ``path`` and in the folders below it as ``walk`` does, and no folders."""
    return (entry for entry in walk_entries(path) if not entry.endswith("/"))


def walk_entries(path: Path) -> Iterator[str]:
    """Yield the files below ``path``, relative to it with '/': those of a folder, then folder by folder, each sorted.

    What operating systems leave behind is passed over. A folder without files of its own is yielded too, ending in
    '/'. Links to folders are followed, but never round a circle. Raise ``DataError`` when a folder cannot be opened.
    """
    return _walk_below(path, "", frozenset())


def sort_entries(entries: Iterable[str]) -> list[str]:
    """Return ``entries`` (files with '/', folders ending in one) as ``walk`` would yield them."""
    return sorted((entry for entry in entries if not _is_system_file(entry)), key=_walk_sort_key)


def is_hidden_folder(folder: str) -> bool:
    """Whether a folder of this name is passed over."""
    return _is_system_name(folder, _SYSTEM_FOLDERS)


def _walk_sort_key(entry: str) -> list[tuple[int, str]]:
    *folders, last = entry.split("/")
    return [*((1, folder) for folder in folders), (0, last)]


def _is_system_file(entry: str) -> bool:
    *folders, name = entry.split("/")
    return any(map(is_hidden_folder, folders)) or (bool(name) and _is_system_name(name, _SYSTEM_FILES))


def _walk_below(path: Path | str, prefix: str, seen: frozenset[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(path)
    here = (status.st_dev, status.st_ino)
    found: tuple[list[str], list[str]] = ([], [])
    if here not in seen or not status.st_ino:
        with _scan_folder(path) as entries:
            for entry in entries:
                found[_is_file(entry)].append(entry.name)
    own = [name for name in sorted(found[True]) if not _is_system_name(name, _SYSTEM_FILES)]
    yield from (prefix + name for name in own)
    if prefix and not own:
        yield prefix
    for name in sorted(found[False]):
        if not is_hidden_folder(name) and os.path.isdir(os.path.join(path, name)):
            yield from _walk_below(os.path.join(path, name), f"{prefix}{name}/", seen | {here})


def _is_file(entry: os.DirEntry[str]) -> bool:
    # A link that ends as an image is taken for one without a look: in a folder of a million links that is the cost.
    return not entry.is_dir(follow_symlinks=False) and (looks_like_image(entry.name) or not entry.is_dir())


def _is_system_name(name: str, names: set[str]) -> bool:
    return name.startswith(".") or name.lower() in names


def _scan_folder(path: Path | str) -> os._ScandirIterator[str]:
    try:
        return os.scandir(os.fspath(path))
    except OSError as error:
        raise DataError(
            _("The folder {path} cannot be opened: {error}.").format(path=path, error=error.strerror)
        ) from error
