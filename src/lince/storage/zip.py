"""Reads a zip archive in place as a tree of files, without unpacking to disk, and refuses unsafe archives.

The format is PKWARE's APPNOTE 6.3.10. ``zipfile`` reads the directory; the entries are read here,
each by position and without shared state, so that any number of threads can read one archive. Size
and CRC-32 of every entry are checked.
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
from lince.storage.archive_names import find_name_encoding
from lince.storage.file_list import FileListing
from lince.storage.scan import sort_entries
from lince.storage.tree import MAX_LABEL_BYTES, make_too_large_error, make_unreadable_error

MAGIC_LENGTH = 4  # first bytes needed to recognise an archive
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # before the data of an entry: signature, lengths of name and extra field
_END_RECORD_MAX_BYTES = 22 + 0xFFFF  # end of central directory record, with its comment
_UINT16_MAX = 0xFFFF  # value of a 16-bit field whose number is too large for it
_HEADER_ALLOWANCE = 512  # bytes for name and extra field that are fetched together with the data
_STORED, _DEFLATED, _ENCRYPTED = 0, 8, -1
_ENCRYPTED_BIT, _UTF8_BIT = 1, 0x800  # general purpose bit flags
# All entries together may have 100 times the bytes of the archive, and 1 GiB on top.
_MAX_EXPANSION_RATIO, _EXPANSION_ALLOWANCE = 100, 2**30
_MEANINGFUL_FOLDERS = {*SPLIT_WORDS, "images"}  # kept in the names even as the only top folder
_DRIVE_LETTER = re.compile(r"[A-Za-z]:")
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError)


class RandomAccess(Protocol):
    """Bytes that can be read at any position, by several threads at once: a local or a remote file."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from position ``start``; raise ``OSError``."""


