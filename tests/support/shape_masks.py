"""Test data: small photos of coloured shapes with mask images, their edges void."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lince import images

NAMES = ("cuadro", "disco")
VOID = 255


def draw_masked(number: int, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a uint8 RGB image (side, side, 3) of a square and, mostly, a disc, and its mask (side, side)."""
    image = rng.integers(90, 130, (side, side, 3)).astype(np.uint8)
    mask = np.zeros((side, side), np.uint8)
    x, y = rng.integers(2, side // 3, 2).tolist()
    corner = (x + side // 3, y + side // 3)
    cv2.rectangle(image, (x, y), corner, (220, 60, 40), -1)
    cv2.rectangle(mask, (x, y), corner, 1, -1)
    if number % 3:
        centre = tuple(rng.integers(3 * side // 5, 4 * side // 5, 2).tolist())
        cv2.circle(image, centre, side // 6, (40, 60, 220), -1)
        cv2.circle(mask, centre, side // 6, 2, -1)
        cv2.circle(mask, centre, side // 6, VOID, 1)
    return image, mask


def write_masks(root: Path, count: int = 20, side: int = 64, seed: int = 0) -> Path:
    """Write ``count`` images and their masks to ``root``, in the folders ``images`` and ``masks``; return ``root``."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        image, mask = draw_masked(number, side, rng)
        (root / "images" / f"foto {number:02}.png").write_bytes(images.encode_png(image))
        cv2.imencode(".png", mask)[1].tofile(root / "masks" / f"foto {number:02}.png")
    (root / "classes.txt").write_text("".join(f"{value} {name}\n" for value, name in enumerate(NAMES, 1)))
    return root
