"""The noun that every format reads into: flat columns, so that a million images cost tens of megabytes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, Rejected

UNASSIGNED, TRAIN, VAL, TEST = -1, 0, 1, 2
_CHUNK = 4096
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
SPLIT_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
}


@dataclass(frozen=True)
class Strings:
    """A column of texts: all their UTF-8 bytes in one blob, with where each starts and ends (int64)."""

    blob: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Strings:
        """Return the column of ``texts``, which may be an iterator of any length."""
        blob = bytearray()
        offsets = array("q", [0])
        for text in texts:
            blob += text.encode("utf-8")
            offsets.append(len(blob))
        bounds = np.frombuffer(offsets, np.int64)
        return cls(bytes(blob), bounds[:-1], bounds[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> str:
        return self.blob[self.starts[index] : self.ends[index]].decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _CHUNK):
            chunk = np.s_[first : first + _CHUNK]
            for start, end in zip(self.starts[chunk].tolist(), self.ends[chunk].tolist(), strict=True):
                yield self.blob[start:end].decode("utf-8")

    def take(self, indices: NDArray[Any] | slice) -> Strings:
        """Return the texts at ``indices``, sharing the bytes."""
        return Strings(self.blob, self.starts[indices], self.ends[indices])


@dataclass(frozen=True)
class Pixels:
    """Images that the label file itself holds: blocks of grey uint8 (N, H, W), one after the other."""

    blocks: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        for block in self.blocks:
            if index < len(block):
                return np.asarray(block[index])
            index -= len(block)
        raise IndexError(index)


@dataclass(frozen=True)
class Table:
    """What a format's reader returns; the columns have one entry per image.

    ``names`` are paths relative to ``root`` with '/', or names made up for ``pixels``; ``class_ids`` int32 into
    ``classes``; ``splits`` int8: TRAIN, VAL, TEST or UNASSIGNED.
    """

    root: Path
    format: str
    names: Strings
    classes: Classes
    class_ids: NDArray[np.int32]
    splits: NDArray[np.int8]
    rejected: tuple[Rejected, ...] = ()
    pixels: Pixels | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.names), len(self.class_ids), len(self.splits)}
        if len(lengths) > 1 or (self.pixels is not None and len(self.pixels) not in lengths):
            raise ValueError(f"the columns of a table differ in length: {sorted(lengths)}")


@dataclass(frozen=True)
class Options:
    """What a user may say to help reading: the ``pattern`` that names a class within a file name."""

    pattern: str | None = None
