"""Named arrays and a record in one file, mapped into memory when read: whole and unchanged, or refused."""

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
_ALIGNMENT = 64
_HEADER = struct.Struct("<16sQ16s")
Columns = dict[str, NDArray[Any]]


def write_columns(path: Path, record: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write ``record`` (JSON) and ``columns`` to ``path``, whole or not at all."""
    flat = {name: _to_little_endian(column) for name, column in columns.items()}
    places, at = {}, 0
    for name, column in flat.items():
        places[name] = {"kind": column.dtype.str, "shape": column.shape, "at": at}
        at += -(-column.nbytes // _ALIGNMENT) * _ALIGNMENT
    head = json.dumps({"record": record, "columns": places, "bytes": at}).encode()
    with fileio.atomic_file(path) as aside, open(aside, "wb") as stream:
        stream.write(_HEADER.pack(MAGIC_BYTES, len(head), _compute_digest(head, flat)) + head)
        stream.write(bytes(-stream.tell() % _ALIGNMENT))
        for column in flat.values():
            column.tofile(stream)
            stream.write(bytes(-column.nbytes % _ALIGNMENT))


def read_columns(path: Path) -> tuple[dict[str, Any], Columns]:
    """Return the record and the columns at ``path``, the latter mapped, not copied.

    Raise ``ValueError`` on a file that is cut off, changed, or not of this kind, ``OSError`` when there is none.
    """
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        magic, length, digest = _HEADER.unpack(stream.read(_HEADER.size).ljust(_HEADER.size, b"\0"))
        if magic != MAGIC_BYTES or length > size:
            raise ValueError("not a file of columns, or cut off")
        text = stream.read(length)
        head = json.loads(text)
        first = -(-(_HEADER.size + length) // _ALIGNMENT) * _ALIGNMENT
        if first + head["bytes"] != size:
            raise ValueError("cut off")
        data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))[first:] if head["bytes"] else b""
    columns = {name: _map_column(data, **place) for name, place in head["columns"].items()}
    if _compute_digest(text, columns) != digest:
        raise ValueError("changed since it was written")
    return head["record"], columns


def _to_little_endian(column: NDArray[Any]) -> NDArray[Any]:
    flat = np.ascontiguousarray(column)
    if flat.dtype.newbyteorder("<").str not in _DTYPES:
        raise ValueError(f"columns of {flat.dtype} are not kept")
    return flat.astype(flat.dtype.newbyteorder("<"), copy=False)


def _map_column(data: memoryview | bytes, kind: str, shape: list[int], at: int) -> NDArray[Any]:
    if kind not in _DTYPES:
        raise ValueError(f"columns of {kind} are not kept")
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(data, np.dtype(kind), count, at).reshape(shape) if count else np.empty(shape, kind)


def _compute_digest(head: bytes, columns: Columns) -> bytes:
    check = hashlib.blake2b(head, digest_size=16)
    for column in columns.values():
        if column.size:
            check.update(column.data.cast("B"))
    return check.digest()
