"""The README's order in three languages: each figure that is printed, against a count of the files by plain code."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.class_photos import SHAPES, folders

pytest.importorskip("torch")
EACH = 20
SCRATCH = ("--recipe", "scratch", "--model", "cnn: conv 8 3, norm, pool, conv 16 3, norm, gap", "--size", "32")
DECIMAL = {"en": ".", "es": ",", "pt": ","}


class Shell:
    """Runs lince in ``folder`` in one language; each call returns the lines that it printed."""

    def __init__(self, folder: Path, language: str) -> None:
        self.folder = folder
        self.language = language
        self.environment = {**os.environ, "LINCE_LANG": language, "LINCE_CACHE": str(folder / "cache")}

    def __call__(self, *words: str) -> list[str]:
        command = [sys.executable, "-m", "lince", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return (done.stdout + done.stderr).splitlines()

    def numbers(self, line: str) -> list[float]:
        """Return the numbers in a line, in its order."""
        text = re.sub(r"(?<=\d)" + re.escape(DECIMAL[self.language]) + r"(?=\d)", ".", line)
        return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]

    def find_line(self, lines: list[str], *numbers: float) -> str:
        """Return the only line whose numbers begin with ``numbers``."""
        found = [line for line in lines if self.numbers(line)[: len(numbers)] == list(numbers)]
        assert len(found) == 1, (numbers, lines)
        return found[0]


def read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", DECIMAL)
def test_every_figure_of_the_first_commands_is_a_count_of_the_files(tmp_path: Path, language: str) -> None:
    photos = folders(tmp_path / "photos", EACH)
    (photos / "aro" / "broken.png").write_bytes(b"no picture")
    shutil.copy(photos / "aro" / "foto 00.png", photos / "aro" / "copia.png")
    total = EACH * len(SHAPES) + 1  # with the copy, without the file that is no picture
    lince = Shell(tmp_path, language)

    trained = lince("train", "photos", *SCRATCH, "--epochs", "3", "--out", "run", "--allow-unusable")
    split = read_rows(tmp_path / "run" / "split.csv")
    parts = Counter(row["split"] for row in split)
    predictions = read_rows(tmp_path / "run" / "predictions.csv")
    right = sum(row["truth"] == row["predicted"] for row in predictions)
    assert (len(split), len(predictions)) == (total, parts["test"])
    assert all(row["name"].split("/")[0] == row["class"] for row in split)
    by_content: dict[str, set[str]] = {}
    for row in split:
        by_content.setdefault(hash_file(photos / row["name"]), set()).add(row["split"])
    assert max(map(len, by_content.values())) == 1
    assert lince.find_line(trained, total, 1)  # used, left out
    accuracy = round(100 * right / len(predictions), 1)
    [line] = [line for line in trained if lince.numbers(line)[:1] == [accuracy] and "%" in line]
    shown = lince.numbers(line)  # accuracy, its interval, and the number of images
    assert shown[1] <= accuracy <= shown[2]
    assert shown[3] == parts["test"]

    evaluated = lince("evaluate", "run", "photos", "--out", "measured")
    assert lince.find_line(evaluated, parts["train"], total, parts["val"], parts["test"])
    assert read_rows(tmp_path / "measured" / "predictions.csv") == predictions
    [line] = [line for line in evaluated if lince.numbers(line)[-1:] == [parts["test"]] and line.count("%") == 3]
    assert lince.numbers(line) == shown
    for name in SHAPES:
        mine = [row for row in predictions if row["truth"] == name]
        named = [row for row in predictions if row["predicted"] == name]
        hits = sum(row["predicted"] == name for row in mine)
        [row_line] = [line for line in evaluated if re.match(rf"{name}\s", line)]
        assert lince.numbers(row_line)[:1] == [len(mine)]
        if named and mine and hits:
            scores = (hits / len(named), hits / len(mine), 2 * hits / (len(named) + len(mine)))
            assert lince.numbers(row_line)[1:] == [round(100 * score, 1) for score in scores]

    divided = lince("split", "photos", "table.csv")
    table = read_rows(tmp_path / "table.csv")
    shares = Counter(row["split"] for row in table if row["split"])
    assert lince.find_line(divided, shares["train"], shares["val"], shares["test"])
    assert {row["name"]: row["split"] for row in split} == {row["file"]: row["split"] for row in table if row["split"]}

    fresh = folders(tmp_path / "fresh", 5, seed=9)
    predicted = lince("predict", "run", "fresh", "--csv", "new.csv")
    answers = read_rows(tmp_path / "new.csv")
    assert sorted(row["file"] for row in answers) == sorted(
        path.relative_to(fresh).as_posix() for path in fresh.rglob("*.png")
    )
    hits = sum(row["file"].split("/")[0] == row["class"] for row in answers)
    [line] = [line for line in predicted if "%" in line and lince.numbers(line)[:1] == [len(answers)]]
    assert lince.numbers(line) == [len(answers), len(answers), hits, len(answers), round(100 * hits / len(answers), 1)]
