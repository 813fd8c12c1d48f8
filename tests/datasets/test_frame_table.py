"""A pandas DataFrame as a dataset: by the rules of tables, wherever a dataset can be given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.class_photos import folders

import lince
from lince import images
from lince.datasets import Dataset
from lince.errors import UsageError

pd: Any = pytest.importorskip("pandas")


@pytest.fixture
def photos(awkward: Path) -> Path:
    return folders(awkward / "fotos", each=4)


def frame_of(photos: Path, start: Path) -> Any:
    """Return a table of all photos by their paths from ``start``, with their classes."""
    paths = sorted(photos.rglob("*.png"))
    return pd.DataFrame({
        "image": [path.relative_to(start).as_posix() for path in paths], "class": [path.parent.name for path in paths]
    })  # fmt: skip


def counts(dataset: Dataset) -> dict[str, int]:
    return dataset.count_per_class()


def test_it_opens_as_the_folder_does(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    frame = frame_of(photos, photos.parent)
    dataset = lince.open(frame)
    expected = lince.open(photos)
    assert counts(dataset) == counts(expected)
    assert not dataset.rejected
    assert {dataset.images.compute_key(row) for row in range(len(dataset))} == {
        expected.images.compute_key(row) for row in range(len(expected))
    }


def test_its_photos_may_be_elsewhere(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = frame_of(photos, photos)
    assert len(lince.open(frame, root=photos)) == len(frame)
    frame["image"] = [photos / name for name in frame["image"]]  # full paths, as pathlib gives them
    assert len(lince.open(frame)) == len(frame)


def test_rows_that_were_chosen_are_all_of_it(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    frame = frame_of(photos, photos)
    chosen = frame.groupby("class").head(2)
    dataset = lince.open(chosen)
    assert (len(dataset), dataset.rejected) == (len(chosen), ())
    assert len(lince.open(chosen.set_index("image"))) == len(chosen)


def test_a_row_without_photo_is_named_with_its_line(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    frame = frame_of(photos, photos)
    frame.loc[2, "image"] = "nope.png"
    frame.loc[3, "class"] = None
    dataset = lince.open(frame)
    assert len(dataset) == len(frame) - 2
    assert [item.line for item in dataset.rejected] == [4, 5]
    assert "nope.png" in str(dataset.rejected[0])


def test_the_table_of_a_dataset_opens_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    dataset = lince.open(photos)
    again = lince.open(lince.to_pandas(dataset))
    assert counts(again) == counts(dataset)


def test_boxes_open_with_their_corners(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(awkward)
    (awkward / "a.png").write_bytes(images.encode_png(np.zeros((50, 80, 3), np.uint8)))
    frame = pd.DataFrame({"filename": ["a.png"] * 2, "class": ["cat", "dog"], "xmin": [1, 5], "ymin": [2, 6],
                          "xmax": [30, 70], "ymax": [40, 45]})  # fmt: skip
    dataset = lince.open(frame)
    assert dataset.objects is not None
    assert dataset.objects.boxes.tolist() == [[1, 2, 30, 40], [5, 6, 70, 45]]
    cells = pd.DataFrame({"image_id": ["a.png"], "bbox": [[1.0, 2.0, 29.0, 38.0]], "class": ["cat"]})
    assert lince.open(cells).objects.boxes.tolist() == [[1, 2, 30, 40]]


def test_it_goes_wherever_a_dataset_goes(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    frame = frame_of(photos, photos)
    assert lince.check(frame).statistics.images == len(frame)
    assert lince.show(frame, out=tmp_path / "sheet.png").is_file()
    assert lince.augment(frame, out=tmp_path / "copies.png").is_file()
    assert len(lince.split(frame, tmp_path / "splits.csv").dataset) == len(frame)
    assert lince.convert(frame, tmp_path / "copy", "folders").path.is_dir()
    assert len(lince.merge([frame, photos])) == 2 * len(frame)


def test_a_run_trained_on_it_finds_its_photos_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    run = lince.train(frame_of(photos, photos.parent), out=tmp_path / "run", val=0.25, test=0.25)
    monkeypatch.chdir(tmp_path)
    exported = lince.export(run, "onnx", precision="fp16")
    assert exported.validation is not None
    assert exported.validation.split == "test"
    assert "data:image/jpeg" in str(run._repr_html_())


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"image": [], "class": []}), "no rows"),
        (pd.DataFrame([["a.png", "b", "c"]], columns=["image", "class", "class"]), "one name"),
        (3, "cannot be of the type int"),
        ([["a.png", "cat"]], "cannot be of the type list"),
    ],
)
def test_what_is_no_table_is_refused(frame: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        lince.open(frame)


def test_lince_itself_imports_no_pandas(tmp_path: Path) -> None:
    code = "import sys, lince; lince.open('lince:digits'); print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
