"""Test data: small photos that show several of the shapes of ``class_photos`` side by side, or none."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from tests.support.class_photos import SHAPES, draw

from lince import images


def draw_set(members: np.ndarray, rng: np.random.Generator, side: int = 24) -> np.ndarray:
    """Return a uint8 RGB image (side, 3 * side, 3) with the shapes that are ``members`` (3,), in any order."""
    order = rng.permutation(len(SHAPES))
    tiles = [
        draw(SHAPES[i], rng, side) if members[i] else rng.integers(0, 90, (side, side, 3)).astype(np.uint8)
        for i in order
    ]
    return np.concatenate(tiles, axis=1)


def one_hot_table(root: Path, count: int = 60, seed: int = 0, side: int = 24) -> Path:
    """Write ``count`` photos and a table with a column of 0 and 1 for each shape below ``root``; return ``root``."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True)
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["filename", *SHAPES])
        for number in range(count):
            members = rng.random(len(SHAPES)) < 0.5
            name = f"foto {number:02}.png"
            (root / name).write_bytes(images.encode_png(draw_set(members, rng, side)))
            table.writerow([name, *members.astype(int)])
    return root
