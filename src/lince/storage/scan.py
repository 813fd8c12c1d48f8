"""Lists local folders in a fixed order, without hidden files and files of the operating system."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from lince.annotations import RejectedItem
from lince.errors import DataError
from lince.i18n import _
from lince.phone_photos import PHONE_SUFFIXES, READS_PHONE_PHOTOS, get_phone_photo_remedy
from lince.storage.own_outputs import RecordedFiles, is_own_folder

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(PHONE_SUFFIXES if READS_PHONE_PHOTOS else ()),
)
_UNSUPPORTED_SUFFIXES = (
    *(() if READS_PHONE_PHOTOS else PHONE_SUFFIXES), ".jxl", ".jp2", ".svg", ".psd",
    ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw", ".tga", ".ppm", ".pgm", ".pbm",
    ".pnm", ".exr", ".hdr", ".dcm",
)  # fmt: skip
# Of files that may hold pixels, or something else; they may well be photos of the data.
_PIXEL_SUFFIXES = (".raw", ".nii", ".npy", ".npz", ".mat", ".fits", ".eps", ".ico")
SPLIT_FILE = "splits.csv"  # written by lince beside the data; neither image nor label file
# In lower case: what Windows, macOS, Synology, Python and Linux leave in folders, and lince's own file.
_SYSTEM_NAMES = {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "__macosx", "icon\r",
    "@eadir", "__pycache__", "lost+found", SPLIT_FILE,
}  # fmt: skip


def natural_sort_key(text: str) -> tuple[list[tuple[int, str, int]], str]:
    """Return a sort key for natural order: case is ignored, and ``photo2`` comes before ``photo10``.

    Only ASCII digits count as numbers. Texts that are otherwise equal are ordered by their
    characters, so the order is total. The order of classes without a declared order, and so their
    ids, follows this key.
    """
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(1, "", int(part)) if part.isdecimal() else (0, part, 0) for part in parts], text


def looks_like_image(name: str) -> bool:
    """Whether ``name`` has the suffix of an image format that lince reads, whatever its case."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def is_unsupported_image(name: str) -> bool:
    """Whether ``name`` has the suffix of an image format that is known, but that lince does not read."""
    return name.lower().endswith(_UNSUPPORTED_SUFFIXES)


def may_hold_pixels(name: str) -> bool:
    """Whether ``name`` has the suffix of a format of images, read or not."""
    return name.lower().endswith((*IMAGE_SUFFIXES, *_UNSUPPORTED_SUFFIXES, *_PIXEL_SUFFIXES))


def reject_non_image(name: str) -> RejectedItem:
    """Return the rejection of the file ``name``, which is not an image that lince reads.

    Formats of images that are known but not read (HEIC, AVIF, SVG, ...) get a remedy of their own.
    """
    suffix = os.path.splitext(name)[1]
    if suffix.lower() in _UNSUPPORTED_SUFFIXES:
        reason = _("lince does not read {ending}").format(ending=suffix)
        is_of_phone = suffix.lower() in PHONE_SUFFIXES
        remedy = get_phone_photo_remedy() if is_of_phone else _("save it as JPEG or PNG")
        return RejectedItem(name, reason, remedy, kind="unsupported")
    return RejectedItem(
        name, _("not an image: {ending}").format(ending=suffix or _("no extension")), _("move it elsewhere")
    )


def list_folders(path: Path) -> list[str]:
    """Return the names of the folders in ``path``, without hidden and system folders, in natural order."""
    with _scan_folder(path) as entries:
        names = [entry.name for entry in entries if not is_system_name(entry.name) and entry.is_dir()]
    return sorted(names, key=natural_sort_key)


def list_files(path: Path) -> list[str]:
    """Return the names of the files directly in ``path``, without hidden and system files, sorted."""
    with _scan_folder(path) as entries:
        return sorted(entry.name for entry in entries if _is_file(entry) and not is_system_name(entry.name))


def walk_files(path: Path, left_out: list[str] | None = None) -> Iterator[str]:
    """Yield all files below ``path`` in the order of ``walk_entries``, without folders."""
    return (entry for entry in walk_entries(path, left_out) if not entry.endswith("/"))


