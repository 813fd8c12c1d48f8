"""Make src/lince/datasets/digits.npz, the digits behind ``lince:digits``, from scikit-learn's copy.

``python scripts/digits_file.py`` writes the file again; it has two arrays: ``pixels``, uint8 (1797, 8, 8) with values
from 0 (paper) to 16 (ink), and ``labels``, uint8 (1797,). The images are the test part of the UCI data set Optical
Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), which is published under CC BY 4.0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TARGET = Path(__file__).resolve().parents[1] / "src" / "lince" / "datasets" / "digits.npz"


def load_reference() -> dict[str, NDArray[np.uint8]]:
    """Return the two arrays of the file, as scikit-learn's copy has them."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  # the tests that do without it import this script

    digits = load_digits()
    return {"pixels": digits.images.astype(np.uint8), "labels": digits.target.astype(np.uint8)}


def main() -> None:
    """Write the file and print its size."""
    np.savez_compressed(TARGET, allow_pickle=False, **load_reference())
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
