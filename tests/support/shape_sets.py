"""Test data: small photos of none to three shapes each, with a table of 0 and 1 for each shape."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from tests.support.class_photos import SHAPES, draw

from lince import images


def draw_set(kinds: tuple[str, ...], rng: np.random.Generator, side: int = 32) -> np.ndarray:
    """Return a uint8 RGB image (side, side, 3) with all of the shapes ``kinds``, the brightest of each pixel."""
    empty = rng.integers(0, 90, (side, side, 3)).astype(np.uint8)
    return np.maximum.reduce([empty, *(draw(kind, rng, side) for kind in kinds)])


def write_table(root: Path, count: int = 40, side: int = 32, seed: int = 0) -> Path:
    """Write ``count`` images with random sets of shapes and their ``labels.csv`` to ``root``; return ``root``."""
    rng = np.random.default_rng(seed)
    (root / "fotos").mkdir(parents=True)
    with open(root / "labels.csv", "w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["filename", *SHAPES])
        for number in range(count):
            flags = rng.random(len(SHAPES)) < 0.5
            kinds = tuple(kind for kind, flag in zip(SHAPES, flags, strict=True) if flag)
            name = f"fotos/foto {number:02}.png"
            (root / name).write_bytes(images.encode_png(draw_set(kinds, rng, side)))
            table.writerow([name, *flags.astype(int).tolist()])
    return root
