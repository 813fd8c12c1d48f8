"""What segmentation writes: overlays, masks that are read back, cut-outs with soft edges, tables, labels to correct."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.support import tiny_segmenter

import lince
from lince import images
from lince.annotations import RejectedItem
from lince.class_maps import draw_class_map
from lince.cli.main import main
from lince.datasets import open_dataset
from lince.errors import UsageError
from lince.inference import mask_drawing
from lince.inference.length_scale import LengthScale
from lince.inference.segmentation import results_folder
from lince.inference.segmentation.predictor import SegmentationPredictor

RED, BLUE = ("red", 16, 16, 48, 48), ("blue", 64, 16, 96, 64)


@pytest.fixture
def photos(awkward: Path) -> Path:
    """Return a folder of photos: red, blue, both, turned by EXIF, one of the same name below, and one of none."""
    folder = awkward / "fotos ñ"
    (folder / "más").mkdir(parents=True)
    for name, boxes in {"rojo.png": [RED], "más/rojo.png": [BLUE], "dos.png": [RED, BLUE], "nada.png": []}.items():
        (folder / name).write_bytes(images.encode_png(tiny_segmenter.photo(*boxes, height=80, width=120)))
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(tiny_segmenter.photo(RED, height=80, width=120)).save(turned, "jpeg", quality=95, exif=exif)
    (folder / "girada.jpg").write_bytes(turned.getvalue())
    return folder


@pytest.fixture
def model(awkward: Path) -> SegmentationPredictor:
    return lince.load(tiny_segmenter.model_folder(awkward / "model"))


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    monkeypatch.chdir(folder)
    return main(["predict", "model", *words])


def test_the_command_line_says_shares_and_writes_everything(
    photos: Path, model: SegmentationPredictor, awkward: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run(monkeypatch, awkward, str(photos), "--save", "--csv", "areas.csv") == 0
    said = capsys.readouterr().out
    lines = {line.split("  ")[0]: line for line in said.splitlines()}
    assert lines["nada.png"] == "nada.png  background only"
    assert lines["dos.png"].startswith("dos.png  blue ")
    assert "red " in lines["dos.png"]
    assert "5 of 5 photos segmented" in said
    assert "red: in 3 of them" in said
    assert "background only in 1 of them" in said
    written = {path.relative_to("answers").as_posix() for path in Path("answers").rglob("*") if path.is_file()}
    assert written == {
        "predictions.csv", "predictions.json", "sheet.jpg", "masks/labelmap.txt",
        *(f"overlays/{name}.jpg" for name in ("dos", "girada", "más-rojo", "nada", "rojo")),
        *(f"masks/{name}.png" for name in ("dos", "girada", "más-rojo", "nada", "rojo")),
        *(f"cutouts/red/{name}.png" for name in ("dos", "girada", "rojo")),
        *(f"cutouts/blue/{name}.png" for name in ("dos", "más-rojo")),
    }  # fmt: skip
    with open("areas.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5 * 3
    assert {row["file"] for row in rows if row["class"] == "blue" and int(row["pixels"])} == {
        "dos.png", "más/rojo.png",
    }  # fmt: skip
    record = json.loads(Path("answers/predictions.json").read_text("utf-8"))
    assert {one["class"]: one["photos"] for one in record["totals"]} == {"blue": 2, "red": 3}
    assert run(monkeypatch, awkward, str(photos), "--save", str(awkward / "answers")) == 2  # nothing is overwritten
    assert "answers" in capsys.readouterr().err


def test_masks_are_read_back_as_the_same_class_maps(photos: Path, model: SegmentationPredictor, awkward: Path) -> None:
    results = list(model.predict_many(photos))
    lince.save_answers(results, awkward / "saved")
    labels = awkward / "labels"
    shutil.copytree(awkward / "saved" / "masks", labels / "masks")
    (labels / "images").mkdir()
    for result, stem in zip(results, results_folder.make_file_names(results), strict=True):
        name = f"{stem}{Path(result.name).suffix}"
        (labels / "images" / name).write_bytes(Path(result.path or "").read_bytes())
    check_labels(labels, results)


def check_labels(folder: Path, results: list[lince.PredictionResult]) -> None:
    """Assert that the masks in ``folder`` are the class maps of ``results``, found by the content of the photo."""
    data = open_dataset(folder)
    assert data.format == "masks"
    expected = {Path(one.path or "").read_bytes(): one for one in results}
    assert len(data) == len(expected)
    for row in range(len(data)):
        result = expected[data.images.read_bytes(row)]
        assert data.classes.names == result.classes.names
        found = draw_class_map(data.objects, row, result.size)
        np.testing.assert_array_equal(found, result.class_map)


def test_a_turned_photo_is_upright_in_everything(photos: Path, model: SegmentationPredictor, awkward: Path) -> None:
    (result,) = (one for one in model.predict_many(photos) if one.name == "girada.jpg")
    assert result.size == (120, 80)
    assert result.list_regions()[0].centre == pytest.approx((48, 32), abs=3)
    lince.save_answers([result], awkward / "saved")
    assert images.read_image(awkward / "saved/overlays/girada.jpg").shape == (120, 80, 3)
    cutout = cv2.imread(str(awkward / "saved/cutouts/red/girada.png"), cv2.IMREAD_UNCHANGED)
    assert 30 < cutout.shape[0] < 48
    assert cutout[cutout.shape[0] // 2, cutout.shape[1] // 2, 3] == 255


@pytest.mark.parametrize("name", ["masks", "coco", "yolo", "labelme"])
def test_labels_to_correct_are_written_and_read_again(
    name: str, photos: Path, model: SegmentationPredictor, awkward: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run(monkeypatch, awkward, str(photos), "--to", name) == 0
    folder = Path("answers", "masks-dataset" if name == "masks" else name)
    results = list(model.predict_many(photos))
    if name == "masks":
        check_labels(folder, results)
        return
    data = open_dataset(folder)
    expected = {Path(one.path or "").read_bytes(): one for one in results}
    assert len(data) == len(expected)
    for row in range(len(data)):
        result = expected[data.images.read_bytes(row)]
        found = draw_class_map(data.objects, row, result.size)
        order = [0, *(1 + model.classes.index(one) for one in data.classes.names)]
        assert (np.array(order, np.uint8)[found] == result.class_map).mean() > 0.99
    assert run(monkeypatch, awkward, str(photos), "--to", "voc", "--save", "other") == 2
    assert "does not hold masks or outlines" in capsys.readouterr().err


def test_a_cut_out_is_opaque_inside_and_soft_on_its_edge(model: SegmentationPredictor) -> None:
    image = tiny_segmenter.photo(("red", 60, 40, 180, 120), height=160, width=240)
    result = model.predict(image)
    cutout = result.cut_out(image, "red")
    is_red = result.class_map == 1 + model.classes.index("red")
    alpha = cutout[:, :, 3]
    assert alpha[30:-30, 30:-30].min() == 255
    assert abs(int((alpha > 127).sum()) - int(is_red.sum())) < 0.02 * is_red.sum()
    assert len(np.unique(alpha)) > 10
    top, left = (int(np.flatnonzero(is_red.any(axis=axis))[0]) for axis in (1, 0))
    middle = cutout.shape[0] // 2, cutout.shape[1] // 2
    assert cutout[:, :, :3].shape[0] < 100
    assert (image == cutout[middle][:3]).all(axis=2).any()
    assert top > 30
    assert left > 50
    assert result.cut_out(image, "green").shape == (1, 1, 4)
    assert result.cut_out(image, "green")[0, 0, 3] == 0
    with pytest.raises(UsageError, match="gren"):
        result.cut_out(image, "gren")


def test_a_cut_out_of_a_large_photo_is_computed_for_some_of_its_pixels(
    model: SegmentationPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tiny_segmenter.photo(("red", 303, 205, 907, 601), height=811, width=1207)
    result = model.predict(image)
    coarse = result.cut_out(image, "red")
    monkeypatch.setattr("lince.inference.segmentation.cutouts._CELL_PLACES", 10_000)
    exact = result.cut_out(image, "red")
    alphas = [np.zeros((811, 1207)) for _one in range(2)]
    for alpha, one in zip(alphas, (coarse, exact), strict=True):
        (top, left) = next(zip(*np.nonzero((image == one[0, 0, :3]).all(axis=2)), strict=True))
        place = _find_part(image, one[:, :, :3], (int(top), int(left)))
        alpha[place[0] : place[0] + one.shape[0], place[1] : place[1] + one.shape[1]] = one[:, :, 3]
    assert np.abs(alphas[0] - alphas[1]).mean() < 2
    assert np.abs(alphas[0] - alphas[1]).max() < 90
    assert ((alphas[0] > 127) == (alphas[1] > 127)).mean() > 0.995


def _find_part(image: np.ndarray, part: np.ndarray, guess: tuple[int, int]) -> tuple[int, int]:
    """Return top and left of ``part`` in the noisy ``image``."""
    rows, columns = np.nonzero((image == part[0, 0]).all(axis=2))
    for top, left in [guess, *zip(rows.tolist(), columns.tolist(), strict=True)]:
        found = image[top : top + part.shape[0], left : left + part.shape[1]]
        if found.shape == part.shape and (found == part).all():
            return top, left
    raise AssertionError("the part is not in the image")


def test_a_mask_without_probabilities_has_soft_edges_too() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:30, 0:30] = True
    alpha = mask_drawing.make_alpha(mask)
    assert alpha[20, 20] == 1.0
    assert alpha[20, 0] == 1.0  # the edge of the photo is none of the mask
    assert alpha[5, 5] == 0.0
    assert 0.5 < alpha[20, 29] < 1.0
    assert 0.0 < alpha[20, 30] < 0.5
    assert mask_drawing.make_alpha(np.zeros((3, 3), bool)).max() == 0.0
    assert mask_drawing.make_alpha(np.ones((3, 3), bool)).min() == 1.0


@pytest.mark.parametrize(
    ("text", "length", "unit"),
    [
        ("0.12mm", 0.12, "mm"),
        ("0,12 mm", 0.12, "mm"),
        ("2um", 2, "um"),
        ("2µm", 2, "um"),
        ("2 μm", 2, "um"),
        ("1m", 1, "m"),
    ],
)
def test_scales_are_read(
    text: str, length: float, unit: str, photos: Path, model: SegmentationPredictor, awkward: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run(monkeypatch, awkward, str(photos / "rojo.png"), "--scale", text, "--json", "--csv", f"{unit}.csv") == 0
    (record,) = json.loads(capsys.readouterr().out)["predictions"]
    (region,) = record["classes"]
    assert record["scale"] == {"pixel": length, "unit": unit}
    assert region["area"] == pytest.approx(region["pixels"] * length**2, rel=1e-5)
    with open(f"{unit}.csv", encoding="utf-8", newline="") as stream:
        rows = {row["class"]: row for row in csv.DictReader(stream)}
    assert float(rows["red"][f"area_{unit}2"]) == region["area"]
    assert float(rows["blue"][f"area_{unit}2"]) == 0


@pytest.mark.parametrize(
    "text", ["0.12", "mm", "0.12 px", "0.12mm2", "-1mm", "0mm", "1,250mm", "1.2.3mm", "nanmm", "5 inch", "١mm"]
)
def test_what_is_no_scale_is_refused(
    text: str, photos: Path, model: SegmentationPredictor, awkward: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run(monkeypatch, awkward, str(photos), f"--scale={text}", "--save") == 2
    assert capsys.readouterr().err
    assert not Path("answers").exists()


def test_what_a_scale_means_is_said(
    photos: Path, model: SegmentationPredictor, awkward: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run(monkeypatch, awkward, str(photos / "rojo.png"), "--scale", "0.12mm") == 0
    said = capsys.readouterr().out
    assert " mm²)" in said
    assert "each pixel shows 0.120 mm" in said
    assert LengthScale(2, "um").area_unit == "µm²"
    result = model.predict(photos / "rojo.png").with_scale(2, "cm")
    assert result.to_rows()[2]["area_cm2"] == 4 * result.areas["red"]
    with pytest.raises(UsageError, match="unit"):
        result.with_scale(2, "px")


def test_options_of_other_tasks_are_refused(
    photos: Path, model: SegmentationPredictor, awkward: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for words in (["--threshold", "0.5"], ["--iou", "0.5"], ["--top", "2"]):
        assert run(monkeypatch, awkward, str(photos), *words) == 2
        assert words[0] in capsys.readouterr().err


def test_what_lince_saved_is_not_read_as_photos(photos: Path, model: SegmentationPredictor, awkward: Path) -> None:
    lince.save_answers(list(model.predict_many(photos)), photos / "answers")
    outcomes = list(model.predict_many(photos))
    assert [one.kind for one in outcomes if isinstance(one, RejectedItem)] == ["own-output"]
    assert len(outcomes) == 6
