"""Opens archives of any kind: alone, inside a folder of nothing but archives, or unpacked for a while."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cached_property
from pathlib import Path

from lince.errors import DataError
from lince.i18n import _
from lince.progress import Progress
from lince.storage.file_list import FileListing
from lince.storage.scan import looks_like_image, sort_entries
from lince.storage.tar import HEAD_LENGTH, SUFFIXES, TarTree, is_tar
from lince.storage.tree import MAX_LABEL_BYTES, DataLocation, FileTree, LocalFolder
from lince.storage.zip import LocalFile, ZipTree, is_archive

ARCHIVE_SUFFIXES = (".zip", *SUFFIXES)
_MAX_ARCHIVES = 64  # in one folder


def open_archive(path: Path) -> FileTree | None:
    """Return the files in the archive at ``path``, ``None`` where the file is none.

    Raise ``DataError`` when it is damaged or unsafe.
    """
    head = LocalFolder(path.parent).head(path.name, HEAD_LENGTH)
    if is_archive(head):
        return ZipTree(path, LocalFile(path))
    return TarTree(path) if is_tar(path, head) else None


class ArchiveFolder:
    """A folder whose photos and labels are in archives: the files of ``photos.zip`` are in ``photos/``.

    Files beside the archives keep their names. An archive whose files are all in a folder of its own name is not put
    into another one.
    """

    is_remote = False

    def __init__(self, folder: LocalFolder, archives: dict[str, FileTree]) -> None:
        self.root = folder.root
        self._folder = folder
        self._places: dict[str, tuple[FileTree, str]] = {
            name: (folder, name) for name in folder.names if name not in archives
        }
        for archive, tree in archives.items():
            stem = _strip_suffix(archive)
            own = stem.rpartition("/")[2] + "/"
            base = stem.rpartition("/")[0] if all(name.startswith(own) for name in tree.names) else stem
            for name in tree.names:
                self._places.setdefault(f"{base}/{name}" if base else name, (tree, name))

    @cached_property
    def listing(self) -> FileListing:
        """All files, indexed by folder and by suffix."""
        return FileListing.without_own(sort_entries(self._places))

    @property
    def names(self) -> tuple[str, ...]:
        """Every file in a fixed order."""
        return self.listing.names

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists."""
        return name in self._places

    def read(self, name: str, max_bytes: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``; raise ``DataError`` as ``FileTree.read`` does."""
        tree, own_name = self._places.get(name, (self._folder, name))
        return tree.read(own_name, max_bytes)

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``."""
        tree, own_name = self._places.get(name, (self._folder, name))
        return tree.head(own_name, count)


def open_inner_archives(location: DataLocation, progress: Progress) -> DataLocation:
    """Return ``location`` with the archives in it opened, where it is a folder that holds archives and no photo.

    Where there are photos, an archive beside them may be a copy of them, and is left alone. Raise ``DataError`` when
    one is damaged or unsafe.
    """
    tree = location.tree
    if location.file or not isinstance(tree, LocalFolder):
        return location
    names = [name for name in tree.listing.find_by_suffix(*ARCHIVE_SUFFIXES) if _is_archive_name(name)]
    if not names or len(names) > _MAX_ARCHIVES or any(map(looks_like_image, tree.names)):
        return location
    archives = {name: opened for name in names if (opened := open_archive(tree.root / name)) is not None}
    if not archives:
        return location
    progress.show_message(_("Opened the archives in {path}: {names}").format(path=tree.root, names=", ".join(archives)))
    return DataLocation(ArchiveFolder(tree, archives))


def unpack_archive(tree: FileTree) -> Path:
    """Return a temporary folder with the files of ``tree``, which is deleted when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="lince-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in tree.names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(tree.read(name))
        except DataError:
            target.write_bytes(b"")  # told as a photo that cannot be read, as others are
    return folder


def _is_archive_name(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def _strip_suffix(name: str) -> str:
    """Return the name of an archive without its suffix, both parts of ``.tar.gz``."""
    return name[: -max(len(suffix) for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix))]
