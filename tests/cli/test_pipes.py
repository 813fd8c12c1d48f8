"""Pipes and devices in place of files: every command names them instead of waiting for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support import tiny_classifier

from lince import images
from lince.cli.main import main

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["tubo", "tubo.jpg", "tubo.zip", "tubo.csv", "tubo.mp4"])
@pytest.mark.parametrize(
    "words",
    [
        ["predict", "RUN", "PIPE"],
        ["check", "PIPE"],
        ["train", "PIPE"],
        ["convert", "PIPE", "out", "--to", "coco"],
        ["split", "PIPE"],
        ["similar", "RUN", "PIPE", "photos"],
        ["similar", "RUN", "photos/a/1.png", "PIPE"],
        ["augment", "PIPE"],
        ["show", "PIPE"],
        ["evaluate", "RUN", "PIPE"],
        ["export", "RUN", "--data", "PIPE"],
        ["predict", "PIPE", "photos"],
    ],
    ids=" ".join,
)
def test_a_pipe_is_named_and_not_waited_for(
    awkward: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], name: str
) -> None:
    monkeypatch.chdir(awkward)
    run = tiny_classifier.run_folder(awkward / "run")
    (awkward / "photos" / "a").mkdir(parents=True)
    (awkward / "photos" / "a" / "1.png").write_bytes(images.encode_png(tiny_classifier.photo("red")))
    os.mkfifo(awkward / name)
    before = sorted(path.name for path in awkward.iterdir())
    assert main([{"RUN": str(run), "PIPE": name}.get(word, word) for word in words]) != 0
    assert name in capsys.readouterr().err
    assert sorted(path.name for path in awkward.iterdir()) == before


@pytest.mark.timeout(60)
def test_a_pipe_among_photos_is_left_out(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_classifier.run_folder(awkward / "run")
    for colour in ("red", "blue"):
        (awkward / "photos" / colour).mkdir(parents=True)
        (awkward / "photos" / colour / "1.png").write_bytes(images.encode_png(tiny_classifier.photo(colour)))
        os.mkfifo(awkward / "photos" / colour / "2.png")
        (awkward / "photos" / colour / "3.png").symlink_to("2.png")
    assert main(["predict", str(run), str(awkward / "photos")]) == 0
    assert "2 of 2 correct" in capsys.readouterr().out


@pytest.mark.timeout(60)
def test_a_photo_that_goes_or_grows_too_large_meanwhile_is_named(
    awkward: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny_classifier.run_folder(awkward / "run")
    for number in range(3):
        (awkward / f"{number}.png").write_bytes(images.encode_png(tiny_classifier.photo("red")))
    monkeypatch.setattr("lince.inference.image_loading.images.read_bytes", _read_and_remove(awkward / "1.png"))
    paths = [str(awkward / f"{number}.png") for number in range(3)]
    assert main(["predict", str(run), *paths]) == 0
    assert "1.png does not exist" in capsys.readouterr().err
    monkeypatch.setenv("LINCE_MAX_PIXELS", "10")
    assert main(["predict", str(run), paths[0]]) == 1
    assert "LINCE_MAX_PIXELS" in capsys.readouterr().err


def _read_and_remove(gone: Path):
    """Return ``read_bytes`` that removes the file ``gone`` before the first file is read."""
    read = images.read_bytes

    def read_bytes(path: str) -> bytes:
        gone.unlink(missing_ok=True)
        return read(path)

    return read_bytes