def walk_entries(path: Path, left_out: list[str] | None = None) -> Iterator[str]:
    """Yield the files below ``path``, relative to it and with '/'.

    The files of a folder come first, sorted, then its subfolders in sorted order. A folder without
    files of its own is yielded too, ending in '/'. Hidden and system files and folders are skipped.
    What lince itself wrote below ``path``, such as runs and answers, is skipped and added to ``left_out``.
    Links to folders are followed, except where they lead back to a folder on the current path.

    Raise ``DataError`` when a folder cannot be opened.
    """
    return _Walk([] if left_out is None else left_out).walk(path, "", frozenset())


def sort_entries(entries: Iterable[str]) -> list[str]:
    """Return ``entries`` in the order of ``walk_entries``, without hidden and system files and folders.

    For listings from elsewhere, such as archives; folders end in '/'.
    """
    kept = (entry for entry in entries if not any(map(is_system_name, entry.split("/"))))
    return sorted(kept, key=_walk_sort_key)


def is_system_name(name: str) -> bool:
    """Whether a file or folder of this name is skipped everywhere: in datasets and in folders to predict.

    These are hidden ones (with a leading dot), what operating systems create by themselves
    (``Thumbs.db``, ``__MACOSX``), and the file in which lince stores a split. The case does not
    matter.
    """
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def _walk_sort_key(entry: str) -> list[tuple[int, str]]:
    """Return the key that puts the files of a folder before its subfolders."""
    *folders, file_name = entry.split("/")
    return [*((1, folder) for folder in folders), (0, file_name)]


class _Walk:
    """One walk below a folder; ``left_out`` is filled with what lince wrote there, relative to that folder."""

    def __init__(self, left_out: list[str]) -> None:
        self.left_out = left_out
        self._recorded = RecordedFiles()

    def walk(self, path: Path | str, prefix: str, ancestors: frozenset[tuple[int, int]]) -> Iterator[str]:
        """Yield the entries below ``path``, each with ``prefix`` before it.

        ``ancestors`` are the (device, inode) of the folders above, to detect links that lead back to
        one of them; file systems without inodes report 0, for which there is no such check.
        """
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino)
        is_new = identity not in ancestors or not status.st_ino
        files, folders = _list_names(path) if is_new else ([], [])
        if prefix and is_own_folder(files):
            self.left_out.append(prefix[:-1])
            return
        own = self._recorded.find_own(path, files)
        self.left_out.extend(prefix + name for name in sorted(own))
        yield from (prefix + name for name in sorted(files) if name not in own)
        below = chain.from_iterable(
            self.walk(os.path.join(path, name), f"{prefix}{name}/", ancestors | {identity})
            for name in sorted(folders)
            if os.path.isdir(os.path.join(path, name))
        )
        if prefix and not files:
            count = len(self.left_out)
            first = next(below, None)
            if first is None and len(self.left_out) > count:
                return  # nothing but what lince wrote, such as the folder of all runs
            yield prefix
            yield from () if first is None else (first,)
        yield from below


def _list_names(path: Path | str) -> tuple[list[str], list[str]]:
    """Return the names of the files in ``path`` and those of the folders, without hidden and system ones."""
    files: list[str] = []
    folders: list[str] = []
    with _scan_folder(path) as entries:
        for entry in entries:
            if not is_system_name(entry.name):
                (files if _is_file(entry) else folders).append(entry.name)
    return files, folders


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether a directory entry is a file or a link to one; pipes and devices, which would be waited for, are none."""
    # A link with an image suffix is taken for a file unseen: resolving a million links would take most of the time.
    if entry.is_file(follow_symlinks=False):
        return True
    return entry.is_symlink() and (looks_like_image(entry.name) or not entry.is_dir())


def _scan_folder(path: Path | str) -> os._ScandirIterator[str]:
    """Open ``path`` for listing; raise ``DataError`` when that fails."""
    try:
        return os.scandir(os.fspath(path))
    except OSError as error:
        raise DataError(
            _("The folder {path} cannot be opened: {error}.").format(path=path, error=error.strerror)
        ) from error
