"""A zip archive as a tree, read in place: nothing is unpacked to disk, and what a hostile archive tries is refused.

The layout is PKWARE's APPNOTE 6.3.10. Every entry is read on its own, by position, so that any number of threads read
one archive, and what an entry declares is held against what it holds.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from lince.errors import DataError
from lince.i18n import _
from lince.splits import SPLIT_WORDS
from lince.storage.file_list import FileListing
from lince.storage.scan import sort_entries
from lince.storage.tree import MAX_LABEL_BYTES, make_too_large_error, make_unreadable_error

MAGIC_LENGTH = 4  # bytes that tell an archive
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # the header before an entry's data: mark, lengths of name and extra field
_END_RECORD_MAX_BYTES = 22 + 0xFFFF  # bytes in which the last record lies, with its comment
_UINT16_MAX = 0xFFFF  # what the last record states where 16 bits are too few
_HEADER_ALLOWANCE = 512  # bytes of name and extra field that are fetched together with the data
_STORED, _DEFLATED, _ENCRYPTED = 0, 8, -1
_ENCRYPTED_BIT, _UTF8_BIT = 1, 0x800  # bits of an entry's flags
_MAX_EXPANSION_RATIO, _EXPANSION_ALLOWANCE = (
    100,
    2**30,
)  # all entries together: times the archive's size, and bytes on top
_MEANINGFUL_FOLDERS = {*SPLIT_WORDS, "images"}  # folders that say what is in them
_DRIVE_LETTER = re.compile(r"[A-Za-z]:")
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError)


class RandomAccess(Protocol):
    """Bytes that lie somewhere, read piece by piece, by many threads at once."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``start`` on; raise ``OSError``."""


@dataclass(frozen=True)
class LocalFile:
    """The bytes of a file on this machine."""

    path: Path

    @cached_property
    def size(self) -> int:
        """How many bytes there are."""
        return os.stat(self.path).st_size

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``start`` on."""
        with open(self.path, "rb", buffering=0) as stream:
            stream.seek(start)
            return stream.read(count)


class _ZipEntry(NamedTuple):
    """Where an entry's header lies, how many bytes it has packed and unpacked, its CRC-32, its method."""

    header_offset: int
    compressed_size: int
    size: int
    crc: int
    method: int


class ZipTree:
    """The files in a zip archive; where all lie in one folder, names start within it."""

    def __init__(self, root: Path, block: RandomAccess, *, is_remote: bool = False) -> None:
        """Read the directory of the archive called ``root``; raise ``DataError`` when it is broken or hostile."""
        self.root = root
        self.is_remote = is_remote
        self._source = block
        infos = _read_directory(root, block)
        _check_safety(root, infos, block.size)
        found = _index_by_name(root, infos)
        inside = len(_common_root_folder(found))
        self._entries = {name[inside:]: _make_entry(info) for name, info in found.items() if not name.endswith("/")}
        self.listing = FileListing(sort_entries(_with_empty_folders(name[inside:] for name in found if name[inside:])))

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, in a fixed order."""
        return self.listing.names

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``."""
        return name in self._entries

    def read(self, name: str, at_most: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``, no byte more than it declares."""
        entry = self._require_entry(name)
        if entry.size > at_most:
            raise make_too_large_error(self._display_path(name), entry.size, at_most)
        # Packing never doubles a file: what claims to is not read to its end, and then found damaged.
        packed = self._read_compressed(name, entry, min(entry.compressed_size, 2 * entry.size + 1024))
        data = self._decompress(name, entry, packed, entry.size + 1)
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise self._damaged_error(name)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``; no more of it is unpacked."""
        entry = self._require_entry(name)
        packed = self._read_compressed(name, entry, min(entry.compressed_size, count + 1024))
        return self._decompress(name, entry, packed, min(count, entry.size))

    def _require_entry(self, name: str) -> _ZipEntry:
        entry = self._entries.get(name)
        if entry is None:
            raise make_unreadable_error(self._display_path(name), _("there is no such file"))
        if entry.method not in (_STORED, _DEFLATED):
            why = _("it is encrypted") if entry.method == _ENCRYPTED else _("it is packed in a rare way")
            raise DataError(
                _("{path} cannot be read: {error}.").format(path=self._display_path(name), error=why),
                _("Expected files packed as plain zip does, without a password."),
                _("Unpack the archive and pack it again."),
            )
        return entry

    def _read_compressed(self, name: str, entry: _ZipEntry, count: int) -> bytes:
        """Return ``count`` bytes of the entry's data as it lies in the archive."""
        try:
            piece = self._source.read_at(entry.header_offset, _LOCAL_HEADER.size + _HEADER_ALLOWANCE + count)
            if len(piece) < _LOCAL_HEADER.size or not piece.startswith(_MAGIC[0]):
                raise self._damaged_error(name)
            start = _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack_from(piece)[1:])
            if start + count > len(piece):
                piece, start = self._source.read_at(entry.header_offset + start, count), 0
        except OSError as error:
            raise make_unreadable_error(self._display_path(name), error.strerror or str(error)) from error
        return piece[start : start + count]

    def _decompress(self, name: str, entry: _ZipEntry, packed: bytes, at_most: int) -> bytes:
        if entry.method == _STORED or not at_most:
            return packed[:at_most]
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, at_most)
        except zlib.error as error:
            raise self._damaged_error(name) from error

    def _damaged_error(self, name: str) -> DataError:
        return make_unreadable_error(
            self._display_path(name), _("it is damaged, or does not hold what the archive declares")
        )

    def _display_path(self, name: str) -> str:
        return f"{self.root}/{name}"


