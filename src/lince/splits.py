"""The splits of a dataset: their numbers, names, and the synonyms for them in label files and folder names."""

from __future__ import annotations

import posixpath

UNASSIGNED, TRAIN, VAL, TEST = -1, 0, 1, 2
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


def infer_split_from_folders(path: str) -> int:
    """Return the split that a folder in ``path`` is named after, ``UNASSIGNED`` when none is.

    ``path`` is relative to the data, with '/'. The outermost folder with such a name counts, whatever
    its case; the file name does not. Absolute paths, which lead out of the data, have no split.
    """
    folders = () if posixpath.isabs(path) else path.lower().split("/")[:-1]
    return next((SPLIT_WORDS[name] for name in folders if name in SPLIT_WORDS), UNASSIGNED)
