"""Augmentation of decoded 500 x 375 photos to 224 x 224 on one core: lince, torchvision v2, albumentations."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks import peers
from lince.augmentation import Policy, augment
from lince.preprocess import PreprocessSpec

FLOOR = 600.0  # images per second that lince must reach with 8 operations
SPEC = PreprocessSpec(224, 224)
ROUNDS, PER_ROUND, BOXES = 12, 40, 20
OPERATIONS = (
    "rotation 15",
    "brightness 0.2",
    "zoom 0.1",
    "contrast 0.2",
    "shift_x 0.1",
    "shift_y 0.1",
    "saturation 0.2",
    "hue 18",
    "shear_x 8",
    "flip_x 0.5",
    "autocontrast 1",
    "posterize 5",
)
# (number of operations from the list above, whether boxes are transformed too)
CASES = ((2, False), (4, False), (8, False), (12, False), (8, True))

Way = Callable[[int, bool], float]


def run() -> None:
    """Print the images per second of each library for 2 to 12 operations, and the ratios."""
    cv2.setNumThreads(1)
    ways: dict[str, Way] = {"lince": _lince(), **_torchvision(), **_albumentations()}
    best = {(name, case): float("inf") for name in ways for case in CASES}
    for _round in range(ROUNDS):  # alternating, so that other load on the machine affects all alike
        for case in CASES:
            for name, way in ways.items():
                best[name, case] = min(best[name, case], way(*case))
    print(f"one thread, images/s, best of {ROUNDS} alternating rounds of {PER_ROUND}; peers use their fused classes")
    for case in CASES:
        ours = 1 / best["lince", case]
        print(
            f"{case[0]} operations" + (f", {BOXES} boxes" if case[1] else "") + ": " + ", ".join(OPERATIONS[: case[0]])
        )
        for name in ways:
            rate = 1 / best[name, case]
            print(f"  {name:<16}{rate:8,.0f} images/s   lince is {ours / rate:5.2f} x")
        if case[0] == 8:
            print(f"  {'floor':<16}{FLOOR:8,.0f} images/s   lince is {ours / FLOOR:5.2f} x")
    growth = best["lince", (12, False)] / best["lince", (2, False)]
    print(f"12 operations take lince {growth:.2f} times as long as 2")


def photo() -> np.ndarray:
    """Return an image (375, 500, 3) with smooth parts and edges."""
    coarse = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return cv2.resize(coarse, (500, 375), interpolation=cv2.INTER_CUBIC)


def boxes() -> np.ndarray:
    """Return boxes (20, 4) spread over the image."""
    corner = np.random.default_rng(0).uniform(0, [400, 300], (BOXES, 2))
    return np.concatenate([corner, corner + np.array([80, 60])], axis=1).astype(np.float32)


def timed(way: Callable[[], object]) -> float:
    """Return the seconds per call of ``way``, measured over one round."""
    start = time.perf_counter()
    for _call in range(PER_ROUND):
        way()
    return (time.perf_counter() - start) / PER_ROUND


def _lince() -> Way:
    image, boxed, rng = photo(), boxes(), np.random.default_rng(0)
    policies = {count: Policy.parse(", ".join(OPERATIONS[:count])) for count, _boxes in CASES}
    return lambda count, with_boxes: timed(
        lambda: augment(image, policies[count], rng, SPEC, boxed if with_boxes else None)
    )


def _torchvision() -> dict[str, Way]:
    try:
        import torch
        from torchvision import tv_tensors
        from torchvision.transforms import v2
    except ImportError:
        print("torchvision is not installed: left out")
        return {}
    torch.set_num_threads(1)
    image = tv_tensors.Image(torch.from_numpy(photo()).permute(2, 0, 1).contiguous())
    boxed = tv_tensors.BoundingBoxes(torch.from_numpy(boxes()), format="XYXY", canvas_size=(375, 500))
    linear = v2.InterpolationMode.BILINEAR

    def compose(n: int, with_boxes: bool) -> v2.Compose:
        affine = v2.RandomAffine(
            15,
            translate=(0.1, 0.1) if n >= 8 else None,
            scale=(0.9, 1.1) if n >= 4 else None,
            shear=8 if n >= 12 else None,
            interpolation=linear,
        )
        colour = v2.ColorJitter(0.2, 0.2 if n >= 4 else 0, 0.2 if n >= 8 else 0, 0.05 if n >= 8 else 0)
        more = [v2.RandomHorizontalFlip(0.5), v2.RandomAutocontrast(1.0), v2.RandomPosterize(5, 1.0)] if n >= 12 else []
        clean = [v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(labels_getter=None)] if with_boxes else []
        return v2.Compose([v2.Resize((224, 224), antialias=True), affine, *more, colour, *clean])

    made = {case: compose(*case) for case in CASES}
    return {
        "torchvision v2": lambda n, with_boxes: timed(
            lambda: made[n, with_boxes](image, boxed) if with_boxes else made[n, with_boxes](image)
        )
    }


def _albumentations() -> dict[str, Way]:
    here = importlib.util.find_spec("albumentations") is not None
    try:
        interpreter = sys.executable if here else peers.python()
    except subprocess.CalledProcessError:
        print("albumentations could not be installed: left out")
        return {}
    script = Path(__file__).with_name("albumentations_peer.py")
    child = subprocess.Popen([interpreter, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(count: int, with_boxes: bool) -> float:
        child.stdin.write(f"{count} {int(with_boxes)}\n")
        child.stdin.flush()
        return float(child.stdout.readline())

    return {"albumentations": ask}
