"""A file of named arrays with a JSON record, memory-mapped on reading and protected by a digest.

Layout: magic bytes, length of the header, 128-bit BLAKE2b digest of the header and the arrays; then the header, JSON
with the record and each array's dtype, shape and offset; then the arrays, little-endian, each aligned to 64 bytes.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import fileio

MAGIC_BYTES = b"lince columns 1\n"
_DTYPES = ("|i1", "|u1", "<i4", "<i8", "<f8")
_ALIGNMENT = 64  # bytes; each array starts at a multiple of it
_HEADER = struct.Struct("<16sQ16s")  # magic bytes, length of the JSON header, digest of header and arrays
Columns = dict[str, NDArray[Any]]


def write_columns(path: Path, record: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write ``record`` (JSON) and ``columns`` to ``path``; an old file is replaced only when the new one is complete.

    Raise ``ValueError`` on arrays of another dtype than int8, uint8, int32, int64 and float64.
    """
    arrays = {name: _to_little_endian(column) for name, column in columns.items()}
    layout, offset = {}, 0
    for name, column in arrays.items():
        layout[name] = {"kind": column.dtype.str, "shape": column.shape, "at": offset}
        offset += -(-column.nbytes // _ALIGNMENT) * _ALIGNMENT
    header = json.dumps({"record": record, "columns": layout, "bytes": offset}).encode()
    with fileio.atomic_file(path) as temporary, open(temporary, "wb") as stream:
        stream.write(_HEADER.pack(MAGIC_BYTES, len(header), _compute_digest(header, arrays)) + header)
        stream.write(bytes(-stream.tell() % _ALIGNMENT))
        for column in arrays.values():
            column.tofile(stream)
            stream.write(bytes(-column.nbytes % _ALIGNMENT))


def read_columns(path: Path) -> tuple[dict[str, Any], Columns]:
    """Return the record and the arrays in the file at ``path``; the arrays are memory-mapped and read-only.

    Raise ``ValueError`` when the file is truncated, was changed, or is another kind of file, and ``OSError`` when it
    cannot be opened. The digest is checked, so all of the file is read once.
    """
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        magic, length, digest = _HEADER.unpack(stream.read(_HEADER.size).ljust(_HEADER.size, b"\0"))
        if magic != MAGIC_BYTES or length > size:
            raise ValueError("not a file of columns, or cut off")
        text = stream.read(length)
        header = json.loads(text)
        start = -(-(_HEADER.size + length) // _ALIGNMENT) * _ALIGNMENT
        if start + header["bytes"] != size:
            raise ValueError("cut off")
        data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))[start:] if header["bytes"] else b""
    columns = {name: _map_column(data, **layout) for name, layout in header["columns"].items()}
    if _compute_digest(text, columns) != digest:
        raise ValueError("changed since it was written")
    return header["record"], columns


def _to_little_endian(column: NDArray[Any]) -> NDArray[Any]:
    """Return ``column`` as a contiguous little-endian array; raise ``ValueError`` on a dtype that is not supported."""
    array = np.ascontiguousarray(column)
    if array.dtype.newbyteorder("<").str not in _DTYPES:
        raise ValueError(f"columns of {array.dtype} are not kept")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _map_column(data: memoryview | bytes, kind: str, shape: list[int], at: int) -> NDArray[Any]:
    """Return a view of ``data`` as an array of dtype ``kind`` and ``shape``, starting at byte ``at``."""
    if kind not in _DTYPES:
        raise ValueError(f"columns of {kind} are not kept")
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(data, np.dtype(kind), count, at).reshape(shape) if count else np.empty(shape, kind)


def _compute_digest(header: bytes, columns: Columns) -> bytes:
    """Return the digest of the header and the arrays, in their order."""
    digest = hashlib.blake2b(header, digest_size=16)
    for column in columns.values():
        if column.size:
            digest.update(column.data.cast("B"))
    return digest.digest()
