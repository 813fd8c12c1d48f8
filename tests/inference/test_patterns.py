"""Patterns that a shell did not expand, and folders of classes with files that are no photos."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.support import tiny_classifier

import lince
from lince import images
from lince.cli.main import main
from lince.errors import DataError
from lince.inference.sources import find_images


def write_photo(path: Path, colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode_png(tiny_classifier.photo(colour)))
    return path


@pytest.fixture
def photos(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("fotos [2024]/a.png", "fotos [2024]/enero/b.png", "fotos [2024]/enero/x/c.png", "fotos 2/d.png"):
        write_photo(awkward / "in" / name)
    monkeypatch.chdir(awkward / "in")
    return awkward / "in"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("fotos [2024]/*.png", ["fotos [2024]/a.png"]),
        ("*/fotos [2024]/*.png", []),
        ("fotos [2024]/**/*.png", ["fotos [2024]/a.png", "fotos [2024]/enero/b.png", "fotos [2024]/enero/x/c.png"]),
        ("fotos [2024]/*/x/?.png", ["fotos [2024]/enero/x/c.png"]),
        ("fotos [2024]/**/x/**", ["fotos [2024]/enero/x/c.png"]),
        ("f*", ["fotos 2/d.png", "fotos [2024]/a.png", "fotos [2024]/enero/b.png", "fotos [2024]/enero/x/c.png"]),
        ("fotos [0-9]/d.png", ["fotos 2/d.png"]),
        ("**/[bd].png", ["fotos 2/d.png", "fotos [2024]/enero/b.png"]),
    ],
)
def test_a_part_is_a_name_before_it_is_a_pattern(photos: Path, pattern: str, expected: list[str]) -> None:
    for text in (pattern, str(photos / pattern)):
        if not expected:
            with pytest.raises(DataError):
                find_images(text)
        else:
            found = find_images(text)
            assert sorted(os.path.relpath(item.path, photos) for item in found) == sorted(expected)


def test_a_pattern_without_a_match_says_where_it_ends(photos: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_images("fotos [2024]/*.PNG")
    assert "fotos [2024] has no *.PNG" in caught.value.problem
    assert "a.png is there" in caught.value.remedy
    with pytest.raises(DataError, match=r"folders, such as .*, has febrero"):
        find_images("f*/febrero/*.png")
    (photos / "fotos [2024]" / "again").symlink_to(photos, target_is_directory=True)
    assert len(find_images("**/a.png")) == 1, "links that lead back are not followed"


def test_a_file_that_is_no_photo_leaves_the_accuracy(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_classifier.run_folder(awkward / "run")
    for colour in ("red", "blue"):
        write_photo(awkward / "set" / colour / "1.png", colour)
    (awkward / "set" / "notes.txt").write_text("taken in May")
    (awkward / "set" / "red" / "Ñotes.md").write_text("x")
    everything = sorted(str(path) for path in (awkward / "set").rglob("*") if path.is_file())
    for sources in ([str(awkward / "set")], [f"{awkward}/set/**/*"], everything):
        assert main(["predict", str(run), *sources]) == 0
        assert "2 of 2 correct" in capsys.readouterr().out
        results = list(lince.load(run).predict_many(sources))
        assert sum(getattr(result, "is_correct", None) is True for result in results) == 2
    shutil.copy(awkward / "set" / "red" / "1.png", awkward / "set" / "loose.png")
    assert main(["predict", str(run), str(awkward / "set")]) == 0
    assert "correct" not in capsys.readouterr().out, "a photo without a class is told by none"
