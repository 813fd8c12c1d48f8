"""The noun that every format reads into: flat columns, so that a million images cost tens of megabytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, ObjectTable, RejectedItem, StringColumn
from lince.storage.tree import FileTree


@dataclass(frozen=True)
class PixelBlocks:
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
    ``classes``, UNLABELLED where an image as a whole has no class; ``splits`` int8: TRAIN, VAL, TEST or UNASSIGNED.
    Formats of marks on images fill ``objects``, and ``sizes`` int32 (N, 2) with (height, width) of the upright images,
    0 where the labels do not tell. ``repaired`` lists what ``Options.fix`` changed. ``tree`` is where the files lie
    when that is not a folder.
    """

    root: Path
    format: str
    names: StringColumn
    classes: Classes
    class_ids: NDArray[np.int32]
    splits: NDArray[np.int8]
    rejected: tuple[RejectedItem, ...] = ()
    pixels: PixelBlocks | None = None
    objects: ObjectTable | None = None
    sizes: NDArray[np.int32] | None = None
    repaired: tuple[RejectedItem, ...] = ()
    tree: FileTree | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.names), len(self.class_ids), len(self.splits)}
        others = (self.pixels, self.sizes, None if self.objects is None else self.objects.starts[1:])
        lengths.update(len(column) for column in others if column is not None)
        if len(lengths) > 1:
            raise ValueError(f"the columns of a table differ in length: {sorted(lengths)}")


FIXES = ("clip", "order", "duplicates")


@dataclass(frozen=True)
class ReadOptions:
    """What a user may say to help reading.

    ``pattern`` names a class within a file name; ``fix`` holds the repairs (of ``FIXES``) that are wanted: ``clip``
    cuts boxes at the image's edge, ``order`` exchanges sides that stand the wrong way round, ``duplicates`` drops an
    object that is written twice.
    """

    pattern: str | None = None
    fix: frozenset[str] = frozenset()
