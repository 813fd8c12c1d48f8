"""READMEs and pages: links lead to files, the three languages agree, and the examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted(path.name for path in ROOT.glob("README*.md"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MARKED = re.compile(r"<!-- run -->\n```(\w+)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        assert target.startswith(("http://", "https://")) or (page.parent / target).exists(), target


def test_the_three_languages_show_the_same_examples_and_tables() -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in READMES]
    assert len({tuple(MARKED.findall(text)) for text in texts}) == 1
    assert len({tuple(line[:3] for line in text.splitlines() if line.startswith("## ")) for text in texts}) == 1
    assert len({text.count("\n|") for text in texts}) == 1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as the README supposes: photos by class, and new photos."""
    pytest.importorskip("timm")  # for the commands about networks that are built with torch
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    for name, level in (("daisy", 60), ("rose", 190)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(20):
            photo = np.clip(rng.normal(level, 40, (48, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(photo).save(folder / "photos" / name / f"{number}.jpg")
    (folder / "new").mkdir()
    Image.fromarray(np.full((48, 64, 3), 60, np.uint8)).save(folder / "new" / "one.jpg")
    return folder


@pytest.mark.timeout(300)
def test_the_examples_run(place: Path, tmp_path: Path) -> None:
    environment = {
        **{name: text for name, text in os.environ.items() if name != "LINCE_WEIGHTS"},
        "HF_HUB_OFFLINE": "1",
        "LINCE_CACHE": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    examples = MARKED.findall((ROOT / "README.md").read_text("utf-8"))
    assert [kind for kind, _code in examples] == ["sh", "python", "sh"]
    for kind, code in examples:
        command = ["bash", "-euc", code] if kind == "sh" else [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    for made in ("sheet.png", "runs/train/report.html", "runs/train/model/model.onnx", "runs/train2/report.html",
                 "check.html", "photos/splits.csv", "table/labels.csv"):  # fmt: skip
        assert (place / made).stat().st_size
    assert {path.name for path in (place / "answers").iterdir()} >= {"predictions.csv", "sheet.jpg"}
