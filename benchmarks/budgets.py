"""Training within a budget beside two busy programs: how long it took from start to end, and what model came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(os.environ.get("LINCE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
WEIGHTS = Path(os.environ.get("LINCE_FLOWERS_WEIGHTS", DATA.parent / "weights" / "mobilenetv2_100_padsame.pth"))
BUSY_PROGRAMS = 2
LIMIT = 1.05  # times the budget
CASES = {
    "flowers": (["--recipe", "finetune", "--model", "mobilenetv2_100", "--weights", str(WEIGHTS)], "accuracy"),
    "hardhat": (["--format", "voc", "--recipe", "scratch", "--model", "yolox-nano"], "map50"),
}


def run() -> None:
    """Train each set with each budget in minutes (arguments; 2, 5 and 10); exit code 1 when one took too long."""
    minutes = [float(word) for word in sys.argv[2:] if word not in CASES] or [2.0, 5.0, 10.0]
    names = [word for word in sys.argv[2:] if word in CASES] or list(CASES)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _program in range(BUSY_PROGRAMS)]
    try:
        late = [f"{name}, {budget:g} min" for budget in minutes for name in names if not train(name, budget)]
    finally:
        for program in busy:
            program.kill()
            program.wait()
    if late:
        print(f"Over the limit: {'; '.join(late)}")
        raise SystemExit(1)


def train(name: str, minutes: float) -> bool:
    """Print how long a training of ``minutes`` took; return whether it ended within the limit, with a model."""
    options, figure = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "LINCE_CACHE": f"{folder}/cache"}
        command = [sys.executable, "-m", "lince", "train", str(DATA / name), *options, "--budget", f"{minutes:g}m"]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--out", f"{folder}/run"], env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - start
        report = Path(folder, "run", "report.json")
        made = done.returncode == 0 and Path(folder, "run", "model", "model.onnx").is_file()
        value = json.loads(report.read_text("utf-8"))["test"][figure]["value"] if made else None
    share = seconds / (60 * minutes)
    result = f"{figure} {value:.3f}" if made else f"no model:\n{done.stderr[-600:]}"
    print(f"{name:<8} {minutes:>4g} min: {seconds:6.1f} s, {share:6.1%} of the budget; {result}", flush=True)
    return made and share <= LIMIT
