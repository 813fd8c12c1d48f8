"""Built-in data, so that everything can be tried without a download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lince.annotations import Classes, Strings
from lince.data.dataset import Dataset, from_table
from lince.errors import MissingExtraError
from lince.labels import UNASSIGNED, Pixels, Table
from lince.messages import _


def digits() -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits, 8 x 8 pixels, grey (UCI, CC BY 4.0); no split.

    Raise ``MissingExtraError`` when scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  (an extra, and slow to load)
    except ImportError as error:
        raise MissingExtraError(
            _("The built-in digits come with scikit-learn, which is not installed."),
            "",
            _("In lince's own folder, type: {line}").format(line='pip install -e ".[train]"'),
        ) from error
    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)
    count = len(pixels)
    return from_table(
        Table(
            root=Path("lince:digits"),
            format="digits",
            names=Strings.of(f"digit-{i:04d}" for i in range(count)),
            classes=Classes(tuple(map(str, range(10)))),
            class_ids=found.target.astype(np.int32),
            splits=np.full(count, UNASSIGNED, np.int8),
            pixels=Pixels((pixels,)),
        )
    )
