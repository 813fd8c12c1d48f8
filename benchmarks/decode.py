"""Decode + resize of a 500 x 375 JPEG to 224 x 224 on one core: lince, Pillow, torchvision."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from lince import images
from lince.preprocess import PreprocessSpec, resize_to_input

FLOOR = 1000.0  # images per second that lince must reach
SPEC = PreprocessSpec(224, 224)
ROUNDS, PER_ROUND = 40, 25


def run() -> None:
    """Print the images per second of each library, and lince's ratio to it."""
    cv2.setNumThreads(1)
    data = photo()
    ways: dict[str, Callable[[], object]] = {
        "lince": lambda: resize_to_input(images.decode_image(data, (224, 224)), SPEC)
    }
    ways["Pillow"] = lambda: Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    ways["Pillow, draft"] = lambda: _drafted(data)
    ways |= _torchvision(data)
    rates = measure(ways)
    print(f"one 500 x 375 JPEG of {len(data):,} bytes, one thread, best of {ROUNDS} alternating rounds")
    for name, rate in rates.items():
        print(f"  {name:<24}{rate:8,.0f} images/s   lince is {rates['lince'] / rate:5.2f} x")
    print(f"  {'floor':<24}{FLOOR:8,.0f} images/s   lince is {rates['lince'] / FLOOR:5.2f} x")


def photo(seed: int = 0) -> bytes:
    """Return a 500 x 375 JPEG of about 32 kB, the median of the Oxford pets of that size."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    smooth = cv2.resize(coarse, (500, 375), interpolation=cv2.INTER_CUBIC).astype(int)
    texture = rng.normal(0, 6, (375, 500, 1)) * (smooth[:, :, :1] > 128)
    return images.encode_jpeg(np.clip(smooth + texture, 0, 255).astype(np.uint8), 80)


def measure(ways: dict[str, Callable[[], object]], rounds: int = ROUNDS, calls: int = PER_ROUND) -> dict[str, float]:
    """Return calls per second of each function: the best of alternating rounds, which other load affects alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _round in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            for _call in range(calls):
                way()
            seconds[name].append((time.perf_counter() - start) / calls)
    return {name: 1 / min(found) for name, found in seconds.items()}


def _drafted(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (224, 224))
    return image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)


def _torchvision(data: bytes) -> dict[str, Callable[[], object]]:
    try:
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg
        from torchvision.transforms.v2 import functional
    except ImportError:
        print("torchvision is not installed: left out")
        return {}
    torch.set_num_threads(1)
    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return {
        "torchvision": lambda: functional.resize(decode_jpeg(buffer, ImageReadMode.RGB), [224, 224], antialias=True)
    }
