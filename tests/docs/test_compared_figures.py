"""compare and export in three languages: each figure that is printed, against plain counts, SciPy and scikit-learn."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tests.support.class_photos import SHAPES, folders

pytest.importorskip("torch")
binomtest = pytest.importorskip("scipy.stats").binomtest
f1_score = pytest.importorskip("sklearn.metrics").f1_score
SCRATCH = ("--recipe", "scratch", "--model", "cnn: conv 8 3, norm, pool, conv 16 3, norm, gap", "--size", "32")
DECIMAL, THOUSANDS = {"en": ".", "es": ",", "pt": ","}, {"en": ",", "es": "[ \u00a0\u202f]", "pt": "[.]"}


def run_lince(folder: Path, language: str, *words: str) -> list[str]:
    """Run lince in ``folder`` in one language; return the lines that it printed."""
    environment = {**os.environ, "LINCE_LANG": language, "LINCE_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "lince", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).splitlines()


def list_numbers(text: str, language: str) -> list[float]:
    """Return the numbers of ``text``, in its order, written as ``language`` does; a sign counts where it is written."""
    text = re.sub(rf"(?<=\d){THOUSANDS[language]}(?=\d\d\d)", "", text)
    text = re.sub(r"(?<=\d)" + re.escape(DECIMAL[language]) + r"(?=\d)", ".", text).replace("\u2212", "-")
    return [float(number) for number in re.findall(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def read_predictions(run: Path) -> list[dict[str, str]]:
    with open(run / "predictions.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def draw_means(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean of ``values`` (N), by drawing them again, in percent."""
    drawn = np.random.default_rng(5).integers(0, len(values), (20_000, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return 100 * low, 100 * high


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos and two runs on the same split, one trained for longer."""
    folder = tmp_path_factory.mktemp("figures")
    folders(folder / "photos", 60)
    for name, epochs in (("short", "2"), ("long", "9")):
        run_lince(folder, "en", "train", "photos", *SCRATCH, "--epochs", epochs, "--out", name)
    return folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", DECIMAL)
def test_every_figure_of_a_comparison_is_a_count_of_the_predictions(place: Path, language: str) -> None:
    lines = run_lince(place, language, "compare", "short", "long")
    rows = [read_predictions(place / name) for name in ("short", "long")]
    truth = [row["truth"] for row in rows[0]]
    assert [row["key"] for row in rows[0]] == [row["key"] for row in rows[1]]
    short, long = (np.array([row["truth"] == row["predicted"] for row in part]) for part in rows)
    fixed, broken = int((long & ~short).sum()), int((short & ~long).sum())
    assert fixed > broken  # nine epochs are better than two
    chance = binomtest(broken, fixed + broken).pvalue
    assert list_numbers(lines[0], language) == [len(truth)]

    one_photo = 100 / len(truth) + 0.1
    shown = {}
    for name, part, right in (("short", rows[0], short), ("long", rows[1], long)):
        line = next(line for line in lines if re.match(rf"{name}\s", line))
        shown[name] = list_numbers(line, language)
        assert shown[name][0] == pytest.approx(100 * right.mean(), abs=0.051)
        assert shown[name][1:3] == pytest.approx(draw_means(right), abs=one_photo)
        macro = f1_score(truth, [row["predicted"] for row in part], average="macro", labels=SHAPES, zero_division=0)
        assert shown[name][-1] == pytest.approx(100 * macro, abs=0.051)
    difference, low, high, mended, harmed, value = shown["long"][3:-1]
    assert difference == pytest.approx(100 * (long.mean() - short.mean()), abs=0.051)
    assert (low, high) == pytest.approx(draw_means(long.astype(float) - short), abs=2 * one_photo)
    assert (mended, harmed) == (fixed, broken)
    assert value == pytest.approx(chance, abs=0.00051)

    for name in SHAPES:
        mine = np.array([one == name for one in truth])
        line = next(line for line in lines if re.match(rf"{name}\s", line))
        recalls = [100 * right[mine].mean() for right in (short, long)]
        assert list_numbers(line, language) == pytest.approx([mine.sum(), *recalls], abs=0.051)


def compute_probabilities(model: Path, photos: list[Path]) -> np.ndarray:
    """Return the probabilities (N, classes) of a model folder for photos of the size of its input, without lince."""
    card = json.loads((model / "card.json").read_text("utf-8"))
    spec = card["preprocess"]
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) for path in photos])
    assert pixels.shape[1:3] == (spec["height"], spec["width"])
    assert spec["channels"] == "rgb"
    inputs = ((pixels - np.float32(spec["mean"])) / np.float32(spec["std"])).transpose(0, 3, 1, 2)
    network = onnxruntime.InferenceSession(
        model / card.get("network", "model.onnx"), providers=["CPUExecutionProvider"]
    )
    logits = np.concatenate([network.run(["logits"], {"images": one[None]})[0] for one in inputs])
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", DECIMAL)
def test_every_figure_of_an_export_is_one_of_its_file(place: Path, language: str) -> None:
    out = f"half {language}"
    lines = run_lince(place, language, "export", "long", "--to", "onnx", "--fp16", "--out", out)
    rows = read_predictions(place / "long")
    photos = [place / "photos" / row["name"] for row in rows]
    before, after = (compute_probabilities(model, photos) for model in (place / "long" / "model", place / out))
    named = np.array([SHAPES.index(row["truth"]) for row in rows])

    [line] = [line for line in lines if re.search(r"\d%|\d[  \u202f]%", line) and "e-" in line]
    count, largest, agreement = list_numbers(line, language)
    assert count == len(rows)
    assert largest == pytest.approx(np.abs(before - after).max(), rel=0.2)
    assert agreement == pytest.approx(100 * (before.argmax(axis=1) == after.argmax(axis=1)).mean(), abs=0.051)
    table = [line for line in lines if len(list_numbers(line, language)) >= 2 and re.match(r"\S+  ", line)]
    accuracy, size = (list_numbers(line, language)[-2:] for line in table[:2])
    assert accuracy == pytest.approx(
        [100 * (each.argmax(axis=1) == named).mean() for each in (before, after)], abs=0.051
    )
    files = [place / "long" / "model" / "model.onnx", place / out / "model.onnx"]
    assert size == pytest.approx([path.stat().st_size / 1000 for path in files], abs=0.051)
