"""The interface of everything that files are read from, and its implementation for local folders."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from lince.errors import DataError
from lince.fileio import open_plain_file
from lince.i18n import _
from lince.storage import scan
from lince.storage.file_list import FileListing

MAX_LABEL_BYTES = 2**30  # bytes of one file read into memory; larger files are taken for a mistake


class FileTree(Protocol):
    """The files below one root: a folder, an archive, a remote store, or images inside other files.

    Names are relative to the root, with '/' on every system. Implementations can be used from
    several threads, and can be pickled, since worker processes read images through them.
    """

    @property
    def root(self) -> Path:
        """The folder, archive or URL, as shown in messages and stored in records."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every file in a fixed order, without hidden files and files of the operating system."""

    @property
    def listing(self) -> FileListing:
        """The same files, indexed by folder and by suffix."""

    @property
    def is_remote(self) -> bool:
        """Whether every access to a file costs a request over the network."""

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists.

        A local folder is not listed: one system call for a local file, one request for one on a web
        server.
        """

    def read(self, name: str, max_bytes: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``.

        Raise ``DataError`` when it has more than ``max_bytes`` bytes, does not exist or cannot be
        read.
        """

    def head(self, name: str, count: int) -> bytes:
        """Return the first ``count`` bytes of the file ``name``, fewer when it is shorter.

        Raise ``DataError`` when it does not exist or cannot be read.
        """


class LocalFolder:
    """A folder on this machine.

    Unlike in other trees, names may leave the folder with '..' or be absolute, since label files
    may refer to images anywhere on the disk. ``listing`` and ``names`` hold only what is below the
    folder.
    """

    is_remote = False

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def names(self) -> tuple[str, ...]:
        """Every file below the folder, symbolic links followed, in a fixed order."""
        return self.listing.names

    @cached_property
    def listing(self) -> FileListing:
        """The same files, indexed by folder and by suffix; the folder is walked at the first access."""
        left_out: list[str] = []
        return FileListing(scan.walk_entries(self.root, left_out), left_out)

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists."""
        return "\0" not in name and os.path.isfile(os.path.join(self.root, name))

    def read(self, name: str, max_bytes: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``; raise ``DataError`` as ``FileTree.read`` does."""
        path = os.path.join(self.root, name)
        try:
            with open_plain_file(path) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size > max_bytes:
                    raise make_too_large_error(path, size, max_bytes)
                return stream.read()
        except OSError as error:
            raise make_unreadable_error(path, error.strerror or str(error)) from error

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``, read without a buffer."""
        path = os.path.join(self.root, name)
        try:
            with open_plain_file(path) as stream:
                return stream.read(count)
        except OSError as error:
            raise make_unreadable_error(path, error.strerror or str(error)) from error


@dataclass(frozen=True)
class DataLocation:
    """What the user named as data: a whole tree, or one ``file`` in it.

    ``file`` is a name in ``tree``, '' for the whole tree.
    """

    tree: FileTree
    file: str = ""

    @property
    def path(self) -> Path:
        """The path or URL for messages: that of the file if one was named."""
        return self.tree.root / self.file if self.file else self.tree.root

    @property
    def is_local(self) -> bool:
        """Whether the data are in a folder on this machine, not in an archive or a remote store."""
        return isinstance(self.tree, LocalFolder)

    def find_by_suffix(self, *suffixes: str) -> list[str]:
        """Return the files that end in one of ``suffixes`` (lower case), whatever their case.

        The whole tree is searched, or only the named file where there is one.
        """
        if self.file:
            return [self.file] if self.file.lower().endswith(suffixes) else []
        return self.tree.listing.find_by_suffix(*suffixes)


def get_file_stem(name: str) -> str:
    """Return the file name in ``name`` without folders and without its suffix."""
    return PurePosixPath(name).stem


def make_too_large_error(path: str, size: int, max_bytes: int) -> DataError:
    """Return the error for a file of ``size`` bytes where at most ``max_bytes`` are read."""
    return DataError(
        _("{path} has {size:,} bytes.").format(path=path, size=size),
        _("Expected at most {limit:,}.").format(limit=max_bytes),
        _("If this is intended, split the file."),
    )


def make_unreadable_error(path: str, reason: str) -> DataError:
    """Return the error for a file that cannot be opened or read, with the ``reason`` given."""
    return DataError(_("{path} cannot be read: {error}.").format(path=path, error=reason))
