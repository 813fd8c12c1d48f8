"""READMEs: all blocks of code, in order, as a reader of each language types them, on a few real photos."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
READMES = {"en": "README.md", "es": "README.es.md", "pt": "README.pt.md"}
SETUP_WORDS = ("make", ".venv/bin/pip", ".venv/bin/uv")  # what prepares an environment: .ci/run does
MADE = (
    "sheet.png", "runs/train/report.html", "answers/predictions.csv", "check.html", "photos/splits.csv",
    "table/labels.csv", "runs/hats/report.html", "results/detections.csv", "tracked", "runs/train/exports",
)  # fmt: skip


def read_blocks(language: str) -> list[tuple[str, str]]:
    """Return the kind and the text of each block of code."""
    return BLOCK.findall((ROOT / READMES[language]).read_text("utf-8"))


def is_setup(code: str) -> bool:
    return all(line.split()[0] in SETUP_WORDS for line in code.splitlines())


def test_blocks_are_the_same_in_all_languages() -> None:
    without_comments = {
        language: [re.sub(r" +#.*", "", code) for _kind, code in read_blocks(language)] for language in READMES
    }
    assert without_comments["es"] == without_comments["en"] == without_comments["pt"]
    assert len(without_comments["en"]) >= 7


@pytest.mark.skipif(shutil.which("make") is None, reason="make")
def test_make_knows_the_targets() -> None:
    lines = [line for _kind, code in read_blocks("en") for line in code.splitlines() if line.startswith("make ")]
    assert lines
    for line in lines:
        done = subprocess.run(
            ["sh", "-c", line.replace("make ", "make -n ", 1)], cwd=ROOT, capture_output=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)


@pytest.fixture
def place(shared: Path, awkward: Path) -> Path:
    """Return a folder with what the README supposes, all of it real: photos by class, new ones, hats, a video."""
    flowers = shared / "data" / "flowers"
    for name, source in (("daisy", "daisy"), ("rose", "roses")):
        (awkward / "photos" / name).mkdir(parents=True)
        for photo in sorted((flowers / "train" / source).iterdir())[:24]:
            shutil.copy(photo, awkward / "photos" / name)
    (awkward / "new").mkdir()
    for number, photo in zip(("one", "two"), sorted((flowers / "test" / "roses").iterdir()), strict=False):
        shutil.copy(photo, awkward / "new" / f"{number}.jpg")
    for split, count in (("train", 16), ("val", 6), ("test", 6)):
        for image in sorted((shared / "data" / "hardhat" / "images" / split).iterdir())[:count]:
            label = shared / "data" / "hardhat" / "labels" / split / f"{image.stem}.txt"
            for file, kind in ((image, "images"), (label, "labels")):
                target = awkward / "hats" / kind / split / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
    shutil.copy(shared / "data" / "hardhat" / "data.yaml", awkward / "hats")
    shutil.copy(shared / "weights" / "yolox_nano.pth", awkward)
    shutil.copy(sorted((shared / "data" / "videos").iterdir())[0], awkward / "video.mp4")
    return awkward


def run_line(line: str, place: Path, environment: dict[str, str]) -> None:
    """Run a line of a shell; a detector is trained for two epochs, a server is asked for its page and interrupted."""
    line = line.replace("lince train hats", "lince train hats --epochs 2")
    if not line.startswith("lince serve"):
        done = subprocess.run(["bash", "-euc", line], cwd=place, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, (line, done.stderr.decode()[-3000:])
        return
    words = [sys.executable, "-m", "lince", *line.split()[1:], "--port", "0"]  # another language may serve beside it
    with subprocess.Popen(words, cwd=place, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as server:
        address = re.search(r"http://\S+", server.stdout.readline())[0]
        with urllib.request.urlopen(address, timeout=60) as page:
            assert b"<html" in page.read()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash")
@pytest.mark.parametrize("language", READMES)
def test_all_blocks_run_in_order(place: Path, tmp_path: Path, language: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("av")
    program = tmp_path / "bin" / "lince"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lince "$@"\n', "utf-8")
    program.chmod(0o755)
    environment = {
        **{name: text for name, text in os.environ.items() if name != "LINCE_WEIGHTS"},
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "LINCE_LANG": language,
        "HF_HUB_OFFLINE": "1",
        "BROWSER": "true",
    }
    blocks = [(kind, code) for kind, code in read_blocks(language) if not is_setup(code)]
    for kind, code in blocks:
        if kind == "python":
            subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=place, env=environment, check=True)
        else:
            for line in code.splitlines():
                run_line(line, place, environment)
    for name in MADE:
        assert (place / name).exists(), name
