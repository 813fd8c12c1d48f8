"""Similarity search: equals a computation by hand, caches embeddings, and works from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support import tiny_classifier, tiny_detector

import lince
from lince import images
from lince.errors import DataError, ModelError, UsageError
from lince.inference.classification.predictor import ClassificationPredictor


@pytest.fixture
def photos(awkward: Path) -> Path:
    folder = awkward / "fotos ñ"
    folder.mkdir()
    for number in range(4):
        for name in ("red", "green", "blue"):
            (folder / f"{name} {number}.png").write_bytes(images.encode_png(tiny_classifier.photo(name, seed=number)))
    (folder / "notes.txt").write_text("no photo", "utf-8")
    return folder


@pytest.fixture
def model(awkward: Path) -> ClassificationPredictor:
    return lince.load(tiny_classifier.run_folder(awkward / "run"))


def test_cosines_are_those_by_hand(model: ClassificationPredictor, photos: Path) -> None:
    found = lince.similar(model, photos / "red 0.png", photos, top=20)
    assert [one.name[:3] for one in found.matches[:3]] == ["red"] * 3
    assert "red 0.png" not in [one.name for one in found.matches]
    assert (found.searched_count, len(found.matches), len(found.rejected)) == (11, 11, 1)
    wanted = model.embed(photos / "red 0.png")
    for one in found.matches:
        row = model.embed(one.path)
        cosine = row @ wanted / np.linalg.norm(row) / np.linalg.norm(wanted)
        assert one.similarity == pytest.approx(cosine, abs=1e-5)
    assert [one.similarity for one in found.matches] == sorted((one.similarity for one in found.matches), reverse=True)


def test_the_same_photos_are_looked_at_once(
    model: ClassificationPredictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lince.similar(model, tiny_classifier.photo("blue"), photos)
    asked = []
    embeddings = model.embed_prepared
    monkeypatch.setattr(model, "embed_prepared", lambda seen: asked.append(len(seen)) or embeddings(seen))
    again = lince.similar(model, tiny_classifier.photo("blue"), photos)
    assert asked == [1]  # the query photo
    assert again.matches == first.matches
    (photos / "new.png").write_bytes(images.encode_png(tiny_classifier.photo("blue", seed=9)))
    (photos / "copy.png").write_bytes((photos / "red 1.png").read_bytes())
    assert lince.similar(model, tiny_classifier.photo("blue"), photos).searched_count == 14
    assert asked == [1, 1, 1]


def test_a_sheet_and_a_record_are_written(model: ClassificationPredictor, photos: Path, awkward: Path) -> None:
    found = lince.similar(model, photos / "red 0.png", photos, top=3)
    assert images.read_image(found.save(awkward / "sheet.jpg")).shape[1] > 4 * 180
    assert json.loads(found.save(awkward / "found.json").read_text("utf-8")) == found.to_dict()
    with pytest.raises(UsageError):
        found.save(awkward / "sheet.gif")


def test_what_cannot_be_searched_is_told(model: ClassificationPredictor, photos: Path, awkward: Path) -> None:
    with pytest.raises(ModelError, match="does not provide image embeddings"):
        lince.similar(tiny_detector.model_folder(awkward / "finder"), photos / "red 0.png", photos)
    with pytest.raises(DataError):
        lince.similar(model, photos / "red 0.png", awkward / "nowhere")
    alone = lince.similar(model, photos / "red 0.png", photos / "red 0.png")
    assert (alone.matches, alone.searched_count) == ((), 0)


def test_the_command_tells_the_same(model: ClassificationPredictor, photos: Path, awkward: Path) -> None:
    sheet = awkward / "sheet.png"
    command = [sys.executable, "-m", "lince", "similar", str(awkward / "run"), str(photos / "red 0.png"), str(photos)]
    done = subprocess.run([*command, "--top", "2", "--save", str(sheet), "--json"], capture_output=True, check=True)
    document = json.loads(done.stdout)
    found = lince.similar(model, photos / "red 0.png", photos, 2)
    assert document == {**found.to_dict(), "written": [str(sheet)]}
    assert sheet.is_file()
