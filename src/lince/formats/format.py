"""Defines the record of a format: how to detect, read and write it, and what it can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.formats.table import LabelTable, ReadOptions
from lince.progress import Progress
from lince.storage.tree import DataLocation


class Capability(Flag):
    """What a format can hold; converting to a format loses whatever it cannot.

    - ``LABELS``: a class for the image as a whole.
    - ``LABEL_SETS``: any number of classes for the image as a whole.
    - ``BOXES``, ``OUTLINES``, ``MASKS``: objects as upright boxes, as polygons, as pixel masks.
    - ``VOID``: pixels of which the labels say nothing.
    - ``SPLITS``: which images are for training, validation and test.
    - ``FLAGS``: object flags such as "difficult"; ``Format.supported_flags`` says which.
    - ``CLASSES``: the list of all classes in its order, also of those that no image shows.
    - ``NEGATIVES``: images that are known to show no object.
    - ``MULTI_RING_OUTLINES``: an outline of more than one ring.
    - ``EXTERNAL_PATHS``: images outside of the dataset's folder, by their full paths.
    """

    LABELS = auto()
    BOXES = auto()
    OUTLINES = auto()
    MASKS = auto()
    SPLITS = auto()
    FLAGS = auto()
    CLASSES = auto()
    NEGATIVES = auto()
    MULTI_RING_OUTLINES = auto()
    EXTERNAL_PATHS = auto()
    LABEL_SETS = auto()
    VOID = auto()


@dataclass(frozen=True)
class WriteRequest:
    """Input of a format's ``write``: a table, and what its images are called in the target folder.

    ``image_paths`` has one entry per image: its path from the target folder with '/', or its full path when it stays
    where it is. ``image_sizes`` int32 (N, 2) holds (height, width) in pixels of the upright images, all known.
    ``read_image`` returns the encoded bytes of the image in a row of the table, for formats that embed images.
    """

    table: LabelTable
    image_paths: Sequence[str]
    image_sizes: NDArray[np.int32]
    read_image: Callable[[int], bytes]


@dataclass(frozen=True)
class Format:
    """One format that lince reads, and writes where it has ``write``.

    ``detect`` returns the evidence for the format at a location, as a text for people, or ``None``; it looks at names
    and the beginnings of files only. ``read`` returns the labels as a table and raises ``DataError`` or ``UsageError``
    when the files cannot be used at all; single rows and objects that cannot be used are listed in
    ``LabelTable.rejected``.

    ``write`` adds label files to a folder that holds the images already. ``image_path`` returns where an image goes in
    that folder, given the name of its split, the name of its class (both empty for none) and its file name. Formats
    that are only read have neither; those that embed the images have no ``image_path``.

    ``supported_flags`` is the sum of the object flags that the format holds; it counts only with ``Capability.FLAGS``.
    """

    name: str
    detect: Callable[[DataLocation], str | None]
    read: Callable[[DataLocation, ReadOptions, Progress], LabelTable]
    capabilities: Capability
    write: Callable[[WriteRequest, Path], None] | None = None
    image_path: Callable[[str, str, str], str] | None = None
    supported_flags: int = DIFFICULT | TRUNCATED | CROWD | OCCLUDED | GROUP
