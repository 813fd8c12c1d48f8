"""``lince demo``: trains a good model and writes its report, with PyTorch and without it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_ends_with_a_good_model_and_a_report(awkward: Path) -> None:
    environment = {**os.environ, "LINCE_CACHE": str(awkward / "cache")}
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-m", "lince", "demo", "--out", "first try"]
    done = subprocess.run(command, cwd=awkward, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Test accuracy: ")
    assert "report.html" in lines[1]
    for made in ("answers/sheet.jpg", "answers/predictions.csv", "photos", "model/model.onnx"):
        assert (awkward / "first try" / made).exists()
    report = json.loads((awkward / "first try" / "report.json").read_text("utf-8"))
    assert report["test"]["accuracy"]["value"] >= 0.96
    has_torch = importlib.util.find_spec("torch") is not None
    assert report["config"]["recipe"] == ("scratch" if has_torch else "transfer")
    assert "1,797" in done.stderr
