"""Transfer training on five flowers, from photos to report, against the lesson's frozen VGG16 in Keras.

Ours is the real command line in a fresh cache (cold), then with another seed (warm: the features are cached). The peer
is timed over some steps of training and validation, with its own photo reading, and scaled to the lesson's
five epochs on 80 % and 20 % of the same photos. Its weights are random, as its own are not to be had offline; that
changes its accuracy and not its time.
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
    if not FLOWERS.is_dir() or not WEIGHTS.is_file():
        print(f"Needs the flowers in {FLOWERS} and the weights in {WEIGHTS} (LINCE_FLOWERS, LINCE_FLOWERS_WEIGHTS).")
        raise SystemExit(1)
    peer_python = peers.python()
    with tempfile.TemporaryDirectory() as folder:
        cold = ours(Path(folder), "cold", 224, seed=0)
        warm = ours(Path(folder), "warm", 224, seed=1)
    lesson = keras(peer_python)
    photos = sum(1 for path in FLOWERS.rglob("*.jpg"))
    steps, checks = math.ceil(0.8 * photos / lesson["batch"]), math.ceil(0.2 * photos / lesson["batch"])
    epoch = steps * lesson["train_step"] + checks * lesson["val_step"]
    whole = lesson["open"] + EPOCHS * epoch
    print(f"lince, cold cache       {cold['seconds']:8.1f} s   test accuracy {cold['accuracy']:.3f}")
    print(f"lince, another seed     {warm['seconds']:8.1f} s   test accuracy {warm['accuracy']:.3f}")
    print(f"Keras {lesson['keras']} VGG16      {whole:8.1f} s   {EPOCHS} epochs of {epoch:.1f} s,")
    print(
        f"                                     scaled from {STEPS} steps ({lesson['train_step'] * 1000:.0f} ms a step)"
    )
    print(f"ratio, cold             {cold['seconds'] / whole:8.4f}     1/{whole / cold['seconds']:.0f} of its time")
    print(f"ratio, another seed     {warm['seconds'] / whole:8.4f}     1/{whole / warm['seconds']:.0f} of its time")


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


def keras(python: str) -> dict[str, float]:
    """Time the lesson's recipe in the peers' environment."""
    photos = FLOWERS / "train" if (FLOWERS / "train").is_dir() else FLOWERS
    command = [python, Path(__file__).with_name("keras_vgg16.py"), photos, str(STEPS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])
