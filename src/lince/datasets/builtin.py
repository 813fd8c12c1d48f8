"""Built-in datasets, which need no download."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from lince.annotations import Classes, StringColumn
from lince.datasets.dataset import Dataset, build_dataset
from lince.formats import LabelTable, PixelBlocks
from lince.splits import UNASSIGNED

DIGITS_FILE = "digits.npz"  # made by scripts/digits_file.py; values from 0 (paper) to 16 (ink)


def load_digits_dataset() -> Dataset:
    """Return the 1,797 handwritten digits that are part of the package: 8 x 8 pixels, grey, without a split.

    They are the test part of Optical Recognition of Handwritten Digits (UCI, CC BY 4.0), as scikit-learn has it.
    """
    with (
        resources.files("lince.datasets").joinpath(DIGITS_FILE).open("rb") as stream,
        np.load(stream, allow_pickle=False) as arrays,
    ):
        ink, labels = arrays["pixels"], arrays["labels"]
    pixels = np.rint(ink * (255 / 16)).astype(np.uint8)
    count = len(pixels)
    return build_dataset(
        LabelTable(
            root=Path("lince:digits"),
            format="digits",
            names=StringColumn.from_strings(f"digit-{i:04d}" for i in range(count)),
            classes=Classes(tuple(map(str, range(10)))),
            class_ids=labels.astype(np.int32),
            splits=np.full(count, UNASSIGNED, np.int8),
            pixels=PixelBlocks((pixels,)),
        )
    )
