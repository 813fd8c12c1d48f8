"""Test data: small photos of bright rectangles and discs on noise, labelled as YOLO."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lince import images

NAMES = ("caja", "bola")


def draw(rng: np.random.Generator, side: int = 96, most: int = 3) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """Return a uint8 RGB image (side, side, 3), class ids, and boxes (left, top, right, bottom)."""
    picture = rng.integers(0, 60, (side, side, 3)).astype(np.uint8)
    y, x = np.mgrid[:side, :side]
    things = []
    for cell in rng.permutation(4)[: rng.integers(1, most + 1)].tolist():
        kind, size = int(rng.integers(0, 2)), int(rng.integers(side // 5, side // 2 - 6))
        left = (cell % 2) * side // 2 + int(rng.integers(1, side // 2 - size))
        top = (cell // 2) * side // 2 + int(rng.integers(1, side // 2 - size))
        half = size / 2
        inside = (
            (x >= left) & (x < left + size) & (y >= top) & (y < top + size)
            if kind == 0
            else np.hypot(x + 0.5 - left - half, y + 0.5 - top - half) < half
        )
        picture[inside] = (230, 60, 40) if kind == 0 else (40, 200, 230)
        things.append((kind, np.array([left, top, left + size, top + size], np.float64)))
    return picture, things


def outline(kind: int, box: np.ndarray) -> np.ndarray:
    """Return the outline (K, 2) of a thing: the corners of a rectangle, or 32 points of a disc."""
    if kind == 0:
        return box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    centre, radii = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def yolo(root: Path, counts: dict[str, int], side: int = 96, seed: int = 0, outlined: bool = False) -> Path:
    """Write so many images of each split below ``root`` with labels and ``data.yaml``; return ``root``.

    ``outlined`` writes outlines in place of boxes, but for the first thing of every fifth image.
    """
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture, things = draw(rng, side)
            name = f"{split} foto {number:02}"
            (root / "images" / split / f"{name}.png").write_bytes(images.encode_png(picture))
            rows = [
                f"{kind} {(b[0] + b[2]) / 2 / side} {(b[1] + b[3]) / 2 / side} {(b[2] - b[0]) / side} "
                f"{(b[3] - b[1]) / side}"
                for kind, b in things
            ]
            if outlined:
                shapes = [" ".join(map(str, (outline(kind, b) / side).ravel().tolist())) for kind, b in things]
                rows = [
                    row if number % 5 == 4 and i == 0 else f"{kind} {shape}"
                    for i, ((kind, _b), shape, row) in enumerate(zip(things, shapes, rows, strict=True))
                ]
            (root / "labels" / split / f"{name}.txt").write_text("\n".join(rows))
    splits = "".join(f"{split}: images/{split}\n" for split in counts)
    (root / "data.yaml").write_text(f"path: .\n{splits}names: [{', '.join(NAMES)}]\n")
    return root
