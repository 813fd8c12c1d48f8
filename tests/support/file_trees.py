"""Test data: folders and archives made from names and contents."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from lince import images
from lince.storage.zip import LocalFile, ZipTree

PHOTO = images.encode_png(np.zeros((2, 3, 3), np.uint8))


def fill(root: Path, found: dict[str, bytes]) -> Path:
    for name, data in found.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (root / name).mkdir(parents=True)
        else:
            (root / name).write_bytes(data)
    return root


def zipped(path: Path, found: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return path


def tree_of(path: Path) -> ZipTree:
    return ZipTree(path, LocalFile(path))
