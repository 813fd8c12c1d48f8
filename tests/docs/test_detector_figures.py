"""Train, evaluate and predict with a detector in three languages: each figure against pycocotools and plain counts."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.box_photos import NAMES, yolo

pytest.importorskip("torch")
pytest.importorskip("pycocotools")
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

COUNTS = {"train": 24, "val": 8, "test": 12}
OPTIONS = "--recipe scratch --model yolox-nano --size 96 --epochs 24 --batch 4 --lr 3e-3 --augment none".split()  # noqa: SIM905
DECIMAL = {"en": ".", "es": ",", "pt": ","}
Box = tuple[float, float, float, float]


def run_lince(folder: Path, language: str, *words: str) -> list[str]:
    """Run lince in ``folder`` in one language; return the lines that it printed."""
    environment = {**os.environ, "LINCE_LANG": language, "LINCE_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "lince", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).splitlines()


def list_numbers(line: str, language: str) -> list[float]:
    text = re.sub(r"(?<=\d)" + re.escape(DECIMAL[language]) + r"(?=\d)", ".", line)
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos, a run, and ``said.json``, the lines that its training printed."""
    folder = tmp_path_factory.mktemp("detector")
    yolo(folder / "photos", COUNTS)
    said = run_lince(folder, "en", "train", "photos", *OPTIONS, "--out", "run")
    (folder / "said.json").write_text(json.dumps(said), "utf-8")
    return folder


class Table:
    """The boxes of a file of predictions, by image and class, and what pycocotools computes of them."""

    def __init__(self, path: Path) -> None:
        self.images: list[str] = []
        self.truth: list[tuple[int, int, Box]] = []
        self.found: list[tuple[int, int, Box, float]] = []
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                if row["kind"] == "image":
                    self.images.append(row["name"])
                elif row["kind"] in {"truth", "found"}:
                    left, top, right, bottom = (float(row[side]) for side in ("left", "top", "right", "bottom"))
                    place = len(self.images), NAMES.index(row["class"]) + 1, (left, top, right - left, bottom - top)
                    if row["kind"] == "truth":
                        self.truth.append(place)
                    else:
                        self.found.append((*place, float(row["score"])))

    def compute_precisions(self) -> np.ndarray:
        """Return the average precision of each class (columns) at each IoU threshold from 0.5 to 0.95 (rows)."""
        truth = COCO()
        annotations = [
            {
                "id": number,
                "image_id": image,
                "category_id": kind,
                "bbox": list(box),
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for number, (image, kind, box) in enumerate(self.truth, 1)
        ]
        images = [{"id": number} for number in range(1, len(self.images) + 1)]
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1}, {"id": 2}]}
        results = [
            {"image_id": image, "category_id": kind, "bbox": list(box), "score": score}
            for image, kind, box, score in self.found
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            truth.createIndex()
            evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=1)

    def count_matches(self, kind: int, threshold: float) -> tuple[int, int, int]:
        """Return the labelled, found and right boxes of a class; found are those from ``threshold`` on."""
        found = sorted((one for one in self.found if one[1] == kind and one[3] >= threshold), key=lambda one: -one[3])
        free = [one for one in self.truth if one[1] == kind]
        count, right = len(free), 0
        for image, _kind, box, _score in found:
            overlaps = [(compute_iou(box, one[2]), one) for one in free if one[0] == image]
            best, match = max(overlaps, key=lambda item: item[0], default=(0.0, None))
            if match is not None and best >= 0.5:
                free.remove(match)
                right += 1
        return count, len(found), right


def compute_iou(one: Box, other: Box) -> float:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def percent(share: float) -> float:
    return round(100 * share, 1)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", DECIMAL)
def test_every_figure_of_an_evaluation_is_that_of_pycocotools(place: Path, language: str) -> None:
    lines = run_lince(place, language, "evaluate", "run", "photos", "--out", f"measured-{language}")
    table = Table(place / f"measured-{language}" / "predictions.csv")
    assert len(table.images) == COUNTS["test"]
    labels = [path.read_text().splitlines() for path in (place / "photos" / "labels").rglob("*.txt")]
    assert [sum(COUNTS.values()), sum(map(len, labels)), 0] in [list_numbers(line, language) for line in lines]

    precisions = table.compute_precisions()
    [summary] = [line for line in lines if "mAP50-95" in line]
    map50, low, high, map_all, count = list_numbers(
        summary.replace("mAP50-95", "mAP").replace("mAP50", "mAP"), language
    )
    assert (map50, map_all, count) == (percent(precisions[0].mean()), percent(precisions.mean()), COUNTS["test"])
    assert 0 < low <= map50 <= high <= 100
    said = json.loads((place / "said.json").read_text("utf-8"))
    [trained] = [line for line in said if line.startswith("Test mAP50")]
    assert list_numbers(trained.replace("50-95", "").replace("mAP50", ""), "en") == [map50, low, high, map_all, count]

    card = json.loads((place / "run" / "model" / "card.json").read_text("utf-8"))
    thresholds = card["detection_filter"]["score_threshold"]
    for number, name in enumerate(NAMES, 1):
        labelled, found, right = table.count_matches(number, thresholds[number - 1])
        [row] = [line for line in lines if re.match(rf"{name}\s", line)]
        scores = [right / found, right / labelled, 2 * right / (found + labelled)]
        aps = [precisions[0, number - 1], precisions[:, number - 1].mean()]
        assert list_numbers(row, language) == [labelled, *map(percent, [*aps, *scores])]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", DECIMAL)
def test_every_figure_of_an_answer_is_a_count_of_the_boxes(place: Path, language: str) -> None:
    lines = run_lince(place, language, "predict", "run", "photos/images/test", "--csv", f"found-{language}.csv")
    with open(place / f"found-{language}.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    for path in sorted((place / "photos" / "images" / "test").iterdir()):
        [line] = [line for line in lines if line.startswith(path.name)]
        mine = [row for row in rows if row["file"] == path.name]
        expected = []
        for name in NAMES:
            scores = sorted((float(row["score"]) for row in mine if row["class"] == name), reverse=True)
            expected += [len(scores), *(round(100 * score) for score in scores)] if scores else []
        assert list_numbers(line.removeprefix(path.name), language) == expected
    totals = [sum(row["class"] == name for row in rows) for name in NAMES]
    [line] = [line for line in lines if list_numbers(line, language)[:2] == [COUNTS["test"], COUNTS["test"]]]
    assert list_numbers(line, language)[2:] == totals
