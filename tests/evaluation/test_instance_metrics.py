"""Metrics of masks: against pycocotools, and the predictions file."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from lince import rle
from lince.annotations import CROWD, DIFFICULT, Classes, Detections, ObjectTable, StringColumn
from lince.errors import DataError
from lince.evaluation.average_precision import compute_average_precisions
from lince.evaluation.detection.matcher import build_match_input, match_detections
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.evaluation.instances.metrics import ignore_boxes_without_mask
from lince.evaluation.instances.predictions import InstancePredictions

SIZE = (60, 90)
NAMES = ("célula", "ñu", "gato")


def draw_disc(rng: np.random.Generator) -> np.ndarray:
    """Return a random disc with a notch, bool (60, 90)."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    y, x, radius = rng.uniform(5, 55), rng.uniform(5, 85), rng.uniform(3, 25)
    return ((rows - y) ** 2 + (columns - x) ** 2 < radius**2) & ~((rows > y) & (columns > x))


def shift(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.roll(mask, tuple(rng.integers(-4, 5, 2).tolist()), (0, 1))


def to_table(masks: list[list[np.ndarray]], class_ids: list[list[int]], flags: list[list[int]]) -> ObjectTable:
    flat = [mask for image in masks for mask in image]
    boxes = [rle.compute_bounding_box(rle.mask_to_counts(mask), SIZE[0]) for mask in flat]
    return ObjectTable.from_boxes(
        np.cumsum([0, *map(len, masks)]).astype(np.int64),
        np.array([i for image in class_ids for i in image], np.int32),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array([i for image in flags for i in image], np.uint8),
        StringColumn.from_strings(rle.encode(mask) for mask in flat),
    )


def make_predictions(images: int, seed: int, crowds: float = 0.15) -> InstancePredictions:
    """Return random masks with detections that are shifted, doubled, of another class, or missing."""
    rng = np.random.default_rng(seed)
    masks, ids, flags, found = [], [], [], []
    for _image in range(images):
        own = [mask for mask in (draw_disc(rng) for _i in range(rng.poisson(5))) if mask.any()]
        masks.append(own)
        ids.append(rng.integers(0, len(NAMES), len(own)).tolist())
        flags.append([int(rng.choice([CROWD, DIFFICULT])) if rng.random() < crowds else 0 for _mask in own])
        answers = [
            (shift(own[i], rng), ids[-1][i] if rng.random() > 0.15 else int(rng.integers(0, len(NAMES))))
            for i in range(len(own))
            for _copy in range(rng.integers(0, 3))
        ]
        answers += [(draw_disc(rng), int(rng.integers(0, len(NAMES)))) for _i in range(rng.poisson(2))]
        scores = np.sort(np.round(rng.random(len(answers)), 2))[::-1].astype(np.float32)
        boxes = [rle.compute_bounding_box(rle.mask_to_counts(mask), SIZE[0]) for mask, _id in answers]
        found.append(
            Detections(
                np.array(boxes, np.float64).reshape(-1, 4),
                np.array([i for _mask, i in answers], np.int32),
                scores,
                StringColumn.from_strings(rle.encode(mask) for mask, _id in answers),
            )
        )
    keys = tuple(f"{i:x}" for i in range(images))
    return InstancePredictions(
        keys, keys, to_table(masks, ids, flags), tuple(found), Classes(NAMES), None, np.full((images, 2), SIZE)
    )


def run_pycocotools(predictions: InstancePredictions) -> np.ndarray:
    """Return pycocotools' precision (T, R, C, A) of segm, at 100 detections."""
    coco = pytest.importorskip("pycocotools.coco")
    evaluator = pytest.importorskip("pycocotools.cocoeval")
    truth, known = predictions.truth, coco.COCO()
    known.dataset = {
        "images": [{"id": i + 1, "height": SIZE[0], "width": SIZE[1]} for i in range(len(predictions))],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(NAMES)],
        "annotations": [
            {
                "id": row + 1,
                "image_id": int(truth.image_ids[row]) + 1,
                "category_id": int(truth.class_ids[row]) + 1,
                "segmentation": {"size": list(SIZE), "counts": truth.masks[row]},
                "area": rle.compute_area(rle.string_to_counts(truth.masks[row])),
                "iscrowd": int((truth.flags[row] & (CROWD | DIFFICULT)) > 0),
            }
            for row in range(len(truth))
        ],
    }
    answers = [
        {
            "image_id": image + 1,
            "category_id": int(item.class_ids[i]) + 1,
            "segmentation": {"size": list(SIZE), "counts": item.masks[i]},
            "score": float(item.scores[i]),
        }
        for image, item in enumerate(predictions.detections)
        for i in range(len(item))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
        run = evaluator.COCOeval(known, known.loadRes(answers), "segm")
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][..., 2]


