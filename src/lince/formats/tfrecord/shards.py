"""TFRecord files: records one after the other, each with its length and two checksums; and their pictures as a tree.

The layout is TensorFlow's ``record_writer.h``: the length (uint64, little endian), the masked CRC-32C of those eight
bytes, the data, and the masked CRC-32C of the data.
"""

from __future__ import annotations

import io
import os
import struct
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import google_crc32c

from lince.annotations import RejectedItem
from lince.i18n import _
from lince.storage.file_list import FileListing
from lince.storage.scan import sort_entries
from lince.storage.tree import MAX_LABEL_BYTES, FileTree, LocalFolder, make_too_large_error, make_unreadable_error

HEADER_BYTES = 12  # bytes before the data of a record
_FOOTER_BYTES = 4
_MAX_RECORD_BYTES = 2**27  # bytes; a hostile record takes some ten times as much memory once it is parsed
_MAX_CACHED_BYTES = 2**30  # bytes of files out of an archive or from afar that are kept at hand


@dataclass(frozen=True)
class Record:
    """One record: its ``number`` in the file, from 1 on, where its ``data`` starts, in bytes, and the data."""

    number: int
    start: int
    data: bytes


class ShardSet:
    """Record files of a tree, opened when asked for; those that are no files of this machine are kept at hand."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[ShardSet], tuple[FileTree]]:
        # What is at hand stays behind when the images go to another process.
        return ShardSet, (self._tree,)

    @property
    def is_remote(self) -> bool:
        """Whether each look into a file that is not at hand is a journey over a network."""
        return self._tree.is_remote

    def open(self, name: str) -> BinaryIO:
        """Return the file ``name`` as a stream; raise ``DataError`` when it cannot be opened."""
        if not isinstance(self._tree, LocalFolder):
            return io.BytesIO(self._read_cached(name))
        path = os.path.join(self._tree.root, name)
        try:
            return open(path, "rb")
        except OSError as error:
            raise make_unreadable_error(path, error.strerror or str(error)) from error

    def _read_cached(self, name: str) -> bytes:
        with self._lock:
            if name not in self._cache:
                self._cache[name] = self._tree.read(name)
            self._cache.move_to_end(name)
            while len(self._cache) > 1 and sum(map(len, self._cache.values())) > _MAX_CACHED_BYTES:
                self._cache.popitem(last=False)
            return self._cache[name]


class RecordImageTree:
    """The pictures inside record files as a tree of files; each is read from its place when asked for."""

    def __init__(self, root: Path, shards: ShardSet) -> None:
        self.root = root
        self._shards = shards
        self._files: list[str] = []
        self._rows: dict[str, int] = {}
        self._duplicate_counts: dict[str, int] = {}
        self._positions = array("q")  # of each picture: the number of its file, its first byte, how many

    @property
    def names(self) -> tuple[str, ...]:
        """Every picture, in the order of the records."""
        return tuple(self._rows)

    @cached_property
    def listing(self) -> FileListing:
        """The same, by folder and by ending."""
        return FileListing(sort_entries(self._rows))

    @property
    def is_remote(self) -> bool:
        """Whether the record files lie behind a network."""
        return self._shards.is_remote

    def has(self, name: str) -> bool:
        """Whether there is a picture ``name``."""
        return name in self._rows

    def add_image(self, name: str, file: str, start: int, count: int) -> str:
        """Enter the picture of ``count`` bytes from ``start`` on in ``file``; return its name, made one of a kind."""
        base, ending = os.path.splitext(name)
        while name in self._rows:
            number = self._duplicate_counts[base] = self._duplicate_counts.get(base, 1) + 1
            name = f"{base}-{number}{ending}"
        if not self._files or self._files[-1] != file:
            self._files.append(file)
        self._rows[name] = len(self._rows)
        self._positions.extend((len(self._files) - 1, start, count))
        return name

    def read(self, name: str, at_most: int = MAX_LABEL_BYTES) -> bytes:
        """Return the picture ``name`` as it was stored."""
        count = self._locate(name)[2]
        if count > at_most:
            raise make_too_large_error(str(self.root / name), count, at_most)
        return self.head(name, count)

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the picture ``name``."""
        file, start, length = self._locate(name)
        try:
            with self._shards.open(self._files[file]) as stream:
                stream.seek(start)
                return stream.read(min(count, length))
        except OSError as error:
            raise make_unreadable_error(str(self.root / self._files[file]), error.strerror or str(error)) from error

    def _locate(self, name: str) -> array[int]:
        row = self._rows.get(name)
        if row is None:
            raise make_unreadable_error(str(self.root / name), _("there is no such picture in the records"))
        return self._positions[3 * row : 3 * row + 3]


def is_record_header(head: bytes) -> bool:
    """Whether ``head``, the first bytes of a file, is the length of a record and its checksum."""
    return len(head) >= HEADER_BYTES and _masked_crc(head[:8]) == int.from_bytes(head[8:HEADER_BYTES], "little")


def is_compressed(head: bytes) -> bool:
    """Whether ``head``, the first bytes of a file, says that TensorFlow compressed it as a whole."""
    return head[:2] in (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def iterate_records(stream: BinaryIO, name: str) -> Iterator[Record | RejectedItem]:
    """Yield every record of the file ``name``, and a refusal for each that is damaged.

    Where the data of a record is damaged the next is found all the same; where its length is, or where the file is cut
    off, nothing more is read.
    """
    size = stream.seek(0, io.SEEK_END)
    at, number = 0, 0
    while at < size:
        number += 1
        stream.seek(at)
        head = stream.read(HEADER_BYTES)
        refusal = _header_problem(head, size - at)
        if refusal and number == 1 and is_compressed(head):
            yield RejectedItem(name, _("the file is compressed as a whole"), _("unpack it, or write it uncompressed"))
            return
        if refusal:
            yield _reject_record(name, number, at, refusal)
            return
        length = int.from_bytes(head[:8], "little")
        yield _read_record(stream, name, Record(number, at + HEADER_BYTES, b""), length)
        at += HEADER_BYTES + length + _FOOTER_BYTES


def encode_record(data: bytes) -> bytes:
    """Return ``data`` as one record of a file."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, struct.pack("<I", _masked_crc(length)), data, struct.pack("<I", _masked_crc(data))))


def _header_problem(head: bytes, left: int) -> str:
    if len(head) < HEADER_BYTES:
        return _("the file is cut off")
    if not is_record_header(head):
        return _("the checksum of its length is wrong; what follows cannot be found")
    if int.from_bytes(head[:8], "little") > left - HEADER_BYTES - _FOOTER_BYTES:
        return _("the file is cut off")
    return ""


def _read_record(stream: BinaryIO, name: str, at: Record, length: int) -> Record | RejectedItem:
    start = at.start - HEADER_BYTES
    if length > _MAX_RECORD_BYTES:
        return _reject_record(name, at.number, start, _("it has {size:,} bytes").format(size=length))
    data = stream.read(length)
    if len(data) < length or _masked_crc(data) != int.from_bytes(stream.read(_FOOTER_BYTES), "little"):
        return _reject_record(name, at.number, start, _("its checksum is wrong"))
    return Record(at.number, at.start, data)


def _reject_record(name: str, number: int, at: int, why: str) -> RejectedItem:
    reason = _("record {number} at byte {at}: {why}").format(number=number, at=at, why=why)
    return RejectedItem(f"{name}#{number}", reason, _("copy the file again, or write it again"), kind="unusable")


def _masked_crc(data: bytes) -> int:
    checksum = int(google_crc32c.value(data))
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF
