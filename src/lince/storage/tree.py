"""Where label files and photos lie: a folder, and whatever else can be listed and read by names with '/'."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from lince.errors import DataError
from lince.i18n import _
from lince.storage import scan
from lince.storage.file_list import FileListing

MAX_LABEL_BYTES = 2**30  # bytes of one label file; more is no label file that a person means to have read


class FileTree(Protocol):
    """The files below one root; names are relative to it, with '/'."""

    @property
    def root(self) -> Path:
        """What the tree is called in messages and records: the folder, the archive, the address."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, what operating systems leave behind left out, in a fixed order."""

    @property
    def listing(self) -> FileListing:
        """The same, by folder and by ending."""

    @property
    def is_remote(self) -> bool:
        """Whether each look into a file is a journey over a network."""

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``, found out without listing a folder of this machine."""

    def read(self, name: str, at_most: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``; raise ``DataError`` when it has more bytes or cannot be read."""

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``; raise ``DataError`` when it cannot be read."""


class LocalFolder:
    """A folder on this machine. Names may lead out of it with '..' or be absolute: label files point anywhere."""

    is_remote = False

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def names(self) -> tuple[str, ...]:
        """Every file below, links followed, in a fixed order."""
        return self.listing.names

    @cached_property
    def listing(self) -> FileListing:
        """The same, by folder and by ending."""
        return FileListing(scan.walk_entries(self.root))

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``."""
        return "\0" not in name and os.path.isfile(os.path.join(self.root, name))

    def read(self, name: str, at_most: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``."""
        path = os.path.join(self.root, name)
        try:
            with open(path, "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                if size > at_most:
                    raise make_too_large_error(path, size, at_most)
                return stream.read()
        except OSError as error:
            raise make_unreadable_error(path, error.strerror or str(error)) from error

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``."""
        path = os.path.join(self.root, name)
        try:
            with open(path, "rb", buffering=0) as stream:
                return stream.read(count)
        except OSError as error:
            raise make_unreadable_error(path, error.strerror or str(error)) from error


@dataclass(frozen=True)
class DataLocation:
    """What a person named as data: a whole tree, or one ``file`` in it."""

    tree: FileTree
    file: str = ""

    @property
    def path(self) -> Path:
        """The path for messages."""
        return self.tree.root / self.file if self.file else self.tree.root

    @property
    def is_local(self) -> bool:
        """Whether the files lie in a folder of this machine."""
        return isinstance(self.tree, LocalFolder)

    def find_by_suffix(self, *endings: str) -> list[str]:
        """Return the files named, or those of the whole tree, that end in one of ``endings``, case aside."""
        if self.file:
            return [self.file] if self.file.lower().endswith(endings) else []
        return self.tree.listing.find_by_suffix(*endings)


def get_file_stem(name: str) -> str:
    """Return the file name in ``name`` without folders and without its ending."""
    return PurePosixPath(name).stem


def make_too_large_error(path: str, size: int, at_most: int) -> DataError:
    """Return the refusal of a file that is larger than what is read."""
    return DataError(
        _("{path} has {size:,} bytes.").format(path=path, size=size),
        _("Expected at most {limit:,}.").format(limit=at_most),
        _("If it is what you mean, divide it."),
    )


def make_unreadable_error(path: str, reason: str) -> DataError:
    """Return the refusal of a file that cannot be opened or read."""
    return DataError(_("{path} cannot be read: {error}.").format(path=path, error=reason))
