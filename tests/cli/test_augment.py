"""``lince augment`` goes on past photos that cannot be read, and says which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lince import images
from lince.cli.main import main

SIDE = 96


def put_photos(root: Path, bad: tuple[int, ...]) -> Path:
    rng = np.random.default_rng(0)
    for number in range(4):
        path = root / ("gato" if number % 2 else "perro") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = images.encode_jpeg(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
        path.write_bytes(data[: len(data) // 3] if number in bad else data)
    return root


def read_rows(sheet: Path) -> int:
    """Return how many originals, which are noise, stand below each other in the first column."""
    contrast = images.read_image(sheet)[:, SIDE // 4 : SIDE // 2].std(axis=(1, 2))
    is_noise = np.convolve(contrast, np.full(9, 1 / 9), "same") > 25
    return int(np.count_nonzero(np.diff(is_noise.astype(int), prepend=0) == 1))


@pytest.mark.parametrize("bad", [(), (0,), (1, 2)])
def test_a_bad_photo_is_named_and_another_taken(
    bad: tuple[int, ...], awkward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, sheet = put_photos(awkward / "fotos", bad), awkward / "s.png"
    assert main(["augment", str(photos), "--out", str(sheet), "--copies", "1", "--count", "4"]) == 0
    said = capsys.readouterr().err
    assert read_rows(sheet) == 4 - len(bad)
    assert said.count("Left out: ") == len(bad)
    assert all(f"{number}.jpg" in said for number in bad)
    assert main(["augment", str(photos), "--out", str(sheet), "--copies", "1", "--count", "2"]) == 0
    assert read_rows(sheet) == 2


def test_no_photo_that_can_be_read_is_an_error(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = put_photos(awkward / "fotos", (0, 1, 2, 3))
    assert main(["augment", str(photos), "--out", str(awkward / "s.png")]) == 1
    assert "None of the 4 images" in capsys.readouterr().err
    assert not (awkward / "s.png").exists()
