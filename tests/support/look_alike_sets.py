"""Photos that look alike without being copies: a fixed camera with a small moving part, a camera that moves slowly.

Also altered copies, and the names that Roboflow gives them. Everything is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

SIDES = (160, 120)  # width and height of a photo


def draw_scene(seed: int, width: int = SIDES[0], height: int = SIDES[1]) -> Image.Image:
    """Return a scene of soft colours and sharp rectangles that differs from that of any other seed."""
    rng = np.random.default_rng([seed, 71])
    coarse = rng.integers(0, 256, (max(3, height // 24), max(4, width // 24), 3), dtype=np.uint8)
    canvas = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).copy()
    for _shape in range(width * height // 900):
        y, x = rng.integers(0, height - 8), rng.integers(0, width - 8)
        canvas[y : y + rng.integers(4, 30), x : x + rng.integers(4, 30)] = rng.integers(0, 256, 3)
    return Image.fromarray(canvas)


def shoot_fixed_camera(count: int, seed: int = 0, part_side: int = 16, moves: str = "anywhere") -> list[Image.Image]:
    """Return ``count`` photos of one place with a small part in each, with noise and changing light.

    The part stands ``anywhere``, or ``slowly`` crosses the place from photo to photo, as in a film.
    """
    rng = np.random.default_rng([seed, 72])
    place = np.asarray(draw_scene(seed)).astype(np.float64)
    height, width = place.shape[:2]
    photos = []
    for number in range(count):
        photo = place.copy()
        x, y = rng.integers(0, width - part_side), rng.integers(0, height - part_side)
        if moves == "slowly":
            x, y = round(number * (width - part_side) / count), height // 2
        photo[y : y + part_side, x : x + part_side] = 255 - photo[y : y + part_side, x : x + part_side]
        photo = photo * rng.uniform(0.9, 1.1) + rng.normal(0, 2, photo.shape)
        photos.append(Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8)))
    return photos


def shoot_slow_camera(count: int, seed: int = 0, step: int = 3) -> list[Image.Image]:
    """Return ``count`` photos of a camera that moves by ``step`` pixels a photo over one long scene."""
    width, height = SIDES
    scene = draw_scene(seed, width + step * count, height)
    return [scene.crop((step * i, 0, step * i + width, height)) for i in range(count)]


def shoot_moving_camera(count: int, seed: int = 0) -> list[Image.Image]:
    """Return ``count`` photos of a fast camera: light and colours change slowly, all that is sharp is new."""
    rng = np.random.default_rng([seed, 73])
    width, height = SIDES
    light = rng.uniform(0, 255, (4, 5, 3))
    photos = []
    for _number in range(count):
        light = np.clip(light + rng.normal(0, 14, light.shape), 0, 255)
        canvas = np.asarray(Image.fromarray(light.astype(np.uint8)).resize(SIDES, Image.Resampling.BICUBIC)).copy()
        for _shape in range(12):
            y, x = rng.integers(0, height - 8), rng.integers(0, width - 8)
            canvas[y : y + rng.integers(4, 20), x : x + rng.integers(4, 20)] = rng.integers(0, 256, 3)
        photos.append(Image.fromarray(canvas))
    return photos


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "darker": lambda photo: ImageEnhance.Brightness(photo).enhance(0.7),
    "mirrored": ImageOps.mirror,
    "flipped": ImageOps.flip,
    "upright": lambda photo: photo.transpose(Image.Transpose.ROTATE_90),
    "turned": lambda photo: photo.rotate(20, Image.Resampling.BICUBIC),
    "cut": lambda photo: photo.crop((12, 4, 150, 110)).resize(photo.size),
}


def name_export(stem: str, version: int) -> str:
    """Return the name that Roboflow gives a version of ``stem``.jpg."""
    return f"{stem}_jpg.rf.{sum(stem.encode()):08x}{version:024x}.jpg"


def save_photos(root: Path, photos: Iterable[tuple[str, Image.Image]]) -> Path:
    """Save each photo under its name below ``root``, and return ``root``."""
    for name, photo in photos:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(root / name, quality=92)
    return root
