"""Dataset export to pandas tables and torch targets: every column and entry."""

from __future__ import annotations

import builtins
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lince import images, rle
from lince.annotations import CROWD, DIFFICULT, TRUNCATED, UNLABELLED, Classes
from lince.datasets import Dataset, open_dataset
from lince.datasets.dataframe import to_pandas
from lince.datasets.dataset import build_dataset
from lince.errors import MissingExtraError, UsageError
from lince.formats import ReadOptions
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.splits import TEST, TRAIN, UNASSIGNED
from lince.storage.tree import LocalFolder

OUTLINE = [np.array([[1.0, 1.0], [5.0, 1.0], [5.0, 4.0], [1.0, 4.0]])]


@pytest.fixture
def marked(awkward: Path) -> Dataset:
    """Return three photos of 12 x 16: two with objects (box, mask and outline) and one without."""
    marks = ObjectTableBuilder(ReadOptions())
    for i, split in enumerate((TRAIN, TEST, UNASSIGNED)):
        pixels = np.full((12, 16, 3), 10 * i, np.uint8)
        pixels[0, 0] = (255, 0, 0)
        (awkward / f"ñ {i}.png").write_bytes(images.encode_png(pixels))
        marks.add_image(f"ñ {i}.png", split, (12, 16) if i else (0, 0))
    mask = np.zeros((12, 16), bool)
    mask[2:6, 3:7] = True
    marks.add(0, RawObject(0, (2.5, 3.0, 8.0, 16.0 - 5.5), "x", flags=DIFFICULT))
    marks.add(0, RawObject(1, (3.0, 2.0, 7.0, 6.0), "x", flags=CROWD | TRUNCATED, mask=rle.encode(mask)))
    marks.add(1, RawObject(1, (1.0, 1.0, 5.0, 4.0), "x", rings=OUTLINE))
    return build_dataset(marks.build_table(LocalFolder(awkward), "test", ["gato", "niño", "nobody"]))


@pytest.fixture
def whole(awkward: Path) -> Dataset:
    """Return four photos in class folders, one of them without a class."""
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (awkward / name).parent.mkdir(exist_ok=True)
        (awkward / name).write_bytes(images.encode_png(np.zeros((4, 6, 3), np.uint8)))
    dataset = open_dataset(awkward)
    return replace(dataset, class_ids=np.where(np.arange(4) == 1, UNLABELLED, dataset.class_ids).astype(np.int32))


# pandas


def test_a_row_for_each_image(marked: Dataset, awkward: Path) -> None:
    table = to_pandas(marked)
    assert list(table.columns) == ["image", "path", "split", "class", "class_id", "height", "width", "objects"]
    assert table["image"].tolist() == ["ñ 0.png", "ñ 1.png", "ñ 2.png"]
    assert table["path"].tolist() == [str(awkward / name) for name in table["image"]]
    assert table["split"].astype(object).where(table["split"].notna(), None).tolist() == ["train", "test", None]
    assert table["class"].isna().all()
    assert table["height"].isna().tolist() == [True, False, False]
    assert table["width"].tolist()[1:] == [16, 16]
    assert table["objects"].tolist() == [2, 1, 0]


def test_a_row_for_each_object(marked: Dataset) -> None:
    table = to_pandas(marked, rows="objects")
    assert table["row"].tolist() == [0, 0, 1]
    assert table["image"].tolist() == ["ñ 0.png", "ñ 0.png", "ñ 1.png"]
    assert table["class"].tolist() == ["gato", "niño", "niño"]
    assert table["class"].cat.categories.tolist() == ["gato", "niño", "nobody"]
    assert table[["left", "top", "right", "bottom"]].iloc[0].tolist() == [2.5, 3.0, 8.0, 10.5]
    assert table["split"].tolist() == ["train", "train", "test"]
    assert table["difficult"].tolist() == [True, False, False]
    assert table["crowd"].tolist() == table["truncated"].tolist() == [False, True, False]
    assert [len(rings) for rings in table["outline"]] == [0, 0, 1]
    assert np.array_equal(table["outline"][2][0], OUTLINE[0])
    assert rle.decode(table["mask"][1], 12, 16).sum() == 16
    assert table["mask"][0] == table["mask"][2] == ""


