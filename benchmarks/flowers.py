"""Transfer training on five flowers, from photos to a model, against three ways of doing it in Keras.

Ours is the real command line, with evaluation and report, in a fresh cache (cold), then with another seed (warm: the
features are cached). The peers are five epochs on 80 % and 20 % of the same photos, without evaluation or report:

- the lesson's frozen VGG16 at 150 px, a larger network than ours: what a student had before, not what is compared;
- Keras's MobileNetV2 at 224 px, frozen: the same network and size as ours, run anew in every epoch;
- the same with its features computed once, as ours: the strongest that a user would write, and the one to quote.

Each peer is timed over some steps, with its own photo reading, and scaled to all photos. Weights of the peers are
random, as theirs are not to be had offline; that changes accuracy and not time.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import peers

SHARED = Path(__file__).resolve().parents[2] / "shared"
FLOWERS = Path(os.environ.get("LINCE_FLOWERS", SHARED / "data" / "flowers"))
WEIGHTS = Path(os.environ.get("LINCE_FLOWERS_WEIGHTS", SHARED / "weights" / "mobilenetv2_100_padsame.pth"))
EPOCHS, STEPS = 5, 9


def run() -> None:
    """Print the seconds of each way, and what part of each peer's time ours takes."""
    if not FLOWERS.is_dir() or not WEIGHTS.is_file():
        print(f"Needs the flowers in {FLOWERS} and the weights in {WEIGHTS} (LINCE_FLOWERS, LINCE_FLOWERS_WEIGHTS).")
        raise SystemExit(1)
    peer_python = peers.python()
    with tempfile.TemporaryDirectory() as folder:
        cold = ours(Path(folder), "cold", 224, seed=0)
        warm = ours(Path(folder), "warm", 224, seed=1)
    photos = sum(1 for path in FLOWERS.rglob("*.jpg"))
    lesson = keras(peer_python, "vgg16", photos)
    same = keras(peer_python, "mobilenetv2", photos)
    ways = {
        f"Keras {same['keras']} VGG16, 150 px": _every_epoch(lesson, photos),
        "Keras MobileNetV2, 224 px": _every_epoch(same, photos),
        "  the same, features once": _features_once(same, photos),
    }
    print(f"{photos:,} photos; lince: photos to report; Keras: {EPOCHS} epochs, scaled from {STEPS} steps")
    print(f"lince, cold cache            {cold['seconds']:8.1f} s   test accuracy {cold['accuracy']:.3f}")
    print(f"lince, another seed          {warm['seconds']:8.1f} s   test accuracy {warm['accuracy']:.3f}")
    for name, seconds in ways.items():
        print(f"{name:<29}{seconds:8.1f} s   lince cold takes 1/{seconds / cold['seconds']:.1f} of it, "
              f"another seed 1/{seconds / warm['seconds']:.1f}")  # fmt: skip
    strongest = min(ways, key=lambda name: ways[name])
    print(f"against the strongest ({strongest.strip()}): cold {cold['seconds'] / ways[strongest]:.2f} of its time")


def _steps(told: dict[str, float], photos: int) -> tuple[int, int]:
    """Return the steps of an epoch on 80 % of the photos, and of a validation on 20 %."""
    return math.ceil(0.8 * photos / told["batch"]), math.ceil(0.2 * photos / told["batch"])


def _every_epoch(told: dict[str, float], photos: int) -> float:
    """Return the seconds of all epochs, each with the whole network."""
    steps, checks = _steps(told, photos)
    return told["open"] + EPOCHS * (steps * told["train_step"] + checks * told["val_step"])


def _features_once(told: dict[str, float], photos: int) -> float:
    """Return the seconds of one pass of the network over all photos, and of all epochs of the head on its features."""
    return told["open"] + sum(_steps(told, photos)) * told["feature_step"] + told["head"]


def ours(folder: Path, name: str, size: int, seed: int) -> dict[str, float]:
    """Train once from the command line with the cache of ``folder``; return wall time and test accuracy."""
    command = [sys.executable, "-m", "lince", "train", FLOWERS, "--recipe", "transfer", "--model", "mobilenetv2_100"]
    command += ["--weights", WEIGHTS, "--size", str(size), "--seed", str(seed), "--out", folder / name]
    start = time.perf_counter()
    subprocess.run(
        command, check=True, env={**os.environ, "LINCE_CACHE": str(folder / "cache")}, stdout=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - start
    report = json.loads((folder / name / "report.json").read_text("utf-8"))
    return {"seconds": seconds, "accuracy": report["test"]["accuracy"]["value"]}


def keras(python: str, which: str, photos: int) -> dict[str, float]:
    """Time the network ``which`` in the peers' environment."""
    folder = FLOWERS / "train" if (FLOWERS / "train").is_dir() else FLOWERS
    script = Path(__file__).with_name("keras_transfer.py")
    command = [python, script, which, folder, str(STEPS), str(photos), str(EPOCHS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])
