"""Duplicate search on photos that look alike: precision and recall of the findings on copies, on sets drawn here."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import lince
from lince.checks import CheckResult, run_checks

Rng = np.random.Generator
Photo = np.ndarray[Any, np.dtype[np.uint8]]
Draw = Callable[[Rng, int], tuple[Photo, str]]
SIDES = (288, 384)  # height and width of the photos in pixels
PHOTOS, COPIES = 60, 12  # of one set: photos that differ, and of these how many have a copy of each kind
TARGET = 0.95
FINDINGS = ("contradiction", "leak", "copies", "near-copies")
SCORED = (*FINDINGS, "group-leak")
MIRRORED = {"signs"}  # sets whose classes mirror each other, so that a mirrored copy has no label of its own


@dataclass
class Score:
    """Pairs that were reported and right, copies that were planted and found."""

    reported: int = 0
    right: int = 0
    planted: int = 0
    found: int = 0
    false: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.right / max(self.reported, 1)

    @property
    def recall(self) -> float:
        return self.found / max(self.planted, 1)


def run() -> None:
    """Draw the sets, check them, print a line for each; exit code 1 when one misses the target."""
    scores: dict[str, Score] = {}
    os.environ["LINCE_CACHE"] = tempfile.mkdtemp()
    for seed in [int(word) for word in sys.argv[2:] if word != "-v"] or [0, 1]:
        for name in SETS:
            with tempfile.TemporaryDirectory() as folder:
                origins = draw_set(Path(folder), name, np.random.default_rng(seed))
                start = time.perf_counter()
                found = run_checks(lince.open(Path(folder)))
                seconds = time.perf_counter() - start
                score_set(scores, name, found, origins)
                print(f"{name:<10} seed {seed}: {len(origins)} photos checked in {seconds:.1f} s")
    print(f"{'set or finding':<16}{'planted':>9}{'found':>8}{'reported':>10}{'precision':>11}{'recall':>9}")
    for name, score in scores.items():
        print(
            f"{name:<16}{score.planted:>9}{score.found:>8}{score.reported:>10}{score.precision:>11.3f}{score.recall:>9.3f}"
        )
    for score in scores.values() if "-v" in sys.argv else ():
        print(
            "\n".join([f"  false: {pair}" for pair in score.false] + [f"  missed: {place}" for place in score.missed])
        )
    missed = [name for name, score in scores.items() if min(score.precision, score.recall) < TARGET]
    if missed:
        print(f"Below the target: {', '.join(missed)}")
        raise SystemExit(1)


def score_set(scores: dict[str, Score], name: str, found: CheckResult, origins: dict[str, tuple[str, str]]) -> None:
    """Add the pairs of a checked set to the scores of the set and of each finding.

    ``origins`` gives, for each file, the photo that it shows and the finding that it must cause (empty for an
    original). An altered copy with another label may also be told as a photo that looks alike.
    """
    caught: set[str] = set()
    doubted: set[str] = set()
    for code in (*SCORED, "look-alikes"):
        finding = found.find_by_code(code)
        for example in finding.examples if finding else ():
            pair = (example.place, example.other_place)
            is_right = origins[pair[0]][0] == origins[pair[1]][0]
            (caught if code in SCORED else doubted).update(pair if is_right else ())
            for score in (scores.setdefault(key, Score()) for key in (name, code) if code in SCORED):
                score.reported += 1
                score.right += is_right
                score.false += [] if is_right else [f"{name}: {pair[0]} = {pair[1]}"]
    for place, (_origin, code) in origins.items():
        is_found = place in caught or (code == "contradiction" and place in doubted)
        for score in (scores.setdefault(key, Score()) for key in (name, code) if code):
            score.planted += 1
            score.found += is_found
            score.missed += [] if is_found else [f"{name}: {place}"]


# The sets


def draw_set(root: Path, name: str, rng: Rng, photos: int = PHOTOS, copies: int = COPIES) -> dict[str, tuple[str, str]]:
    """Draw a set into class folders with two splits; return what each file shows, and the finding it must cause."""
    draw = SETS[name](rng)
    drawn = [draw(rng, number) for number in range(photos)]
    classes = sorted({label for _photo, label in drawn})
    parts = ["test" if number % 4 == 3 else "train" for number in range(photos)]
    origins: dict[str, tuple[str, str]] = {}

    def save(place: str, data: bytes, shown: str, code: str = "") -> None:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(data)
        origins[place] = shown, code

    for number, (photo, label) in enumerate(drawn):
        save(f"{parts[number]}/{label}/photo ({number}).jpg", encode(photo, 92), str(number))
    for code in FINDINGS:
        for number in rng.choice(photos, copies, replace=False).tolist():
            (photo, label), part = drawn[number], parts[number]
            if code == "contradiction":
                label = str(rng.choice([other for other in classes if other != label]))
            elif code == "leak":
                part = "train" if part == "test" else "test"
            exact = code == "copies" or (code != "near-copies" and rng.random() < 0.5)
            data = (
                encode(photo, 92)
                if exact
                else alter(photo, rng, mirror=name not in MIRRORED and code != "contradiction")
            )
            save(f"{part}/{label}/{code} {number}.jpg", data, str(number), code)
    return origins


def encode(photo: Photo, quality: int) -> bytes:
    return cv2.imencode(".jpg", photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def alter(photo: Photo, rng: Rng, mirror: bool) -> bytes:
    """Return a copy that is lighter or darker, cropped, turned a little, smaller, coarser or mirrored: two or more."""
    height, width = photo.shape[:2]
    kinds = rng.permutation(["light", "crop", "turn", "scale", "coarse", *(["mirror"] if mirror else [])])[:2].tolist()
    if "light" in kinds:
        photo = cv2.convertScaleAbs(photo, alpha=rng.uniform(0.75, 1.25))
    if "crop" in kinds:
        top, left, bottom, right = (int(rng.uniform(0, 0.04) * side) for side in (height, width, height, width))
        photo = photo[top : height - bottom, left : width - right]
    if "turn" in kinds:
        matrix = cv2.getRotationMatrix2D((photo.shape[1] / 2, photo.shape[0] / 2), float(rng.uniform(-4, 4)), 1.0)
        photo = cv2.warpAffine(photo, matrix, photo.shape[1::-1], flags=cv2.INTER_CUBIC, borderValue=(114, 114, 114))
    if "scale" in kinds:
        photo = cv2.resize(
            photo, None, fx=(scale := float(rng.uniform(0.5, 0.9))), fy=scale, interpolation=cv2.INTER_AREA
        )
    if "mirror" in kinds:
        photo = photo[:, ::-1]
    return encode(photo, int(rng.integers(40, 60)) if "coarse" in kinds else 80)


def eggs(rng: Rng) -> Draw:
    """Eggs one by one on the same sheet of paper, on different days."""
    paper = rng.integers(150, 230, 3)

    def draw(rng: Rng, number: int) -> tuple[Photo, str]:
        label = ("brown", "white")[number % 2]
        photo = np.ones((*SIDES, 3)) * paper * np.linspace(1, rng.uniform(0.85, 0.95), SIDES[1])[None, :, None]
        centre = (int(SIDES[1] * rng.uniform(0.47, 0.53)), int(SIDES[0] * rng.uniform(0.47, 0.53)))
        axes = (int(SIDES[0] * rng.uniform(0.26, 0.3)), int(SIDES[0] * rng.uniform(0.2, 0.23)))
        shell = np.array([176, 120, 80] if label == "brown" else [235, 225, 210]) + rng.integers(-12, 12, 3)
        angle = float(rng.uniform(-15, 15))
        for step in range(12):
            inner = tuple(int(axis * (1 - step / 14)) for axis in axes)
            colour = tuple(float(value) for value in np.clip(shell * (0.75 + step * 0.025), 0, 255))
            cv2.ellipse(photo, centre, inner, angle, 0, 360, colour, -1, cv2.LINE_AA)
        for _spot in range(int(rng.integers(3, 30))):
            where = np.array(centre) + rng.normal(0, 0.35, 2) * axes
            cv2.circle(photo, tuple(map(int, where)), int(rng.integers(1, 3)), (110.0, 80.0, 60.0), -1, cv2.LINE_AA)
        return expose(photo, rng, 0.08), label

    return draw


def parts(rng: Rng) -> Draw:
    """Parts that pass below a fixed camera: nearly all of the photo is the same."""
    bench = scenery(rng)

    def draw(rng: Rng, number: int) -> tuple[Photo, str]:
        photo, label = bench.copy(), ("good", "scratched")[number % 2]
        x, y = int(rng.uniform(0.2, 0.75) * SIDES[1]), int(rng.uniform(0.55, 0.7) * SIDES[0])
        size = int(rng.integers(16, 30))
        tone = float(rng.uniform(60, 220))
        cv2.rectangle(photo, (x, y), (x + 2 * size, y + size), (tone, tone, tone * 0.9), -1)
        cv2.circle(photo, (x + int(rng.uniform(0.5, 1.5) * size), y + size // 2), size // 4, (20.0, 20.0, 20.0), -1)
        if label == "scratched":
            cv2.line(photo, (x + 2, y + 2), (x + size, y + int(rng.uniform(0.3, 0.9) * size)), (255.0, 255.0, 255.0), 1)
        return expose(photo, rng, 0.04), label

    return draw


def signs(rng: Rng) -> Draw:
    """Road signs of which some mirror each other and some differ in a digit."""
    labels = ["keep left", "keep right", "30", "50", "60", "80", "turn left", "turn right"]
    sky = rng.uniform(140, 230, 3)

    def draw(rng: Rng, number: int) -> tuple[Photo, str]:
        label = labels[number % len(labels)]
        photo = np.ones((*SIDES, 3)) * sky * np.linspace(1, rng.uniform(0.9, 1.1), SIDES[0])[:, None, None]
        sign = draw_sign(label)
        size = int(rng.uniform(0.78, 0.84) * SIDES[0])
        top, left = (int((side - size) / 2 + rng.uniform(-0.03, 0.03) * side) for side in SIDES)
        sign = cv2.resize(sign, (size, size), interpolation=cv2.INTER_AREA)
        patch = photo[top : top + size, left : left + size]
        patch[:] = np.where(sign[:, :, 3:] > 0, sign[:, :, :3], patch)
        for _leaf in range(int(rng.integers(2, 8))):  # dirt and leaves
            spot = (int(rng.uniform(0, SIDES[1])), int(rng.uniform(0, SIDES[0])))
            cv2.circle(photo, spot, int(rng.integers(2, 7)), tuple(rng.uniform(20, 120, 3).tolist()), -1, cv2.LINE_AA)
        return expose(photo, rng, 0.1), label

    return draw


def draw_sign(label: str) -> Photo:
    sign = np.zeros((320, 320, 4), np.uint8)
    white, blue, red, black = ((*tone, 255.0) for tone in ((250, 250, 250), (30, 70, 180), (200, 30, 40), (15, 15, 15)))
    cv2.circle(sign, (160, 160), 156, red if label.isdigit() else white, -1, cv2.LINE_8)
    cv2.circle(sign, (160, 160), 122 if label.isdigit() else 150, white if label.isdigit() else blue, -1, cv2.LINE_8)
    if label.isdigit():
        cv2.putText(sign, label, (58, 205), cv2.FONT_HERSHEY_SIMPLEX, 5.0, black, 22, cv2.LINE_8)
    else:
        ends = ((240, 80), (80, 240)) if "keep" in label else ((250, 160), (70, 160))
        cv2.arrowedLine(sign, *ends, white, 26, cv2.LINE_8, tipLength=0.35)
    return sign[:, ::-1].copy() if "right" in label else sign


def dials(rng: Rng) -> Draw:
    """A dial with a pointer and a number plate, photographed again and again."""
    face = scenery(rng)
    cv2.circle(face, (192, 144), 120, (235.0, 235.0, 225.0), -1, cv2.LINE_AA)
    for angle in np.linspace(0.75 * np.pi, 2.25 * np.pi, 31):
        ends = [(int(192 + r * np.cos(angle)), int(144 + r * np.sin(angle))) for r in (98, 112)]
        cv2.line(face, *ends, (20.0, 20.0, 20.0), 2, cv2.LINE_AA)

    def draw(rng: Rng, number: int) -> tuple[Photo, str]:
        photo = face.astype(np.uint8)
        angle = 0.75 * np.pi + 1.5 * np.pi * ((number * 37) % 61) / 61
        tip = (int(192 + 90 * np.cos(angle)), int(144 + 90 * np.sin(angle)))
        cv2.line(photo, (192, 144), tip, (180.0, 20.0, 20.0), 4, cv2.LINE_AA)
        cv2.putText(
            photo, f"{number:03}", (162, 224), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (10.0, 10.0, 10.0), 2, cv2.LINE_AA
        )
        return expose(photo.astype(np.float64), rng, 0.06), ("high", "low")[number % 2]

    return draw


def holiday(_rng: Rng) -> Draw:
    """Photos that have nothing in common but the kind of name."""

    def draw(rng: Rng, number: int) -> tuple[Photo, str]:
        return expose(scenery(rng), rng, 0.1), ("beach", "wood")[number % 2]

    return draw


def scenery(rng: Rng) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return clouds of colour with objects of all sizes before them, float64 (H, W, 3)."""
    photo = np.zeros((*SIDES, 3))
    for cells, weight in ((3, 60), (9, 30), (30, 16), (90, 8)):
        noise = rng.normal(0, weight, (cells, cells * 4 // 3, 3)) * [1, 0.8, 0.9]
        photo += cv2.resize(noise, SIDES[::-1], interpolation=cv2.INTER_CUBIC)
    photo = np.clip(128 + photo, 0, 255)
    for _object in range(14):
        centre = tuple(int(rng.uniform(0, side)) for side in SIDES[::-1])
        axes = tuple(int(rng.uniform(0.02, 0.15) * SIDES[0]) for _axis in range(2))
        tone = tuple(rng.uniform(0, 255, 3).tolist())
        cv2.ellipse(photo, centre, axes, float(rng.uniform(0, 180)), 0, 360, tone, -1, cv2.LINE_AA)
    return photo


def expose(photo: np.ndarray[Any, np.dtype[np.float64]], rng: Rng, drift: float) -> Photo:
    """Return the picture as a camera takes it: another light, a soft lens, noise."""
    soft = cv2.GaussianBlur(photo * rng.uniform(1 - drift, 1 + drift), (0, 0), 0.7)
    return np.clip(soft + rng.normal(0, 3, photo.shape), 0, 255).astype(np.uint8)


SETS: dict[str, Callable[[Rng], Draw]] = {
    "eggs": eggs,
    "parts": parts,
    "signs": signs,
    "dials": dials,
    "holiday": holiday,
}
