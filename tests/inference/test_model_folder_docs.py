"""docs/model-folder.md: its programs open a folder without lince and give lince's results."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support import tiny_classifier, tiny_detector, tiny_multilabel

import lince
from lince import images

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/model-folder.md", "docs/es/model-folder.md", "docs/pt/model-folder.md")
EN, ES, PT = (re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL) for page in PAGES)


def said(program: str, *words: Path, folder: Path) -> list[str]:
    """Return what a program of the page prints when run where lince cannot be imported."""
    blocked = folder / "blocked"
    (blocked / "lince").mkdir(parents=True, exist_ok=True)
    (blocked / "lince" / "__init__.py").write_text("raise ImportError('not here')", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(blocked)}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_all_languages_show_the_same_programs() -> None:
    assert EN == ES == PT
    assert len(EN) == 3
    assert all(len(program.splitlines()) <= 20 for program in EN)


@pytest.mark.parametrize("size", [(10, 12), (16, 16), (40, 30), (200, 300)])
def test_a_classifier_answers_without_lince(awkward: Path, size: tuple[int, int]) -> None:
    folder = tiny_classifier.run_folder(awkward / "run")
    photo = folder / "foto.png"
    photo.write_bytes(images.encode_png(tiny_classifier.photo("green", *size)))
    (line,) = said(EN[0], folder / "model", photo, folder=awkward)
    name, share = line.rsplit(" ", 1)
    expected = lince.load(folder).predict(photo)
    assert name == expected.class_name
    assert float(share) == pytest.approx(expected.label.score, abs=1e-5)


def test_a_self_contained_graph_says_several_classes_without_lince(awkward: Path) -> None:
    pytest.importorskip("onnx")
    from lince.export import standalone as export_standalone

    folder = tiny_multilabel.model_folder(awkward / "run")
    export_standalone.export_standalone(folder, awkward / "whole.onnx")
    for names in (("red", "blue"), ()):
        photo = awkward / "foto.png"
        photo.write_bytes(images.encode_png(tiny_multilabel.photo(*names)))
        lines = said(EN[1], awkward / "whole.onnx", photo, folder=awkward)
        assert {line.split()[0] for line in lines} == set(names)


def test_a_self_contained_graph_answers_without_lince(awkward: Path) -> None:
    pytest.importorskip("onnx")
    from lince.export import standalone as export_standalone

    folder = tiny_classifier.run_folder(awkward / "run")
    photo = awkward / "foto.png"
    photo.write_bytes(images.encode_png(tiny_classifier.photo("blue", 48, 70)))
    export_standalone.export_standalone(folder, awkward / "whole.onnx", [images.read_image(photo)])
    (line,) = said(EN[1], awkward / "whole.onnx", photo, folder=awkward)
    name, share = line.rsplit(" ", 1)
    expected = lince.load(folder).predict(photo)
    assert name == expected.class_name == "blue"
    assert float(share) == pytest.approx(expected.label.score, abs=0.01)


def test_a_self_contained_detector_answers_without_lince(awkward: Path) -> None:
    pytest.importorskip("onnx")
    from lince.export import standalone as export_standalone

    folder = tiny_detector.model_folder(awkward / "finder")
    photo = awkward / "foto.png"
    photo.write_bytes(images.encode_png(tiny_detector.scene([(0, 1, 1), (1, 5, 3)], 128, 100)))
    export_standalone.export_standalone(folder, awkward / "whole.onnx", [images.read_image(photo)])
    rows = [line.rsplit(" ", 5) for line in said(EN[1], awkward / "whole.onnx", photo, folder=awkward)]
    expected = lince.load(folder).predict(photo)
    assert [row[0] for row in rows] == [expected.classes.names[at] for at in expected.detections.class_ids]
    np.testing.assert_allclose(np.array([row[2:] for row in rows], float), expected.detections.boxes, atol=0.1)


def test_the_lines_for_lince_run(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    tiny_classifier.run_folder(awkward / "runs" / "train")
    (awkward / "new").mkdir()
    for number in range(3):
        (awkward / "new" / f"{number}.jpg").write_bytes(images.encode_jpeg(tiny_classifier.photo("red", seed=number)))
    done = subprocess.run([sys.executable, "-c", EN[2]], cwd=awkward, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"answer.jpg", "answer.json"} <= {path.name for path in awkward.iterdir()}


def test_the_verb_writes_the_graph(awkward: Path) -> None:
    pytest.importorskip("onnx")
    folder = tiny_classifier.run_folder(awkward / "run")
    photos = awkward / "photos"
    for name in ("red", "blue"):
        (photos / name).mkdir(parents=True)
        for number in range(3):
            (photos / name / f"{number}.png").write_bytes(images.encode_png(tiny_classifier.photo(name, seed=number)))
    words = [sys.executable, "-m", "lince", "export", str(folder), "--self-contained", "--data", str(photos)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "exports" / "self-contained.onnx").is_file()
    assert "6 photos" in done.stdout
    refused = subprocess.run([*words, "--to", "openvino"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
