"""Reads a tar archive, compressed or not, as a tree of files, and refuses unsafe archives.

A compressed archive (gzip, bzip2, xz) cannot be read at any position, so it is decompressed into one temporary file,
which is deleted when the program ends.
"""

from __future__ import annotations

import atexit
import bz2
import gzip
import lzma
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lince.errors import DataError
from lince.i18n import _
from lince.storage.file_list import FileListing
from lince.storage.scan import sort_entries
from lince.storage.tree import MAX_LABEL_BYTES, make_too_large_error, make_unreadable_error
from lince.storage.zip import LocalFile, find_common_root_folder, keep_empty_folders

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_OPENERS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.GzipFile),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
HEAD_LENGTH = _TAR_MAGIC_AT + len(_TAR_MAGIC)  # first bytes needed to recognise an archive that is not compressed
_CHUNK_BYTES = 2**20
# A compressed archive may unpack to 100 times its bytes, and 1 GiB on top, as a zip archive.
_MAX_EXPANSION_RATIO, _EXPANSION_ALLOWANCE = 100, 2**30
_DRIVE_LETTER = re.compile(r"[A-Za-z]:")
_READ_ERRORS: tuple[type[BaseException], ...] = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    ValueError,
    KeyError,
)


class _TarEntry(NamedTuple):
    """The position of the content of a file in the archive, and its size in bytes."""

    offset: int
    size: int


class TarTree:
    """The files in a tar archive; where it has a single top folder, names are relative to it, as in a zip archive."""

    is_remote = False

    def __init__(self, root: Path) -> None:
        """Read the list of the archive at ``root``.

        Raise ``DataError`` when it is damaged, or unsafe: names that leave it, links, devices, or an expansion of more
        than about 100 times.
        """
        self.root = root
        try:
            self._source = LocalFile(_decompress(root))
            entries = _list_entries(root, self._source.path)
        except OSError as error:
            raise make_unreadable_error(str(root), error.strerror or str(error)) from error
        except _READ_ERRORS as error:
            raise DataError(
                _("The archive {path} cannot be read: {error}.").format(path=root, error=error),
                _("Expected a complete tar archive."),
                _("It is truncated or damaged; copy it again."),
            ) from error
        prefix_length = len(find_common_root_folder(sort_entries(entries)))
        kept = {name: entries[name] for name in sort_entries(entries)}
        self._entries = {name[prefix_length:]: entry for name, entry in kept.items() if not name.endswith("/")}
        names = (name[prefix_length:] for name in kept if name[prefix_length:])
        self.listing = FileListing.without_own(sort_entries(keep_empty_folders(names)))

    @property
    def names(self) -> tuple[str, ...]:
        """Every file in a fixed order."""
        return self.listing.names

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists."""
        return name in self._entries

    def read(self, name: str, max_bytes: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``; raise ``DataError`` as ``FileTree.read`` does."""
        entry = self._require_entry(name)
        if entry.size > max_bytes:
            raise make_too_large_error(f"{self.root}/{name}", entry.size, max_bytes)
        return self._read_at(name, entry.offset, entry.size)

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``."""
        entry = self._require_entry(name)
        return self._read_at(name, entry.offset, min(count, entry.size))

    def _require_entry(self, name: str) -> _TarEntry:
        entry = self._entries.get(name)
        if entry is None:
            raise make_unreadable_error(f"{self.root}/{name}", _("there is no such file"))
        return entry

    def _read_at(self, name: str, offset: int, count: int) -> bytes:
        try:
            data = self._source.read_at(offset, count)
        except OSError as error:
            raise make_unreadable_error(f"{self.root}/{name}", error.strerror or str(error)) from error
        if len(data) < count:
            raise make_unreadable_error(f"{self.root}/{name}", _("it is truncated"))
        return data


def is_tar(path: Path, head: bytes) -> bool:
    """Whether the file at ``path`` is a tar archive, given its first ``HEAD_LENGTH`` bytes.

    A compressed one is recognised by its suffix too, since any file can be compressed.
    """
    if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        return True
    return path.name.lower().endswith(SUFFIXES[1:]) and any(head.startswith(magic) for magic, _opener in _OPENERS)


def _decompress(path: Path) -> Path:
    """Return the path of the archive without compression: ``path`` itself, or a temporary file."""
    with open(path, "rb") as stream:
        head = stream.read(HEAD_LENGTH)
    opener = next((opener for magic, opener in _OPENERS if head.startswith(magic)), None)
    if opener is None:
        return path
    limit = _MAX_EXPANSION_RATIO * path.stat().st_size + _EXPANSION_ALLOWANCE
    descriptor, name = tempfile.mkstemp(prefix="lince-", suffix=".tar")
    target = Path(name)
    atexit.register(target.unlink, missing_ok=True)
    with open(descriptor, "wb") as output, opener(path) as stream:
        total = 0
        while chunk := stream.read(_CHUNK_BYTES):
            total += len(chunk)
            if total > limit:
                raise _unsafe_error(path, _("it unpacks to more than {limit:,} bytes").format(limit=limit))
            output.write(chunk)
    return target


def _list_entries(root: Path, path: Path) -> dict[str, _TarEntry]:
    """Return the files of the archive by name, and its folders with names that end in '/'."""
    entries: dict[str, _TarEntry] = {}
    size = os.stat(path).st_size
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            name = _clean_name(root, member.name)
            if member.isdir():
                entries[f"{name}/" if name else ""] = _TarEntry(0, 0)
                continue
            source: Any = archive.getmember(member.linkname) if member.islnk() else member
            if not source.isreg() or source.issparse():
                reason = _("'{name}' is a link or a device").format(name=member.name.encode("unicode_escape").decode())
                raise _unsafe_error(root, reason)
            if source.offset_data + source.size > size:
                raise tarfile.ReadError(_("it is truncated"))
            entries[name] = _TarEntry(source.offset_data, source.size)
    entries.pop("", None)
    return entries


def _clean_name(root: Path, name: str) -> str:
    """Return the name of a member with '/' alone; raise ``DataError`` for one that leads out of the archive."""
    if "\0" in name or name.startswith("/") or ".." in name.split("/") or _DRIVE_LETTER.match(name):
        raise _unsafe_error(
            root, _("'{name}' points outside the archive").format(name=name.encode("unicode_escape").decode())
        )
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _unsafe_error(root: Path, reason: str) -> DataError:
    return DataError(
        _("The archive {path} is not opened: {reason}.").format(path=root, reason=reason),
        _("Expected {what}.").format(what=_("plain files")),
        _("Pack it again from a folder that you trust."),
    )
