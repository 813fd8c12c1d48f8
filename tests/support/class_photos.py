"""Test data: small photos of coloured shapes on noise, one folder per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lince import images

SHAPES = ("aro", "barra", "cruz")


def draw(kind: str, rng: np.random.Generator, side: int = 32) -> np.ndarray:
    """Return a uint8 RGB image (side, side, 3) of a shape at a random position."""
    picture = rng.integers(0, 90, (side, side, 3)).astype(np.uint8)
    y, x = np.mgrid[:side, :side]
    cy, cx = rng.integers(side // 3, 2 * side // 3, 2)
    colour = rng.integers(150, 256, 3)
    radius = np.hypot(y - cy, x - cx)
    mask = {
        "aro": (radius < side * 0.3) & (radius > side * 0.18),
        "barra": (abs(y - cy) < side * 0.08) & (abs(x - cx) < side * 0.4),
        "cruz": ((abs(y - cy) < side * 0.08) | (abs(x - cx) < side * 0.08)) & (radius < side * 0.4),
    }[kind]
    picture[mask] = colour
    return picture


def folders(root: Path, each: int = 12, side: int = 32, seed: int = 0) -> Path:
    """Write ``each`` images per shape below ``root`` as PNG files in class folders; return ``root``."""
    rng = np.random.default_rng(seed)
    for kind in SHAPES:
        (root / kind).mkdir(parents=True)
        for number in range(each):
            (root / kind / f"foto {number:02}.png").write_bytes(images.encode_png(draw(kind, rng, side)))
    return root
