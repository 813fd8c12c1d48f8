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
from lince.labels.listing import Listing
from lince.labels.scan import in_order
from lince.labels.table import SPLIT_WORDS
from lince.labels.tree import LABELS_AT_MOST, too_large, unreadable
from lince.messages import _

HEAD = 4  # bytes that tell an archive
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL = struct.Struct("<4s22xHH")  # the header before an entry's data: mark, lengths of name and extra field
_LAST = 22 + 0xFFFF  # bytes in which the last record lies, with its comment
_MANY = 0xFFFF  # what the last record states where 16 bits are too few
_SLACK = 512  # bytes of name and extra field that are fetched together with the data
_STORED, _DEFLATED, _ENCRYPTED = 0, 8, -1
_LOCKED, _UTF8 = 1, 0x800  # bits of an entry's flags
_MOST_EXPANSION, _FREE = 100, 2**30  # all entries together: times the archive's size, and bytes on top
_TELLING = {*SPLIT_WORDS, "images"}  # folders that say what is in them
_DRIVE = re.compile(r"[A-Za-z]:")
_BROKEN = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError)


class Block(Protocol):
    """Bytes that lie somewhere, read piece by piece, by many threads at once."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``start`` on; raise ``OSError``."""


@dataclass(frozen=True)
class FileBlock:
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


class _Entry(NamedTuple):
    """Where an entry's header lies, how many bytes it has packed and unpacked, its CRC-32, its method."""

    start: int
    packed: int
    size: int
    crc: int
    method: int


class Archive:
    """The files in a zip archive; where all lie in one folder, names start within it."""

    def __init__(self, root: Path, block: Block, *, far: bool = False) -> None:
        """Read the directory of the archive called ``root``; raise ``DataError`` when it is broken or hostile."""
        self.root = root
        self.far = far
        self._block = block
        infos = _directory(root, block)
        _require_sane(root, infos, block.size)
        found = _by_name(root, infos)
        inside = len(_only_folder(found))
        self._entries = {name[inside:]: _entry(info) for name, info in found.items() if not name.endswith("/")}
        self.listing = Listing(in_order(_with_hollow(name[inside:] for name in found if name[inside:])))

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, in a fixed order."""
        return self.listing.names

    def has(self, name: str) -> bool:
        """Whether there is a file ``name``."""
        return name in self._entries

    def read(self, name: str, at_most: int = LABELS_AT_MOST) -> bytes:
        """Return the content of the file ``name``, no byte more than it declares."""
        entry = self._entry(name)
        if entry.size > at_most:
            raise too_large(self._place(name), entry.size, at_most)
        # Packing never doubles a file: what claims to is not read to its end, and then found damaged.
        packed = self._packed(name, entry, min(entry.packed, 2 * entry.size + 1024))
        data = self._unpacked(name, entry, packed, entry.size + 1)
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise self._damaged(name)
        return data

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the file ``name``; no more of it is unpacked."""
        entry = self._entry(name)
        packed = self._packed(name, entry, min(entry.packed, count + 1024))
        return self._unpacked(name, entry, packed, min(count, entry.size))

    def _entry(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise unreadable(self._place(name), _("there is no such file"))
        if entry.method not in (_STORED, _DEFLATED):
            why = _("it is encrypted") if entry.method == _ENCRYPTED else _("it is packed in a rare way")
            raise DataError(
                _("{path} cannot be read: {error}.").format(path=self._place(name), error=why),
                _("Expected files packed as plain zip does, without a password."),
                _("Unpack the archive and pack it again."),
            )
        return entry

    def _packed(self, name: str, entry: _Entry, count: int) -> bytes:
        """Return ``count`` bytes of the entry's data as it lies in the archive."""
        try:
            piece = self._block.read_at(entry.start, _LOCAL.size + _SLACK + count)
            if len(piece) < _LOCAL.size or not piece.startswith(_MAGIC[0]):
                raise self._damaged(name)
            start = _LOCAL.size + sum(_LOCAL.unpack_from(piece)[1:])
            if start + count > len(piece):
                piece, start = self._block.read_at(entry.start + start, count), 0
        except OSError as error:
            raise unreadable(self._place(name), error.strerror or str(error)) from error
        return piece[start : start + count]

    def _unpacked(self, name: str, entry: _Entry, packed: bytes, at_most: int) -> bytes:
        if entry.method == _STORED or not at_most:
            return packed[:at_most]
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, at_most)
        except zlib.error as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> DataError:
        return unreadable(self._place(name), _("it is damaged, or does not hold what the archive declares"))

    def _place(self, name: str) -> str:
        return f"{self.root}/{name}"