def test_whole_images_in_pandas(whole: Dataset) -> None:
    table = to_pandas(whole)
    assert "objects" not in table
    assert table["class"].astype(object).where(table["class"].notna(), None).tolist() == ["a", None, "b", "b"]
    assert table["class_id"].tolist() == [0, -1, 1, 1]
    assert table["height"].isna().all()
    with pytest.raises(UsageError, match="has no objects"):
        to_pandas(whole, rows="objects")
    with pytest.raises(UsageError, match="rows"):
        to_pandas(whole, rows="pixels")


def test_images_without_a_file_have_no_path() -> None:
    table = to_pandas(open_dataset("lince:digits"))
    assert table["path"].isna().all()
    assert len(table) == 1797


def test_real_boxes_in_pandas(shared: Path) -> None:
    table = to_pandas(open_dataset(shared / "data/hardhat", format="voc"), rows="objects")
    assert table["class"].value_counts().to_dict() == {"helmet": 1873, "head": 548, "person": 26}


def test_pandas_that_is_missing_is_named(whole: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **named: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name="pandas")
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        to_pandas(whole)


# torch


def test_targets_for_torchvision_detectors(marked: Dataset) -> None:
    torch = pytest.importorskip("torch")
    from lince.training.torch_dataset import to_torch

    found = to_torch(marked)
    assert len(found) == 3
    image, target = found[0]
    assert (image.dtype, tuple(image.shape), image[:, 0, 0].tolist()) == (torch.uint8, (3, 12, 16), [255, 0, 0])
    assert target["boxes"].tolist() == [[2.5, 3.0, 8.0, 10.5], [3, 2, 7, 6]]
    assert (target["labels"].tolist(), target["iscrowd"].tolist()) == ([1, 2], [0, 1])
    assert target["area"].tolist() == [5.5 * 7.5, 16.0]
    assert target["image_id"] == 0
    assert (target["masks"].dtype, tuple(target["masks"].shape)) == (torch.uint8, (2, 12, 16))
    assert target["masks"][1].nonzero().min(0).values.tolist() == [2, 3]
    assert int(target["masks"][1].sum()) == 16
    assert int(found[1][1]["masks"][0].sum()) == 12
    empty = found[2][1]
    assert (tuple(empty["boxes"].shape), tuple(empty["masks"].shape)) == ((0, 4), (0, 12, 16))
    assert (empty["boxes"].dtype, empty["labels"].dtype) == (torch.float32, torch.int64)


def test_a_size_takes_boxes_and_masks_along(marked: Dataset) -> None:
    pytest.importorskip("torch")
    from lince.training.torch_dataset import to_torch

    image, target = to_torch(marked, "train", (24, 8))[0]
    assert tuple(image.shape) == (3, 24, 8)
    assert target["boxes"].tolist() == [[1.25, 6.0, 4.0, 21.0], [1.5, 4, 3.5, 12]]
    shown = np.zeros((24, 8), np.uint8)
    shown[4:12, 1:3] = 1  # the pixels whose centres lie on it
    assert np.array_equal(target["masks"][1].numpy(), shown)


@pytest.mark.slow
def test_a_torchvision_detector_takes_them(marked: Dataset) -> None:
    torch = pytest.importorskip("torch")
    detection = pytest.importorskip("torchvision.models.detection")
    from lince.training.torch_dataset import to_torch

    torch.manual_seed(0)
    network = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4)
    image, target = to_torch(marked, "train", 320)[0]
    losses = network.train()([image / 255, image / 255], [target, target])
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_whole_images_for_torch(whole: Dataset) -> None:
    torch = pytest.importorskip("torch")
    from lince.training.torch_dataset import to_torch

    found = to_torch(whole, size=5)
    batch, labels = next(iter(torch.utils.data.DataLoader(found, batch_size=3)))
    assert (tuple(batch.shape), labels.tolist()) == ((3, 3, 5, 5), [0, 1, 1])
    assert found.rows.tolist() == [0, 2, 3]
    with pytest.raises(UsageError, match="split"):
        to_torch(whole, "holiday")
    with pytest.raises(UsageError, match="no labelled images in 'val'"):
        to_torch(whole, "val")


def test_pictures_in_records_go_to_other_processes(shared: Path) -> None:
    dataset = open_dataset(shared / "data/raccoon/data/test.record")
    again = pickle.loads(pickle.dumps(dataset))
    assert again.images.read_bytes(3) == dataset.images.read_bytes(3)
    assert isinstance(again.classes, Classes)
