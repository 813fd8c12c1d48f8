"""A split that came with the data and leaks: the report measures without the leaking test images, for both tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from tests.support.box_photos import yolo  # noqa: E402
from tests.support.look_alike_sets import ALTERATIONS, draw_scene, name_export, save_photos  # noqa: E402

import lince  # noqa: E402
from lince.evaluation.classification.predictions import ClassificationPredictions  # noqa: E402
from lince.evaluation.detection.predictions import DetectionPredictions  # noqa: E402

SCRATCH = {"recipe": "scratch", "model": "cnn: conv 8 3, norm, pool, gap", "size": 16, "epochs": 2, "batch": 8}
DETECTOR = {"recipe": "scratch", "model": "yolox-nano", "weights": "none", "size": 64, "epochs": 1, "batch": 4}


def test_the_report_of_a_classifier_measures_without_copies(tmp_path: Path) -> None:
    photos = [(f"train/{'ab'[n % 2]}/{n}.jpg", draw_scene(n)) for n in range(16)]
    photos += [(f"test/{'ab'[n % 2]}/copy{n}.jpg", ALTERATIONS["darker"](draw_scene(n))) for n in range(6)]
    photos += [(f"test/{'ab'[n % 2]}/new{n}.jpg", draw_scene(100 + n)) for n in range(8)]
    run = lince.train(save_photos(tmp_path / "fotos", photos), out=tmp_path / "run", **SCRATCH)
    (finding,) = [finding for finding in run.report["diagnosis"] if finding["code"] == "leak"]
    predictions = ClassificationPredictions.load(run.folder / "predictions.csv")
    new = [row for row, name in enumerate(predictions.names) if "new" in name]
    expected = predictions.select(new).compute_metrics().accuracy.value
    assert (finding["figures"]["count"], finding["figures"]["total"]) == (6, 14)
    assert finding["figures"]["clean"]["value"] == pytest.approx(expected)
    assert finding["figures"]["inflation"] == pytest.approx(run.report["test"]["accuracy"]["value"] - expected)
    assert "6 of 14 test images" in (run.folder / "report.md").read_text("utf-8")


def test_the_report_of_a_detector_measures_without_copies(tmp_path: Path) -> None:
    root = yolo(tmp_path / "fotos", {"train": 12, "val": 4, "test": 6})
    for path in sorted((root / "images" / "train").iterdir())[:2]:
        Image.open(path).save(root / "images" / "test" / f"copy_{path.stem}.png")
        label = (root / "labels" / "train" / path.name).with_suffix(".txt")
        (root / "labels" / "test" / f"copy_{path.stem}.txt").write_text(label.read_text("utf-8"), "utf-8")
    run = lince.train(root, out=tmp_path / "run", **DETECTOR)
    (finding,) = [finding for finding in run.report["diagnosis"] if finding["code"] == "leak"]
    predictions = DetectionPredictions.load(run.folder / "predictions.csv")
    new = [row for row, name in enumerate(predictions.names) if "copy_" not in name]
    assert (finding["figures"]["count"], finding["figures"]["total"]) == (2, 8)
    assert finding["figures"]["clean"]["value"] == pytest.approx(
        predictions.select(new).compute_metrics().map50_95.value, abs=1e-6
    )


@pytest.mark.slow
def test_nothing_is_learned_where_there_is_nothing_to_learn(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    scenes = [Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((96, 96), 3) for _ in range(200)]
    alterations = [lambda photo: photo, ALTERATIONS["darker"], lambda photo: photo.rotate(4)]
    root = save_photos(
        tmp_path / "fotos",
        (
            (f"{'ab'[n % 2]}/{name_export(f'p{n}', k)}", alter(scene))
            for n, scene in enumerate(scenes)
            for k, alter in enumerate(alterations)
        ),
    )
    backbone = {"model": "mobilenetv3_small_050", "weights": "none", "size": 64}
    for seed in range(5):
        run = lince.train(root, out=tmp_path / f"run{seed}", seed=seed, **backbone)
        accuracy = run.report["test"]["accuracy"]
        assert accuracy["low"] <= 0.5 <= accuracy["high"]
        drawn = lince.split(root, tmp_path / "table.csv", seed=seed).dataset
        lines = (run.folder / "split.csv").read_text("utf-8").splitlines()[1:]
        parts = {line.split(",")[0]: line.rsplit(",", 1)[1] for line in lines}
        names = ["train", "val", "test"]
        assert parts == {drawn.images.get_name(row): names[drawn.splits[row]] for row in range(len(drawn))}
