"""Reads the records of TFRecord files, and serves the images inside them as a tree.

The layout is that of TensorFlow's ``record_writer.h``: for each record its length (uint64, little
endian), the masked CRC-32C of these eight bytes, the data, and the masked CRC-32C of the data.
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
_MAX_RECORD_BYTES = 2**27  # a malicious record takes about ten times as much memory once it is parsed
_MAX_CACHED_BYTES = 2**30  # of files from archives and remote stores that are kept in memory


@dataclass(frozen=True)
class TfRecord:
    """One record: its ``number`` in the file from 1 on, the byte at which its data start, and the ``data``."""

    number: int
    start: int
    data: bytes


class ShardSet:
    """Opens the record files of a tree.

    Local files are opened anew each time. Files in archives and remote stores are read as a whole
    and the last ones kept in memory, up to 1 GiB. Can be used from several threads.
    """

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[ShardSet], tuple[FileTree]]:
        # The cache is not sent to other processes.
        return ShardSet, (self._tree,)

    @property
    def is_remote(self) -> bool:
        """Whether opening a file that is not in memory costs a request over the network."""
        return self._tree.is_remote

    def open(self, name: str) -> BinaryIO:
        """Return the file ``name`` as a seekable stream; raise ``DataError`` when it cannot be opened."""
        if not isinstance(self._tree, LocalFolder):
            return io.BytesIO(self._read_cached(name))
        path = os.path.join(self._tree.root, name)
        try:
            return open(path, "rb")
        except OSError as error:
            raise make_unreadable_error(path, error.strerror or str(error)) from error

    def _read_cached(self, name: str) -> bytes:
        """Return the content of a file from the cache, dropping the files used longest ago."""
        with self._lock:
            if name not in self._cache:
                self._cache[name] = self._tree.read(name)
            self._cache.move_to_end(name)
            while len(self._cache) > 1 and sum(map(len, self._cache.values())) > _MAX_CACHED_BYTES:
                self._cache.popitem(last=False)
            return self._cache[name]


class RecordImageTree:
    """The images in record files as a tree of files, each read from its position when needed.

    ``root`` is the path of the record files for messages.
    """

    def __init__(self, root: Path, shards: ShardSet) -> None:
        self.root = root
        self._shards = shards
        self._files: list[str] = []
        self._rows: dict[str, int] = {}
        self._duplicate_counts: dict[str, int] = {}
        self._positions = array("q")  # per image: index of its file, first byte, number of bytes

    @property
    def names(self) -> tuple[str, ...]:
        """Every image, in the order of the records."""
        return tuple(self._rows)

    @cached_property
    def listing(self) -> FileListing:
        """The same images, indexed by folder and by suffix."""
        return FileListing(sort_entries(self._rows))

    @property
    def is_remote(self) -> bool:
        """Whether the record files are in a remote store."""
        return self._shards.is_remote

    def has(self, name: str) -> bool:
        """Whether the image ``name`` exists."""
        return name in self._rows

    def add_image(self, name: str, file: str, start: int, count: int) -> str:
        """Register the image of ``count`` bytes from position ``start`` in ``file``, and returns its unique name.

        A name that exists already gets a number: ``x-2.jpg``. The images of a file must be added
        one after the other.
        """
        stem, suffix = os.path.splitext(name)
        while name in self._rows:
            number = self._duplicate_counts[stem] = self._duplicate_counts.get(stem, 1) + 1
            name = f"{stem}-{number}{suffix}"
        if not self._files or self._files[-1] != file:
            self._files.append(file)
        self._rows[name] = len(self._rows)
        self._positions.extend((len(self._files) - 1, start, count))
        return name

    def read(self, name: str, max_bytes: int = MAX_LABEL_BYTES) -> bytes:
        """Return the encoded image ``name``; raise ``DataError`` as ``FileTree.read`` does."""
        count = self._locate(name)[2]
        if count > max_bytes:
            raise make_too_large_error(str(self.root / name), count, max_bytes)
        return self.head(name, count)

    def head(self, name: str, count: int) -> bytes:
        """Return up to ``count`` first bytes of the image ``name``."""
        file, start, length = self._locate(name)
        try:
            with self._shards.open(self._files[file]) as stream:
                stream.seek(start)
                return stream.read(min(count, length))
        except OSError as error:
            raise make_unreadable_error(str(self.root / self._files[file]), error.strerror or str(error)) from error

    def _locate(self, name: str) -> array[int]:
        """Return index of the file, first byte and number of bytes of an image."""
        row = self._rows.get(name)
        if row is None:
            raise make_unreadable_error(str(self.root / name), _("there is no such image in the records"))
        return self._positions[3 * row : 3 * row + 3]


def is_record_header(head: bytes) -> bool:
    """Whether ``head``, the first bytes of a file, is the length of a record and its checksum."""
    return len(head) >= HEADER_BYTES and _masked_crc(head[:8]) == int.from_bytes(head[8:HEADER_BYTES], "little")


def is_compressed(head: bytes) -> bool:
    """Whether ``head``, the first bytes of a file, is that of GZIP or ZLIB, TensorFlow's compressed record files."""
    return head[:2] in (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def iterate_records(stream: BinaryIO, name: str) -> Iterator[TfRecord | RejectedItem]:
    """Yield every record of the file ``name``, and a rejection for each that is damaged.

    After damaged data the next record is still found; after a damaged length, or where the file is
    cut off, nothing more is read. ``stream`` must be seekable.
    """
    size = stream.seek(0, io.SEEK_END)
    position, number = 0, 0
    while position < size:
        number += 1
        stream.seek(position)
        head = stream.read(HEADER_BYTES)
        problem = _header_problem(head, size - position)
        if problem and number == 1 and is_compressed(head):
            yield RejectedItem(name, _("the file is compressed as a whole"), _("unpack it, or write it uncompressed"))
            return
        if problem:
            yield _reject_record(name, number, position, problem)
            return
        length = int.from_bytes(head[:8], "little")
        yield _read_record(stream, name, TfRecord(number, position + HEADER_BYTES, b""), length)
        position += HEADER_BYTES + length + _FOOTER_BYTES


def encode_record(data: bytes) -> bytes:
    """Return ``data`` as one record of a file, with its length and checksums."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, struct.pack("<I", _masked_crc(length)), data, struct.pack("<I", _masked_crc(data))))


def _header_problem(head: bytes, remaining: int) -> str:
    """Return what is wrong with a record header before ``remaining`` bytes of the file; '' when it is right."""
    if len(head) < HEADER_BYTES:
        return _("the file is truncated")
    if not is_record_header(head):
        return _("the checksum of its length is wrong; what follows cannot be found")
    if int.from_bytes(head[:8], "little") > remaining - HEADER_BYTES - _FOOTER_BYTES:
        return _("the file is truncated")
    return ""


def _read_record(stream: BinaryIO, name: str, record_start: TfRecord, length: int) -> TfRecord | RejectedItem:
    """Return the record of ``length`` bytes at ``record_start``, whose data are still empty, or its rejection."""
    start = record_start.start - HEADER_BYTES
    if length > _MAX_RECORD_BYTES:
        return _reject_record(name, record_start.number, start, _("it has {size:,} bytes").format(size=length))
    data = stream.read(length)
    if len(data) < length or _masked_crc(data) != int.from_bytes(stream.read(_FOOTER_BYTES), "little"):
        return _reject_record(name, record_start.number, start, _("its checksum is wrong"))
    return TfRecord(record_start.number, record_start.start, data)


def _reject_record(name: str, number: int, position: int, problem: str) -> RejectedItem:
    """Return the rejection of the record with this number, at byte ``position``."""
    reason = _("record {number} at byte {at}: {why}").format(number=number, at=position, why=problem)
    return RejectedItem(f"{name}#{number}", reason, _("copy the file again, or write it again"), kind="unusable")


def _masked_crc(data: bytes) -> int:
    """Return TensorFlow's masked CRC-32C: rotated right by 15 bits, plus a constant."""
    checksum = int(google_crc32c.value(data))
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF
