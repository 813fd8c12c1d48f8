"""Training of masks: targets, objects without an outline, the frozen body, and what is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.support import box_photos

import lince
from lince.datasets import open_dataset
from lince.errors import UsageError
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT
from lince.tasks import describe_other_tasks, get_task
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.network_outputs import select_ground_truth
from lince.training.detection.samples import DetectionSamples

COUNTS = {"train": 12, "val": 4, "test": 6}
CONFIG = {"model": "yolox-nano", "weights": "none", "size": 64, "batch": 4, "seed": 1}


class Listening(type(SILENT)):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def show_message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return box_photos.yolo(tmp_path_factory.mktemp("datos") / "niño", COUNTS, outlined=True)


def test_transfer_learns_masks_on_cached_maps_and_says_which_objects_have_none(data: Path, tmp_path: Path) -> None:
    progress = Listening()
    run = lince.train(
        data, task="instances", recipe="transfer", epochs=2, out=tmp_path / "run", progress=progress, **CONFIG
    )
    said = [line for line in progress.lines if "no outline" in line]
    assert len(said) == 1
    assert "objects have a box and no outline: they teach the box alone" in said[0]
    assert said[0] in run.report["notes"]
    history = run.report["history"]
    assert all({"train_masks", "val_segm_map50", "val_segm_map50_95", "val_map50_95"} <= set(row) for row in history)
    assert run.report["test"]["box_only"] == 1
    assert run.report["test"]["segm_map50_95"]["value"] <= 1
    page = (run.folder / "report.html").read_text("utf-8")
    assert "test mask mAP50" in page
    assert "box mAP50-95" in page


def test_targets_have_the_masks_of_the_labels(data: Path) -> None:
    dataset = open_dataset(data)
    samples = DetectionSamples.from_dataset(dataset, with_masks=True)
    spec = PreprocessSpec(96, 96, "letterbox")
    loader = DetectionLoader(samples, np.arange(len(dataset)), spec, 4)
    truth = select_ground_truth(loader)
    assert truth.has_mask.sum() == (dataset.objects.has_polygons).sum() < len(truth)
    row = 0
    for batch in loader.iter_batches():
        for boxes, ids, masks, has_mask in batch.targets:
            assert masks.shape == (len(boxes), 24, 24)
            for box, class_id, mask, is_outlined in zip(boxes, ids, masks, has_mask, strict=True):
                assert is_outlined == truth.has_mask[row]
                row += 1
                if not is_outlined:
                    assert not mask.any()
                    continue
                width, height = box[2:] - box[:2]
                area = width * height * (1.0 if class_id == 0 else np.pi / 4)
                assert mask.sum() / 255 * 16 == pytest.approx(area, rel=0.08)
    assert row == len(truth)
    plain = DetectionLoader(DetectionSamples.from_dataset(dataset), np.arange(4), spec, 4)
    assert all(len(target) == 2 for batch in plain.iter_batches() for target in batch.targets)


def test_the_task_is_chosen_by_name_alone_and_other_tasks_are_named(data: Path, tmp_path: Path) -> None:
    dataset = open_dataset(data)
    assert lince.tasks.resolve_task(dataset).name == "detect"
    sentence = describe_other_tasks(dataset, get_task("instances"))
    assert "--task detect" in sentence
    assert "--task segment" in sentence
    assert "--task instances" in describe_other_tasks(dataset, get_task("detect"))
    boxes = box_photos.yolo(tmp_path / "cajas", COUNTS)
    with pytest.raises(UsageError, match="has no labels for instance segmentation"):
        lince.train(boxes, task="instances", recipe="scratch", epochs=1, out=tmp_path / "run", **CONFIG)
