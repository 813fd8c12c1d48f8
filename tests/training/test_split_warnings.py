"""Figures that a split makes impossible or worthless are named before training, and never printed as NaN."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps

pytest.importorskip("torch")

from tests.support.box_photos import yolo
from tests.support.class_photos import SHAPES, folders

from lince.cli.main import main
from lince.number_format import format_decimal, format_percent

CLASSIFIER = "--recipe scratch --size 16 --epochs 1 --batch 4 --model".split()  # noqa: SIM905
CLASSIFIER.append("cnn: conv 8 3, norm, gap")
DETECTOR = ["--recipe", "scratch", "--size", "64", "--epochs", "1", "--batch", "4", "--model", "yolox-nano"]


def train(data: Path, out: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return what was said before the first epoch, and everything."""
    assert main(["train", str(data), "--out", str(out), *options]) == 0
    captured = capsys.readouterr()
    return captured.err.partition("Epoch 1/")[0], captured.err + captured.out


def test_validation_without_photos_is_said_before_and_no_figure_is_made_up(tmp_path, capsys):
    photos = folders(tmp_path / "fotos", each=5)
    before, said = train(photos, tmp_path / "run", [*CLASSIFIER, "--val", "0"], capsys)
    assert "there are no validation images" in before
    assert "no validation images; " in said
    assert "nan%" not in said
    assert "nan" not in (tmp_path / "run" / "report.md").read_text("utf-8").lower()


def test_validation_without_boxes_is_said_before_and_no_figure_is_made_up(tmp_path, capsys):
    photos = yolo(tmp_path / "fotos", {"train": 6, "val": 2, "test": 2})
    for label in (photos / "labels" / "val").iterdir():
        label.write_text("")
    before, said = train(photos, tmp_path / "run", DETECTOR, capsys)
    assert "the 2 validation images have no boxes" in before
    assert "no mAP without validation boxes" in said
    assert "nan%" not in said


def test_boxes_of_a_photo_before_its_rotation_or_of_another_size_are_said_before(tmp_path, capsys):
    photos = yolo(tmp_path / "fotos", {"train": 8})
    assert main(["convert", str(photos), str(tmp_path / "coco"), "--to", "coco"]) == 0
    (path,) = (tmp_path / "coco").rglob("*.json")
    labels = json.loads(path.read_text("utf-8"))
    turned, resized, other = labels["images"][:3]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    (file,) = (tmp_path / "coco").rglob(Path(turned["file_name"]).name)
    with Image.open(file) as photo:
        ImageOps.pad(photo.convert("RGB"), (128, 96), centering=(0, 0)).save(file, "JPEG", exif=exif)
    turned["width"], turned["height"] = 128, 96
    for entry in (resized, other):
        entry["width"] = entry["height"] = 192
    path.write_text(json.dumps(labels), "utf-8")
    capsys.readouterr()
    before, _said = train(tmp_path / "coco", tmp_path / "run", [*DETECTOR, "--val", "0.25", "--test", "0.25"], capsys)
    assert "1 photo has boxes that ignore its Exif orientation" in before
    assert "2 photos have another size than their labels say" in before
    assert main(["check", str(tmp_path / "coco"), "--out", str(tmp_path / "check.html")]) in (0, 1)
    said = capsys.readouterr().out
    assert turned["file_name"] in said
    assert resized["file_name"] in said


def test_a_test_on_one_photo_is_said_to_say_nothing_before_and_after(tmp_path, capsys):
    photos = folders(tmp_path / "fotos", each=1)
    for shape in SHAPES[1:]:
        shutil.rmtree(photos / shape)
    (photos / "otra").mkdir()
    (photos / SHAPES[0] / "foto 00.png").replace(photos / "otra" / "a.png")
    folders(tmp_path / "más", each=2, seed=3)
    for path in (tmp_path / "más" / SHAPES[0]).iterdir():
        shutil.copy(path, photos / SHAPES[0] / path.name)
    before, said = train(photos, tmp_path / "run", CLASSIFIER, capsys)
    assert "Warning: 1 test image." in before
    assert "at least 10 test images" in before
    assert said.count("Warning: 1 test image.") == 2
    assert "on 1 image\n" in said


def test_a_class_that_is_tested_but_not_trained_is_said_before_and_in_the_report(tmp_path, capsys):
    photos = folders(tmp_path / "fotos" / "train", each=6).parent
    folders(photos / "test", each=4, seed=1)
    shutil.rmtree(photos / "train" / "cruz")
    before, _said = train(photos, tmp_path / "run", CLASSIFIER, capsys)
    assert "no training example of cruz (4)" in before
    assert "Classes without a training image" in (tmp_path / "run" / "report.md").read_text("utf-8")


def test_a_detector_names_a_class_without_training_boxes(tmp_path, capsys):
    photos = yolo(tmp_path / "fotos", {"train": 6, "val": 2, "test": 2})
    for part, digit in (("train", "0"), ("test", "1")):
        for label in (photos / "labels" / part).iterdir():
            rows = [line.split() for line in label.read_text().splitlines()]
            label.write_text("".join(" ".join([digit, *row[1:]]) + "\n" for row in rows))
    before, _said = train(photos, tmp_path / "run", DETECTOR, capsys)
    assert "no training example of bola" in before


def test_enough_of_everything_is_not_warned_about(tmp_path, capsys):
    _before, said = train(folders(tmp_path / "fotos", each=20), tmp_path / "run", CLASSIFIER, capsys)
    assert "Warning" not in said


def test_a_figure_that_is_no_number_is_a_dash():
    assert (format_percent(float("nan")), format_decimal(float("nan"))) == ("–", "–")