@dataclass(frozen=True)
class LocalFile:
    """Random access to a file on this machine."""

    path: Path

    @cached_property
    def size(self) -> int:
        """The number of bytes."""
        return os.stat(self.path).st_size

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from position ``start``. The file is opened anew for each call."""
        with open(self.path, "rb", buffering=0) as stream:
            stream.seek(start)
            return stream.read(count)


class _ZipEntry(NamedTuple):
    """Position of the local header, sizes in bytes, CRC-32 of the data, and compression method of an entry."""

    header_offset: int
    compressed_size: int
    size: int
    crc: int
    method: int


class ZipTree:
    """The files in a zip archive.

    Where the archive has a single top folder, as most tools pack them, names are relative to it,
    unless its name has a meaning of its own (``train``, ``images``). Stored and deflated entries
    can be read; encrypted ones and those of other methods are listed, but raise ``DataError`` when
    read.
    """

    def __init__(self, root: Path, source: RandomAccess, *, is_remote: bool = False) -> None:
        """Read the directory of the archive in ``source``, which messages call ``root``.

        Raise ``DataError`` when it is damaged, or unsafe: names that leave the archive, duplicate
        names, links, overlapping entries, or an expansion of more than about 100 times.
        """
        self.root = root
        self.is_remote = is_remote
        self._source = source
        infos = _read_directory(root, source)
        _check_safety(root, infos, source.size)
        infos_by_name = _index_by_name(root, infos)
        prefix_length = len(find_common_root_folder(infos_by_name))
        self._entries = {
            name[prefix_length:]: _make_entry(info) for name, info in infos_by_name.items() if not name.endswith("/")
        }
        self.listing = FileListing.without_own(
            sort_entries(keep_empty_folders(name[prefix_length:] for name in infos_by_name if name[prefix_length:]))
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every file in a fixed order."""
        return self.listing.names

    def has(self, name: str) -> bool:
        """Whether the file ``name`` exists."""
        return name in self._entries

    def read(self, name: str, max_bytes: int = MAX_LABEL_BYTES) -> bytes:
        """Return the content of the file ``name``.

        Raise ``DataError`` as ``FileTree.read`` does, and when the content does not have the
        declared size and CRC-32. No more than the declared size is held in memory.
        """
        entry = self._require_entry(name)
        if entry.size > max_bytes:
            raise make_too_large_error(self._display_path(name), entry.size, max_bytes)
        # Compression never doubles the size: an entry that claims so is read in part, and then fails the checks.
        compressed = self._read_compressed(name, entry, min(entry.compressed_size, 2 * entry.size + 1024))
        data = self._decompress(name, entry, compressed, entry.size + 1)
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise self._damaged_error(name)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``, decompressing no more of it."""
        entry = self._require_entry(name)
        compressed = self._read_compressed(name, entry, min(entry.compressed_size, count + 1024))
        return self._decompress(name, entry, compressed, min(count, entry.size))

    def _require_entry(self, name: str) -> _ZipEntry:
        """Return the entry ``name``; raise ``DataError`` when it is missing or cannot be decompressed."""
        entry = self._entries.get(name)
        if entry is None:
            raise make_unreadable_error(self._display_path(name), _("there is no such file"))
        if entry.method not in (_STORED, _DEFLATED):
            reason = (
                _("it is encrypted") if entry.method == _ENCRYPTED else _("it uses an unsupported compression method")
            )
            raise DataError(
                _("{path} cannot be read: {error}.").format(path=self._display_path(name), error=reason),
                _("Expected a standard zip archive without a password."),
                _("Unpack the archive and pack it again."),
            )
        return entry

    def _read_compressed(self, name: str, entry: _ZipEntry, count: int) -> bytes:
        """Return the first ``count`` bytes of an entry as stored in the archive."""
        try:
            data = self._source.read_at(entry.header_offset, _LOCAL_HEADER.size + _HEADER_ALLOWANCE + count)
            if len(data) < _LOCAL_HEADER.size or not data.startswith(_MAGIC[0]):
                raise self._damaged_error(name)
            start = _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack_from(data)[1:])
            if start + count > len(data):
                data, start = self._source.read_at(entry.header_offset + start, count), 0
        except OSError as error:
            raise make_unreadable_error(self._display_path(name), error.strerror or str(error)) from error
        return data[start : start + count]

    def _decompress(self, name: str, entry: _ZipEntry, compressed: bytes, max_bytes: int) -> bytes:
        """Return at most ``max_bytes`` of the decompressed data."""
        if entry.method == _STORED or not max_bytes:
            return compressed[:max_bytes]
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(compressed, max_bytes)
        except zlib.error as error:
            raise self._damaged_error(name) from error

    def _damaged_error(self, name: str) -> DataError:
        """Return the error for an entry whose data are broken."""
        return make_unreadable_error(
            self._display_path(name), _("it is damaged, or does not match what the archive declares")
        )

    def _display_path(self, name: str) -> str:
        return f"{self.root}/{name}"


def is_archive(head: bytes) -> bool:
    """Whether a file is a zip archive, given its first ``MAGIC_LENGTH`` bytes in ``head``."""
    return head.startswith(_MAGIC)


class _SeekableStream(io.RawIOBase):
    """A ``RandomAccess`` as the file object that ``zipfile`` needs to read the directory."""

    def __init__(self, source: RandomAccess) -> None:
        self._source = source
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; raise ``ValueError`` when it would be negative."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}[whence]
        if self._position < 0:
            raise ValueError(offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` from the current position; return the number of bytes, 0 at the end."""
        data = self._source.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _read_directory(root: Path, source: RandomAccess) -> list[zipfile.ZipInfo]:
    """Return the entries of the central directory.

    Raise ``DataError`` when it cannot be read, or lists another number of entries than the end
    record states, which ``zipfile`` does not check.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(_SeekableStream(source), 1 << 20)) as archive:
            infos = archive.infolist()
        stated_count = _read_stated_count(source)
        if stated_count not in (len(infos) & _UINT16_MAX, _UINT16_MAX):
            raise zipfile.BadZipFile(
                _("its list contains {found} files, not {stated}").format(found=len(infos), stated=stated_count)
            )
        return infos
    except OSError as error:
        raise make_unreadable_error(str(root), error.strerror or str(error)) from error
    except _ZIP_ERRORS as error:
        raise DataError(
            _("The archive {path} cannot be read: {error}.").format(path=root, error=error),
            _("Expected a complete zip archive."),
            _("It is truncated or damaged; copy it again."),
        ) from error


def _read_stated_count(source: RandomAccess) -> int:
    """Return the number of entries in the end record of the archive, modulo 2^16."""
    tail = source.read_at(max(0, source.size - _END_RECORD_MAX_BYTES), _END_RECORD_MAX_BYTES)
    return int(struct.unpack_from("<H", tail, tail.rfind(_MAGIC[1]) + 10)[0])


def _check_safety(root: Path, infos: list[zipfile.ZipInfo], archive_size: int) -> None:
    """Raise ``DataError`` for links and devices, overlapping entries, and archives that would expand to too many bytes.

    Overlapping entries are the trick of zip bombs that reuse one compressed block (Fifield, "A
    better zip bomb", WOOT 2019).
    """
    for info in infos:
        file_type = stat.S_IFMT(info.external_attr >> 16)
        if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _archive_error(
                root, _("'{name}' is a link or a device").format(name=_escape_name(info)), _("plain files")
            )
    declared_size = sum(info.file_size for info in infos)
    if declared_size > _MAX_EXPANSION_RATIO * archive_size + _EXPANSION_ALLOWANCE:
        reason = _("its {size:,} bytes would unpack to {declared:,}").format(size=archive_size, declared=declared_size)
        raise _archive_error(root, reason, _("at most {times} times as much").format(times=_MAX_EXPANSION_RATIO))
    previous_end, previous_name = 0, ""
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < previous_end:
            reason = _("'{name}' overlaps '{other}'").format(name=_escape_name(info), other=previous_name)
            raise _archive_error(root, reason, _("files that do not overlap"))
        previous_end, previous_name = info.header_offset + _LOCAL_HEADER.size + info.compress_size, _escape_name(info)
        if previous_end > archive_size:
            raise _archive_error(
                root,
                _("'{name}' extends past the end of the archive").format(name=previous_name),
                _("a complete archive"),
            )


def _index_by_name(root: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by name with '/', without hidden and system files; the names of folders end in '/'.

    Raise ``DataError`` for a name that is absolute or leads out of the archive, and for a file that
    is listed twice.
    """
    infos_by_name: dict[str, zipfile.ZipInfo] = {}
    encoding = find_name_encoding(raw for info in infos if (raw := _get_raw_name(info)) is not None)
    if not encoding:
        raw_names = (info.orig_filename for info in infos if _get_raw_name(info) is not None)
        raise DataError(
            _("The archive {path} has file names in an encoding that is not clear, such as '{name}'.").format(
                path=root, name=next(raw_names)
            ),
            _("Expected names in UTF-8."),
            _("Unpack it with a program that shows the names as they should be, and give the folder."),
        )
    for info in infos:
        name = _decode_name(info, encoding).replace("\\", "/")
        parts = name.split("/")
        if "\0" in name or name.startswith("/") or ".." in parts or _DRIVE_LETTER.match(name):
            raise _archive_error(
                root,
                _("'{name}' points outside the archive").format(name=_escape_name(info)),
                _("names below its root"),
            )
        clean_name = "/".join(part for part in parts if part not in ("", "."))
        clean_name += "/" if clean_name and name.endswith("/") else ""
        if clean_name in infos_by_name and not clean_name.endswith("/"):
            raise _archive_error(root, _("'{name}' appears twice in it").format(name=clean_name), _("every name once"))
        infos_by_name[clean_name] = info
    return {name: infos_by_name[name] for name in sort_entries(filter(None, infos_by_name))}


def _decode_name(info: zipfile.ZipInfo, encoding: str) -> str:
    """Return the name of an entry; ``encoding`` is that of names that are not UTF-8."""
    raw = _get_raw_name(info)
    if raw is not None:
        return raw.decode(encoding)
    name = info.orig_filename
    return name if info.flag_bits & _UTF8_BIT or name.isascii() else name.encode("cp437").decode("utf-8")


def _get_raw_name(info: zipfile.ZipInfo) -> bytes | None:
    """Return the bytes of the name of an entry that is not UTF-8, ``None`` for any other.

    Names without the flag for UTF-8 are tried as UTF-8, since many tools forget the flag.
    """
    if info.flag_bits & _UTF8_BIT or info.orig_filename.isascii():
        return None
    raw = info.orig_filename.encode("cp437")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
    return None


def find_common_root_folder(names: Iterable[str]) -> str:
    """Return the only top folder, ending in '/'.

    Return '' where there are several top entries, or where the folder's name has a meaning (a
    split, ``images``).
    """
    top_entries = {name.partition("/")[0] + "/" * ("/" in name) for name in names}
    top = top_entries.pop() if len(top_entries) == 1 else ""
    return top if top.endswith("/") and top[:-1].lower() not in _MEANINGFUL_FOLDERS else ""


def keep_empty_folders(names: Iterable[str]) -> Iterable[str]:
    """Return the files of ``names``, and those of its folders without files of their own."""
    all_names = list(names)
    folders_with_files = {name.rpartition("/")[0] + "/" for name in all_names if not name.endswith("/")}
    return (name for name in all_names if name not in folders_with_files)


def _make_entry(info: zipfile.ZipInfo) -> _ZipEntry:
    """Return what is needed to read the entry; encryption is treated as a method of its own."""
    method = _ENCRYPTED if info.flag_bits & _ENCRYPTED_BIT else info.compress_type
    return _ZipEntry(info.header_offset, info.compress_size, info.file_size, info.CRC, method)


def _escape_name(info: zipfile.ZipInfo) -> str:
    """Return the raw name of an entry with escapes, safe to print."""
    return info.orig_filename.encode("unicode_escape").decode()


def _archive_error(root: Path, reason: str, expected: str) -> DataError:
    """Return the error for an archive that is refused for ``reason``."""
    return DataError(
        _("The archive {path} is not opened: {reason}.").format(path=root, reason=reason),
        _("Expected {what}.").format(what=expected),
        _("Pack it again from a folder that you trust."),
    )
