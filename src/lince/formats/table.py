"""The table that every format is read into: one entry per image in flat columns, tens of megabytes for a million."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes, ObjectTable, RejectedItem, StringColumn
from lince.label_sets import LabelSets, list_image_classes
from lince.storage.tree import FileTree


@dataclass(frozen=True)
class PixelBlocks:
    """Images stored in the label file itself: blocks of grey uint8 (N, H, W), one after the other.

    Index ``i`` counts through all blocks and gives an array (H, W); blocks may differ in image size.
    """

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
class LabelTable:
    """What a format's reader returns; every column has one entry per image.

    ``names`` are paths relative to ``root`` with '/' (full paths for images elsewhere), or made-up names for
    ``pixels``. ``class_ids`` int32 (N,) index ``classes``, ``UNLABELLED`` where an image as a whole has no class or
    several. ``label_sets`` has all classes of each image where any has several, ``None`` elsewhere.
    ``void_masks`` has, of mask images, the pixels of each image of which the labels say nothing, as compressed RLE.
    ``splits`` int8 (N,) are ``TRAIN``, ``VAL``, ``TEST`` or ``UNASSIGNED``.

    Formats with objects fill ``objects``, and ``sizes`` int32 (N, 2) with (height, width) in pixels of the upright
    images, 0 where the labels do not give it. ``rejected`` lists what could not be used, ``repaired`` what
    ``ReadOptions.fix`` changed. ``tree`` is the ``FileTree`` of the images where that is not a local folder.

    Raise ``ValueError`` when the columns differ in length.
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
    label_sets: LabelSets | None = None
    void_masks: StringColumn | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.names), len(self.class_ids), len(self.splits)}
        others = (
            self.pixels,
            self.sizes,
            self.label_sets,
            self.void_masks,
            None if self.objects is None else self.objects.starts[1:],
        )
        lengths.update(len(column) for column in others if column is not None)
        if len(lengths) > 1:
            raise ValueError(f"the columns of a table differ in length: {sorted(lengths)}")

    def list_class_names(self, row: int) -> list[str]:
        """Return the names of the classes of the image at ``row`` as a whole."""
        return list_image_classes(self.classes, self.class_ids, self.label_sets, row)


FIXES = ("clip", "order", "duplicates")


@dataclass(frozen=True)
class ReadOptions:
    """What a caller may set for reading.

    ``pattern`` says where the class is in file names, such as ``{class}_{n}``; only the format ``names`` reads it.
    ``void`` holds values, ``#rrggbb`` colours or names of mask images that say nothing of a pixel.
    ``fix`` holds the wanted repairs, of ``FIXES``: ``clip`` cuts boxes at the image's edge, ``order`` swaps sides that
    are the wrong way round (left beyond right), ``duplicates`` keeps one of several equal objects on an image.
    """

    pattern: str | None = None
    void: frozenset[str] = frozenset()
    fix: frozenset[str] = frozenset()
