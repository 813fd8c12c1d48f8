"""What a format is to the rest of lince: how it is recognised, read and written, and what it can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.formats.table import ReadOptions, Table
from lince.progress import Progress
from lince.storage.tree import DataLocation


class Capability(Flag):
    """What a format may hold.

    ``CLASSES`` is the list of all classes in its order, also of those that no image shows; ``NEGATIVES`` an image that
    is known to show nothing; ``RINGS`` an outline of more than one ring; ``PATHS`` an image that lies elsewhere, by its
    full path.
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


@dataclass(frozen=True)
class WriteRequest:
    """What a writer is given: a ``table``, and how its images are called where the labels will lie.

    ``files`` holds for each image its path from the target folder with '/', or a full path for an image that stays
    where it is; ``sizes`` int32 (N, 2) has (height, width), all known; ``read`` returns the bytes of image ``i``.
    """

    table: Table
    image_paths: Sequence[str]
    image_sizes: NDArray[np.int32]
    read_image: Callable[[int], bytes]


@dataclass(frozen=True)
class Format:
    """One format. ``detect`` returns the evidence, or ``None``.

    ``write`` puts label files into an empty folder; ``file`` says where an image goes in it, given the word of its
    split (empty for none), its class (empty for none) and its file name. Formats that are only read have neither,
    those that embed the images have no ``file``. ``flags`` is the sum of the flags that it holds, where it holds any.
    """

    name: str
    detect: Callable[[DataLocation], str | None]
    read: Callable[[DataLocation, ReadOptions, Progress], Table]
    capabilities: Capability
    write: Callable[[WriteRequest, Path], None] | None = None
    image_path: Callable[[str, str, str], str] | None = None
    supported_flags: int = DIFFICULT | TRUNCATED | CROWD | OCCLUDED | GROUP
