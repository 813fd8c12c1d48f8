"""Looking through folders: what lies there, what the operating system left behind, and which files are images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from lince import images
from lince.annotations import Rejected, Strings
from lince.errors import DataError
from lince.messages import _
from lince.progress import SILENT, Progress

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff")
_OTHER_PHOTOS = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd")
SNIFF_AT_MOST = 200_000  # above this, endings are trusted, and reading finds the rest
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
_SYSTEM_FOLDERS = {"__macosx", "$recycle.bin", "system volume information", "@eadir", "__pycache__"}
_BATCH = 4096
_LOOK_INTO = 100


def natural(text: str) -> list[tuple[int, str, int]]:
    """Return the key that sorts as people do: case aside, and 2 before 10."""
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(1, "", int(part)) if part.isdecimal() else (0, part, 0) for part in parts]


def looks_like_image(name: str) -> bool:
    """Whether the ending of ``name`` is an image's."""
    return name.lower().endswith(ENDINGS)


def folders(path: Path) -> list[str]:
    """Return the names of the folders in ``path``, those of the operating system left out, sorted naturally."""
    with _scan(path) as entries:
        found = [entry.name for entry in entries if not _system(entry.name, _SYSTEM_FOLDERS) and entry.is_dir()]
    return sorted(found, key=lambda name: (natural(name), name))


def files(path: Path) -> list[str]:
    """Return the names of the files in ``path`` itself, those of the operating system left out, sorted."""
    with _scan(path) as entries:
        return sorted(entry.name for entry in entries if _is_file(entry) and not _system(entry.name, _SYSTEM_FILES))


def files_below(path: Path) -> Iterator[str]:
    """Yield the files in ``path`` and in the folders below it, relative to it with '/', in a fixed order.

    Links to folders are followed, but never round a circle.
    """
    yield from _below(path, "", frozenset())


def peek(path: Path, count: int = 1000) -> list[str]:
    """Return up to ``count`` names of image files in ``path`` itself, in no particular order.

    Endings decide; where no file ends as an image, the first hundred files are looked into.
    """
    with _scan(path) as entries:
        found = (e.name for e in entries if looks_like_image(e.name) and not e.name.startswith(".") and _is_file(e))
        by_ending = list(islice(found, count))
    return by_ending or [name for name in files(path)[:_LOOK_INTO] if _verdict(path, name) is None][:count]


def holds_images(path: Path) -> bool:
    """Whether ``path`` or a folder below it holds an image, as far as ``peek`` looks."""
    return bool(peek(path, 1)) or any(map(looks_like_image, files_below(path)))


def rejections(root: Path, names: Strings, progress: Progress = SILENT) -> dict[int, Rejected]:
    """Return, by index into ``names``, the files that are not images: by their first bytes, or by ending if very many.

    A file of an unknown ending that holds an image is one; a file called ``.jpg`` that holds something else is not.
    """
    if len(names) > SNIFF_AT_MOST:
        return {i: not_an_image(name) for i, name in enumerate(names) if not looks_like_image(name)}
    with progress.stage(_("Looking at the files"), len(names)) as stage, ThreadPoolExecutor() as pool:
        found: dict[int, Rejected] = {}
        for start in range(0, len(names), _BATCH):
            batch = list(names.take(np.s_[start : start + _BATCH]))
            verdicts = pool.map(lambda name: _verdict(root, name), batch, chunksize=64)
            found.update({start + i: verdict for i, verdict in enumerate(verdicts) if verdict})
            stage.advance(len(batch))
    return found


def not_an_image(name: str) -> Rejected:
    """Return the refusal of the file ``name``."""
    ending = os.path.splitext(name)[1]
    if ending.lower() in _OTHER_PHOTOS:
        return Rejected(name, _("lince does not read {ending}").format(ending=ending), _("save it as JPEG or PNG"))
    return Rejected(name, _("not an image: {ending}").format(ending=ending or _("no ending")), _("move it elsewhere"))


def _verdict(root: Path, name: str) -> Rejected | None:
    try:
        with open(os.path.join(root, name), "rb", buffering=0) as stream:
            head = stream.read(images.HEAD)
    except OSError as error:
        return Rejected(name, _("cannot be opened: {error}").format(error=error.strerror), _("copy it again"))
    if not head:
        return Rejected(name, _("the file is empty"), _("copy it again"))
    if images.kind(head):
        return None
    if looks_like_image(name):
        return Rejected(name, _("not an image, in spite of its ending"), _("copy it again, or save it as JPEG or PNG"))
    return not_an_image(name)


def _below(path: Path | str, prefix: str, seen: frozenset[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(path)
    here = (status.st_dev, status.st_ino)
    if here in seen and status.st_ino:
        return
    found: tuple[list[str], list[str]] = ([], [])
    with _scan(path) as entries:
        for entry in entries:
            found[_is_file(entry)].append(entry.name)
    below, here_files = sorted(found[False]), sorted(found[True])
    yield from (prefix + name for name in here_files if not _system(name, _SYSTEM_FILES))
    for name in below:
        if not _system(name, _SYSTEM_FOLDERS) and os.path.isdir(os.path.join(path, name)):
            yield from _below(os.path.join(path, name), f"{prefix}{name}/", seen | {here})


def _is_file(entry: os.DirEntry[str]) -> bool:
    # A link that ends as an image is taken for one without a look: in a folder of a million links that is the cost.
    return not entry.is_dir(follow_symlinks=False) and (looks_like_image(entry.name) or not entry.is_dir())


def _system(name: str, names: set[str]) -> bool:
    return name.startswith(".") or name.lower() in names


def _scan(path: Path | str) -> os._ScandirIterator[str]:
    try:
        return os.scandir(os.fspath(path))
    except OSError as error:
        raise DataError(
            _("The folder {path} cannot be opened: {error}.").format(path=path, error=error.strerror)
        ) from error