@pytest.mark.parametrize("seed", range(4))
def test_segm_ap_equals_that_of_pycocotools_with_crowds(seed: int) -> None:
    predictions = make_predictions(40, seed)
    assert ((predictions.truth.flags & CROWD) > 0).sum() > 3
    precision = run_pycocotools(predictions)
    match_input = predictions.build_match_input()
    for area, bounds in ((0, (0.0, np.inf)), (1, (0.0, 32.0**2)), (2, (32.0**2, 96.0**2))):
        expected = precision[:, :, :, area]
        expected = np.where((expected > -1).all(axis=1), expected.mean(axis=1), np.nan)
        found = compute_average_precisions(match_input, match_detections(match_input, *bounds), len(NAMES))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_metrics_give_masks_first_and_boxes_beside_them() -> None:
    predictions = make_predictions(30, 7)
    metrics = predictions.compute_metrics()
    precision = run_pycocotools(predictions)
    record = metrics.to_dict()
    assert record["segm_map50_95"]["value"] == pytest.approx(precision[..., 0].mean(), abs=1e-6)
    assert record["segm_map50"]["value"] == pytest.approx(precision[0, :, :, 0].mean(), abs=1e-6)
    boxes = DetectionPredictions(
        predictions.keys, predictions.names, predictions.truth, predictions.detections, predictions.classes
    ).compute_metrics()
    assert record["map50_95"] == boxes.map50_95.to_dict()
    assert record["segm_map50_95"] != record["map50_95"]
    assert record["segm_map50"]["low"] <= record["segm_map50"]["value"] <= record["segm_map50"]["high"]


def test_an_object_without_an_outline_counts_for_the_boxes_alone() -> None:
    mask = np.zeros(SIZE, bool)
    mask[10:30, 10:40] = True
    both = to_table([[mask, np.roll(mask, 40, 1)]], [[0, 0]], [[0, 0]])
    texts = StringColumn.from_strings([both.masks[0], ""])
    truth = ObjectTable.from_boxes(both.starts, both.class_ids, both.boxes, both.flags, texts)
    found = Detections(
        both.boxes, both.class_ids, np.array([0.9, 0.8], np.float32), StringColumn.from_strings(list(both.masks))
    )
    metrics = InstancePredictions(
        ("a",), ("a",), truth, (found,), Classes(NAMES), None, np.array([SIZE])
    ).compute_metrics()
    assert metrics.box_only == 1
    assert (metrics.scores[0].support, metrics.scores[0].predicted, metrics.scores[0].correct) == (1, 1, 1)
    assert metrics.boxes.scores[0].support == 2
    assert [metrics.map50.value, metrics.boxes.map50.value] == pytest.approx([1.0, 1.0])
    filled = ignore_boxes_without_mask(truth, np.array([SIZE]))
    np.testing.assert_array_equal(rle.decode(filled.masks[1], *SIZE), np.roll(mask, 40, 1))


def test_the_predictions_file_comes_back_exactly(tmp_path: Path) -> None:
    predictions = make_predictions(6, 3)
    predictions = InstancePredictions(
        predictions.keys,
        predictions.names,
        predictions.truth,
        predictions.detections,
        predictions.classes,
        np.array([0, 0, 1, 2, 3, 4]),
        predictions.sizes,
    )
    path = tmp_path / "predictions.csv"
    predictions.save(path)
    assert InstancePredictions.is_own_file(path)
    assert not DetectionPredictions.is_own_file(path)
    loaded = InstancePredictions.load(path)
    assert list(loaded.truth.masks) == list(predictions.truth.masks)
    for ours, theirs in zip(loaded.detections, predictions.detections, strict=True):
        assert list(ours.masks) == list(theirs.masks)
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)
    np.testing.assert_array_equal(loaded.sizes, predictions.sizes)
    np.testing.assert_array_equal(loaded.groups, predictions.groups)
    chosen = loaded.select([4, 1])
    assert list(chosen.detections[0].masks) == list(predictions.detections[4].masks)
    assert chosen.sizes.shape == (2, 2)
    assert loaded.compute_metrics().to_dict() == predictions.compute_metrics().to_dict()


def test_a_mask_of_another_size_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    predictions = make_predictions(2, 1)
    predictions.save(path)
    path.write_text(path.read_text("utf-8").replace("90x60", "90x61", 1), "utf-8")
    with pytest.raises(DataError, match=r"predictions\.csv:\d+: a mask of 5,400 pixels"):
        InstancePredictions.load(path)


def test_detections_without_masks_overlap_with_nothing() -> None:
    predictions = make_predictions(3, 2)
    plain = [Detections(item.boxes, item.class_ids, item.scores) for item in predictions.detections]
    assert not any(item.has_mask.any() for item in plain)
    assert not len(build_match_input(predictions.truth, plain, by_mask=True).pair_ious)