def is_archive(head: bytes) -> bool:
    """Whether a file that starts with ``head``, its first ``HEAD`` bytes, is a zip archive."""
    return head.startswith(_MAGIC)


class _SeekableStream(io.RawIOBase):
    """A block as the file that ``zipfile`` wants to look for the directory in."""

    def __init__(self, block: RandomAccess) -> None:
        self._source = block
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}[whence]
        if self._position < 0:
            raise ValueError(offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _read_directory(root: Path, block: RandomAccess) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(io.BufferedReader(_SeekableStream(block), 1 << 20)) as archive:
            infos = archive.infolist()
        stated = _read_stated_count(block)
        if stated not in (len(infos) & _UINT16_MAX, _UINT16_MAX):
            raise zipfile.BadZipFile(
                _("its list names {found} files, not {stated}").format(found=len(infos), stated=stated)
            )
        return infos
    except OSError as error:
        raise make_unreadable_error(str(root), error.strerror or str(error)) from error
    except _ZIP_ERRORS as error:
        raise DataError(
            _("The archive {path} cannot be read: {error}.").format(path=root, error=error),
            _("Expected a whole zip archive."),
            _("It is cut off or damaged; copy it again."),
        ) from error


def _read_stated_count(block: RandomAccess) -> int:
    """Return how many entries the archive's last record states, of which it keeps 16 bits; ``zipfile`` does not ask."""
    tail = block.read_at(max(0, block.size - _END_RECORD_MAX_BYTES), _END_RECORD_MAX_BYTES)
    return int(struct.unpack_from("<H", tail, tail.rfind(_MAGIC[1]) + 10)[0])


def _check_safety(root: Path, infos: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse links, entries that lie over each other, and an archive that would unpack to far more than it is."""
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _archive_error(
                root, _("'{name}' is a link or a device").format(name=_escape_name(info)), _("plain files")
            )
    declared = sum(info.file_size for info in infos)
    if declared > _MAX_EXPANSION_RATIO * size + _EXPANSION_ALLOWANCE:
        reason = _("its {size:,} bytes would unpack to {declared:,}").format(size=size, declared=declared)
        raise _archive_error(root, reason, _("at most {times} times as much").format(times=_MAX_EXPANSION_RATIO))
    end, last = 0, ""
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            reason = _("'{name}' lies over '{other}'").format(name=_escape_name(info), other=last)
            raise _archive_error(root, reason, _("every file in a place of its own"))
        end, last = info.header_offset + _LOCAL_HEADER.size + info.compress_size, _escape_name(info)
        if end > size:
            raise _archive_error(root, _("'{name}' ends beyond the archive").format(name=last), _("a whole archive"))


def _index_by_name(root: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by name with '/', folders ending in one, what systems leave behind left out.

    Refuse an archive with a name that leads out of it, or with a file that stands twice.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = _decode_name(info).replace("\\", "/")
        parts = name.split("/")
        if "\0" in name or name.startswith("/") or ".." in parts or _DRIVE_LETTER.match(name):
            raise _archive_error(
                root, _("'{name}' leads out of it").format(name=_escape_name(info)), _("names below its root")
            )
        tidy = "/".join(part for part in parts if part not in ("", "."))
        tidy += "/" if tidy and name.endswith("/") else ""
        if tidy in found and not tidy.endswith("/"):
            raise _archive_error(root, _("'{name}' stands twice in it").format(name=tidy), _("every name once"))
        found[tidy] = info
    return {name: found[name] for name in sort_entries(filter(None, found))}


def _decode_name(info: zipfile.ZipInfo) -> str:
    """Return the name of an entry; where nothing says how it is written, as UTF-8 or as Windows in Europe writes."""
    name = info.orig_filename
    if info.flag_bits & _UTF8_BIT or name.isascii():
        return name
    data = name.encode("cp437")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp850")


def _common_root_folder(names: Iterable[str]) -> str:
    """Return the one folder in which all lies, ending in '/'; nothing where there is none or it says what is in it."""
    tops = {name.partition("/")[0] + "/" * ("/" in name) for name in names}
    top = tops.pop() if len(tops) == 1 else ""
    return top if top.endswith("/") and top[:-1].lower() not in _MEANINGFUL_FOLDERS else ""


def _with_empty_folders(names: Iterable[str]) -> Iterable[str]:
    """Return the files of ``names``, and those folders of it that have no file of their own."""
    kept = list(names)
    filled = {name.rpartition("/")[0] + "/" for name in kept if not name.endswith("/")}
    return (name for name in kept if name not in filled)


def _make_entry(info: zipfile.ZipInfo) -> _ZipEntry:
    method = _ENCRYPTED if info.flag_bits & _ENCRYPTED_BIT else info.compress_type
    return _ZipEntry(info.header_offset, info.compress_size, info.file_size, info.CRC, method)


def _escape_name(info: zipfile.ZipInfo) -> str:
    return info.orig_filename.encode("unicode_escape").decode()


def _archive_error(root: Path, reason: str, expected: str) -> DataError:
    return DataError(
        _("The archive {path} is not opened: {reason}.").format(path=root, reason=reason),
        _("Expected {what}.").format(what=expected),
        _("Pack it again from a folder that you trust."),
    )