def is_archive(head: bytes) -> bool:
    """Whether a file that starts with ``head``, its first ``HEAD`` bytes, is a zip archive."""
    return head.startswith(_MAGIC)


class _Stream(io.RawIOBase):
    """A block as the file that ``zipfile`` wants to look for the directory in."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._block.size}[whence]
        if self._at < 0:
            raise ValueError(offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._block.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _directory(root: Path, block: Block) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(io.BufferedReader(_Stream(block), 1 << 20)) as archive:
            infos = archive.infolist()
        stated = _stated(block)
        if stated not in (len(infos) & _MANY, _MANY):
            raise zipfile.BadZipFile(
                _("its list names {found} files, not {stated}").format(found=len(infos), stated=stated)
            )
        return infos
    except OSError as error:
        raise unreadable(str(root), error.strerror or str(error)) from error
    except _BROKEN as error:
        raise DataError(
            _("The archive {path} cannot be read: {error}.").format(path=root, error=error),
            _("Expected a whole zip archive."),
            _("It is cut off or damaged; copy it again."),
        ) from error


def _stated(block: Block) -> int:
    """Return how many entries the archive's last record states, of which it keeps 16 bits; ``zipfile`` does not ask."""
    tail = block.read_at(max(0, block.size - _LAST), _LAST)
    return int(struct.unpack_from("<H", tail, tail.rfind(_MAGIC[1]) + 10)[0])


def _require_sane(root: Path, infos: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse links, entries that lie over each other, and an archive that would unpack to far more than it is."""
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(root, _("'{name}' is a link or a device").format(name=_shown(info)), _("plain files"))
    declared = sum(info.file_size for info in infos)
    if declared > _MOST_EXPANSION * size + _FREE:
        reason = _("its {size:,} bytes would unpack to {declared:,}").format(size=size, declared=declared)
        raise _refused(root, reason, _("at most {times} times as much").format(times=_MOST_EXPANSION))
    end, last = 0, ""
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            reason = _("'{name}' lies over '{other}'").format(name=_shown(info), other=last)
            raise _refused(root, reason, _("every file in a place of its own"))
        end, last = info.header_offset + _LOCAL.size + info.compress_size, _shown(info)
        if end > size:
            raise _refused(root, _("'{name}' ends beyond the archive").format(name=last), _("a whole archive"))


def _by_name(root: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by name with '/', folders ending in one, what systems leave behind left out.

    Refuse an archive with a name that leads out of it, or with a file that stands twice.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = _text(info).replace("\\", "/")
        parts = name.split("/")
        if "\0" in name or name.startswith("/") or ".." in parts or _DRIVE.match(name):
            raise _refused(root, _("'{name}' leads out of it").format(name=_shown(info)), _("names below its root"))
        tidy = "/".join(part for part in parts if part not in ("", "."))
        tidy += "/" if tidy and name.endswith("/") else ""
        if tidy in found and not tidy.endswith("/"):
            raise _refused(root, _("'{name}' stands twice in it").format(name=tidy), _("every name once"))
        found[tidy] = info
    return {name: found[name] for name in in_order(filter(None, found))}


def _text(info: zipfile.ZipInfo) -> str:
    """Return the name of an entry; where nothing says how it is written, as UTF-8 or as Windows in Europe writes."""
    name = info.orig_filename
    if info.flag_bits & _UTF8 or name.isascii():
        return name
    data = name.encode("cp437")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp850")


def _only_folder(names: Iterable[str]) -> str:
    """Return the one folder in which all lies, ending in '/'; nothing where there is none or it says what is in it."""
    tops = {name.partition("/")[0] + "/" * ("/" in name) for name in names}
    top = tops.pop() if len(tops) == 1 else ""
    return top if top.endswith("/") and top[:-1].lower() not in _TELLING else ""


def _with_hollow(names: Iterable[str]) -> Iterable[str]:
    """Return the files of ``names``, and those folders of it that have no file of their own."""
    kept = list(names)
    filled = {name.rpartition("/")[0] + "/" for name in kept if not name.endswith("/")}
    return (name for name in kept if name not in filled)


def _entry(info: zipfile.ZipInfo) -> _Entry:
    method = _ENCRYPTED if info.flag_bits & _LOCKED else info.compress_type
    return _Entry(info.header_offset, info.compress_size, info.file_size, info.CRC, method)


def _shown(info: zipfile.ZipInfo) -> str:
    return info.orig_filename.encode("unicode_escape").decode()


def _refused(root: Path, reason: str, expected: str) -> DataError:
    return DataError(
        _("The archive {path} is not opened: {reason}.").format(path=root, reason=reason),
        _("Expected {what}.").format(what=expected),
        _("Pack it again from a folder that you trust."),
    )
