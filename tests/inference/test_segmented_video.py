"""Segmentation of videos: what each class covers of each frame, the frames drawn, areas in units."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from tests.inference.test_video import film  # noqa: E402
from tests.support import tiny_segmenter  # noqa: E402

import lince  # noqa: E402
from lince import images  # noqa: E402
from lince.cli.main import main  # noqa: E402
from lince.inference.length_scale import LengthScale  # noqa: E402

SMALL, LARGE = ("red", 0, 0, 32, 32), ("red", 0, 0, 64, 64)


def make_frames() -> list[np.ndarray]:
    """Return six frames with a red box, the fourth the largest, and four without."""
    boxes = [[SMALL], [SMALL], [SMALL], [LARGE], [SMALL], [SMALL], [], [], [], []]
    return [tiny_segmenter.photo(*one, height=96, width=128, seed=0) for one in boxes]


def read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def model(awkward: Path) -> Path:
    return tiny_segmenter.model_folder(awkward / "model")


def test_a_video_is_listed_and_drawn_frame_by_frame(
    awkward: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = film(awkward / "vídeo.mp4", make_frames())
    out, table = awkward / "out", awkward / "table.csv"
    words = ["predict", str(model), str(path), "--save", str(out), "--csv", str(table), "--scale", "2mm", "--json"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["frames"], document["background_only"]) == (10, 4)
    (red,) = (one for one in document["classes"] if one["name"] == "red")
    assert red["frames"] == 6
    assert red["largest_at"] == pytest.approx(3 / 25, abs=2e-3)
    rows = read_rows(out / "frames.csv")
    assert read_rows(table) == rows
    shares = [float(row["share:red"]) for row in rows]
    assert shares[0] == pytest.approx(32 * 32 / (96 * 128), rel=0.15)
    assert max(shares) == shares[3] == pytest.approx(red["largest_share"])
    assert shares[6:] == [0.0] * 4
    assert red["mean_share"] == pytest.approx(np.mean(shares), abs=1e-5)
    for row in rows:
        assert float(row["area_mm2:red"]) == pytest.approx(float(row["share:red"]) * 96 * 128 * 4, rel=1e-3)
        assert float(row["background"]) + float(row["share:red"]) == pytest.approx(1, abs=1e-5)
    with av.open(str(out / "video.mp4")) as container:
        first, *_others, last = (one.to_ndarray(format="rgb24").astype(int) for one in container.decode(video=0))
    assert abs(first[25, 10] - tiny_segmenter.photo(SMALL)[25, 10]).max() > 40  # a colour over it
    assert last.max() < 90


def test_the_summary_says_what_each_class_covers(
    awkward: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = film(awkward / "vídeo.mp4", make_frames())
    assert main(["predict", str(model), str(path)]) == 0
    said = capsys.readouterr().out
    assert "10 frames segmented" in said
    assert "red: in 6 frames" in said
    assert "frames of background only: 4" in said
    (result,) = lince.predict_videos(model, path, awkward / "out", scale=LengthScale(1, "m"))
    assert result.empty_count == 4
    assert "area_m2:red" in read_rows(awkward / "out" / "vídeo" / "frames.csv")[0]


def test_photos_and_videos_go_together_and_slices_do_not(
    awkward: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = awkward / "todo"
    folder.mkdir()
    film(folder / "a.mp4", make_frames())
    (folder / "b.png").write_bytes(images.encode_png(tiny_segmenter.photo(SMALL)))
    assert main(["predict", str(model), str(folder), "--save", str(awkward / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["predictions"]) == len(document["videos"]) == 1
    assert (awkward / "out" / "overlays" / "b.jpg").is_file()
    assert (awkward / "out" / "videos" / "a" / "frames.csv").is_file()
    for option in (["--slice"], ["--to", "masks"]):
        assert main(["predict", str(model), str(folder / "a.mp4"), *option]) == 2
        assert option[0] in capsys.readouterr().err
