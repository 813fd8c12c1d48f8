"""Detector comparison: known differences, refusals, and agreement with the metrics of each run alone."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from tests.evaluation.test_detection_metrics import drawn
from tests.evaluation.test_detection_metrics import names as class_names

import lince
from lince.annotations import Classes, Detections, ObjectTable
from lince.errors import DataError, UsageError
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.detection.comparison import compare_detectors
from lince.evaluation.detection.metrics import compute_detection_metrics
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.evaluation.report import render_comparison_html, render_comparison_markdown

A, B = (10.0, 10.0, 50.0, 60.0), (100.0, 100.0, 180.0, 150.0)
NAMES = Classes(("casco", "cabeza ñ"))


def objects(images: list[list[tuple[int, tuple[float, ...]]]]) -> ObjectTable:
    rows = [row for image in images for row in image]
    none = ObjectTable.empty(0)
    return ObjectTable(
        np.cumsum([0, *map(len, images)]).astype(np.int64),
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.float64).reshape(-1, 4),
        np.zeros(len(rows), np.uint8),
        np.zeros(len(rows) + 1, np.int64),
        none.point_starts,
        none.points,
        none.masks.from_strings([""] * len(rows)),
    )


def run(found: list[list[int]], classes: Classes = NAMES, start: int = 0) -> DetectionPredictions:
    """Return a run on images with one object per class, in which exactly the classes in ``found`` were detected."""
    boxes = np.array([A, B])
    detections = tuple(
        Detections(boxes[ids].reshape(-1, 4), np.array(ids, np.int32), np.full(len(ids), 0.9, np.float32))
        for ids in found
    )
    keys = tuple(f"{start + i:032x}" for i in range(len(found)))
    names = tuple(f"fotos/{start + i}.jpg" for i in range(len(found)))
    return DetectionPredictions(keys, names, objects([[(0, A), (1, B)]] * len(found)), detections, classes)


def made(seed: int, images: int = 40) -> DetectionPredictions:
    truth, found, classes = drawn(images, 3, 4, seed=seed)
    keys = tuple(f"{i:032x}" for i in range(images))
    return DetectionPredictions(keys, keys, truth, tuple(found), classes)


def other_findings(one: DetectionPredictions, seed: int, spread: float) -> DetectionPredictions:
    """Return the same images with every detection moved slightly."""
    rng = np.random.default_rng(seed)
    moved = tuple(
        dataclasses.replace(item, boxes=item.boxes + rng.normal(0, spread, (len(item), 1))) for item in one.detections
    )
    return dataclasses.replace(one, detections=moved)


def test_a_class_that_is_found_where_it_was_not_gives_the_known_difference():
    old, new = run([[0]] * 10), run([[0, 1]] * 10)
    result = compare_detectors({"old": old, "new": new})
    difference = result.runs[1].difference
    assert result.runs[0].difference is None
    assert difference.map50.value == pytest.approx(0.5)
    assert difference.map50_95.value == pytest.approx(0.5)
    assert [(item.support, item.before, item.after) for item in difference.classes] == [
        (10, pytest.approx(1.0), pytest.approx(1.0)),
        (10, 0.0, pytest.approx(1.0)),
    ]
    assert difference.outcome == "better"
    assert compare_detectors({"new": new, "old": old}).runs[1].difference.outcome == "worse"
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_figures_are_those_that_evaluation_gives_to_each_run_alone():
    one = made(0)
    two = other_findings(one, 1, 4.0)
    result = compare_detectors({"one": one, "two": two}, seed=3)
    for compared, item in zip(result.runs, (one, two), strict=True):
        alone = compute_detection_metrics(item.truth, item.detections, item.classes, seed=3)
        assert compared.metrics.map50 == alone.map50
        assert compared.metrics.map50_95 == alone.map50_95
    difference = result.runs[1].difference
    first, second = (compared.metrics for compared in result.runs)
    assert difference.map50.value == pytest.approx(second.map50.value - first.map50.value)
    assert difference.map50_95.value == pytest.approx(second.map50_95.value - first.map50_95.value)


def test_the_paired_interval_is_that_of_the_same_images_drawn_for_both():
    one = made(2)
    two = other_findings(one, 3, 3.0)
    found = compare_detectors({"one": one, "two": two}).runs[1].difference.map50_95
    rng = np.random.default_rng(9)
    changes = []
    for _draw in range(150):
        rows = rng.integers(0, len(one), len(one))
        before, after = (item.select(rows) for item in (one, two))
        values = [evaluate_once(item) for item in (before, after)]
        changes.append(values[1] - values[0])
    low, high = np.percentile(np.array(changes) + 2 * (found.value - np.mean(changes)), [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.025)
    assert found.high == pytest.approx(high, abs=0.025)
    alone = compare_detectors({"one": one, "two": two}).runs[1].metrics.map50_95
    assert found.high - found.low < alone.high - alone.low  # difficult objects are left out for both


def evaluate_once(item: DetectionPredictions) -> float:
    from lince.evaluation.detection.metrics import compute_mean_ap

    return compute_mean_ap(item.truth, item.detections, item.classes)[1]


def test_the_same_findings_show_no_difference_whatever_the_order_of_images_and_classes():
    one = made(4)
    turned = one.reorder_classes(Classes(one.classes.names[::-1])).select(np.arange(len(one))[::-1])
    assert turned.truth.class_ids.tolist() != one.truth.class_ids.tolist()
    result = compare_detectors({"one": one, "two": turned})
    difference = result.runs[1].difference
    assert (result.count, difference.outcome) == (len(one), "unclear")
    assert (difference.map50_95.value, difference.map50.value) == (0.0, 0.0)


def test_a_difference_within_noise_is_unclear():
    one = made(5)
    assert compare_detectors({"a": one, "b": other_findings(one, 6, 0.05)}).runs[1].difference.outcome == "unclear"
    few = compare_detectors({"a": run([[0]] * 5), "b": run([[0, 1]] * 5)}).runs[1].difference
    assert (few.map50.value, few.outcome) == (pytest.approx(0.5), "unclear")


def test_different_test_sets_are_refused_unless_the_shared_part_is_asked_for():
    one, two = run([[0]] * 10), run([[0]] * 10, start=3)
    with pytest.raises(DataError, match=r"7 images are in all of them \(one: 10, two: 10\)"):
        compare_detectors({"one": one, "two": two})
    result = compare_detectors({"one": one, "two": two}, shared_only=True)
    assert (result.count, result.left_out_counts) == (7, {"one": 3, "two": 3})
    with pytest.raises(DataError, match="0 images"):
        compare_detectors({"one": one, "two": run([[0]], start=99)}, shared_only=True)


def test_boxes_that_were_drawn_anew_make_another_test_set():
    one = run([[0]] * 4)
    boxes = one.truth.boxes.copy()
    boxes[0, 0] += 1.0
    two = dataclasses.replace(one, truth=dataclasses.replace(one.truth, boxes=boxes))
    with pytest.raises(DataError, match="3 images are in all"):
        compare_detectors({"one": one, "two": two})
    boxes[0, 0] -= 1.0 - 1e-6  # boxes that differ by a format's rounding are equal
    assert compare_detectors({"one": one, "two": two}).count == 4


def test_other_classes_and_single_runs_are_refused():
    with pytest.raises(DataError, match="different classes: cabeza ñ, persona"):
        compare_detectors({"one": run([[0]]), "two": run([[0]], Classes(("casco", "persona")))})
    with pytest.raises(UsageError):
        compare_detectors({"one": run([[0]])})


def test_runs_of_detectors_are_told_by_their_header_and_no_mix_is_compared(awkward):
    for name, item in (("uno", run([[0]] * 8)), ("dos ñ", run([[0, 1]] * 8))):
        (awkward / name).mkdir()
        item.save(awkward / name / "predictions.csv")
    found = lince.compare([awkward / "uno", awkward / "dos ñ"])
    assert [one.name for one in found.runs] == ["uno", "dos ñ"]
    assert found.runs[1].difference.outcome == "better"
    (awkward / "fotos").mkdir()
    shares = np.array([[0.7, 0.3]], np.float32)
    whole = ClassificationPredictions(("00",), ("a.jpg",), np.array([0], np.int32), shares, NAMES)
    whole.save(awkward / "fotos" / "predictions.csv")
    with pytest.raises(DataError, match=r"different tasks: fotos \(image classification\), dos ñ \(object detection\)"):
        lince.compare([awkward / "fotos", awkward / "dos ñ"])


def test_the_comparison_in_words_tables_and_as_a_page():
    comparison = compare_detectors({"old": run([[0]] * 10), "new <b>": run([[0, 1]] * 10)})
    shown = comparison.build_view()
    assert shown.outcomes[0].startswith("new <b> is better than old: +50.0 points of mAP50-95 (from +")
    assert {len(row) for row in shown.runs.rows} == {len(shown.runs.header)}
    assert shown.classes.rows[1] == ("cabeza ñ", "10", "0.0%", "100.0%", "+100.0")
    page = render_comparison_html(comparison)
    assert "<b>: " not in page
    assert "AP50 per class" in page
    assert "Fixed: " not in page
    assert "| cabeza ñ | 10 |" in render_comparison_markdown(comparison)
    back = compare_detectors({"new": run([[0, 1]] * 10), "old": run([[0]] * 10)})
    assert back.build_view().outcomes[0].startswith("old is worse than new: −50.0 points")
    same = compare_detectors({"one": run([[0]] * 10), "two": run([[0]] * 10)})
    assert same.build_view().outcomes[0].startswith("No significant difference between two and one")


def test_a_class_without_test_objects_is_said_to_be_unknown():
    names = class_names(3)
    truth = objects([[(0, A), (1, B)]] * 8)
    base = run([[0]] * 8)
    one = dataclasses.replace(base, truth=truth, classes=names)
    shown = compare_detectors({"a": one, "b": one}).build_view()
    assert shown.classes.rows[2][1:] == ("0", "–", "–", "–")
