"""``predict`` for one image and for many: lists, generators, folders, patterns, arrays; and runs in place of paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")
from tests.support import tiny_classifier

import lince
from lince import images
from lince.annotations import RejectedItem
from lince.errors import DataError, ImageError, UsageError
from lince.inference.result import MAX_SHOWN, PredictionResults
from lince.training.run_folder import TrainingRun

COLOURS = {"blue": (0, 0, 250), "green": (0, 250, 0), "red": (250, 0, 0)}


def photo(name: str) -> np.ndarray:
    return np.broadcast_to(np.array(COLOURS[name], np.uint8), (20, 30, 3)).copy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("niño ç")
    for name in COLOURS:
        (root / name).mkdir()
        (root / name / f"{name}.png").write_bytes(images.encode_png(photo(name)))
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return TrainingRun(tiny_classifier.run_folder(tmp_path_factory.mktemp("runs") / "run"))


@pytest.mark.parametrize(
    "kind", ["list", "tuple", "generator", "array", "pillow", "bytes", "paths", "folder", "pattern"]
)
def test_several_give_a_list_in_their_order(folder: Path, run: TrainingRun, kind: str) -> None:
    names = list(COLOURS)
    pixels = [photo(name) for name in names]
    paths = [folder / name / f"{name}.png" for name in names]
    many: dict[str, Any] = {
        "list": pixels,
        "tuple": tuple(pixels),
        "generator": iter(pixels),
        "array": np.stack(pixels),
        "pillow": [Image.fromarray(image) for image in pixels],
        "bytes": [path.read_bytes() for path in paths],
        "paths": paths,
        "folder": folder,
        "pattern": str(folder / "*" / "*.png"),
    }
    results = lince.predict(run, many[kind])
    assert isinstance(results, PredictionResults)
    assert [result.class_name for result in results] == names
    assert all(result.plot() for result in results)  # their images are at hand


def test_folders_that_are_classes_tell_the_truth(folder: Path, run: TrainingRun) -> None:
    assert [result.is_correct for result in lince.predict(run, folder)] == [True] * 3


def test_one_gives_one_result(folder: Path, run: TrainingRun) -> None:
    for one in (folder / "red" / "red.png", photo("red"), Image.fromarray(photo("red"))):
        assert lince.predict(run, one).class_name == "red"
    with pytest.raises(ImageError, match="does not exist"):
        lince.predict(run, folder / "nope.png")
    with pytest.raises(ImageError, match="int"):
        lince.predict(run, 3)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        lince.predict(run, str(folder / "blue" / "nothing*.png" / "*"))


def test_a_name_with_brackets_is_one_file(tmp_path: Path, run: TrainingRun) -> None:
    path = tmp_path / "photo [1].png"
    path.write_bytes(images.encode_png(photo("green")))
    assert lince.predict(run, path).class_name == "green"


def test_one_that_cannot_be_read_keeps_its_place(run: TrainingRun) -> None:
    results = lince.predict(run, [photo("red"), b"no image", photo("blue")])
    assert isinstance(results[1], RejectedItem)
    assert [results[0].class_name, results[2].class_name] == ["red", "blue"]


def test_a_generator_keeps_no_more_images_than_are_shown(run: TrainingRun) -> None:
    def photos() -> Iterator[np.ndarray]:
        for _number in range(MAX_SHOWN + 20):
            yield photo("red")

    results = lince.predict(run, photos())
    assert len(results) == MAX_SHOWN + 20
    assert [result.source is not None for result in results] == [True] * MAX_SHOWN + [False] * 20


def test_a_run_goes_where_its_path_goes(folder: Path, run: TrainingRun, tmp_path: Path) -> None:
    assert Path(run) == run.folder
    assert lince.load(run).classes.names == lince.load(run.folder).classes.names
    assert lince.predict(lince.load(run), folder / "red" / "red.png").class_name == "red"
    assert lince.evaluate(run, folder).metrics.accuracy.value == 1
    assert lince.similar(run, folder / "red" / "red.png", folder).matches
    assert lince.time_model(run, seconds=0.01).fastest.one
    exported = lince.export(run, "onnx", data=folder, out=tmp_path / "export")
    assert lince.load(exported.path).classes.names == run_names(run)
    with pytest.raises(UsageError, match="Expected two or more"):
        lince.compare(run)
    with pytest.raises(UsageError, match=r"no predictions\.csv"):
        lince.compare(run, run.folder)


def run_names(run: TrainingRun) -> tuple[str, ...]:
    return lince.load(str(run)).classes.names


def test_showing_a_run_opens_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    run = TrainingRun(tmp_path)
    run.report_page.write_text("<p>report</p>")
    assert run.show() == run.report_page
    assert opened == [run.report_page.as_uri()]
