"""Detection metrics: against pycocotools, against counting by hand, and edge cases."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince.annotations import CROWD, DIFFICULT, Classes, Detections, ObjectTable, StringColumn
from lince.errors import DataError
from lince.evaluation.average_precision import (
    average_over_classes,
    bootstrap_average_precisions,
    compute_average_precisions,
)
from lince.evaluation.detection.matcher import build_match_input, match_detections
from lince.evaluation.detection.metrics import AREA_RANGES, compute_detection_metrics
from lince.evaluation.detection.tide import ERROR_KINDS, compute_ap_gains, find_errors
from lince.evaluation.diagnosis.detection.diagnosis_input import DetectionDiagnosisInput
from lince.evaluation.diagnosis.detection.rules import check_few_boxes
from lince.findings import Severity


def names(count):
    return Classes(tuple(f"class {i}" for i in range(count)))


def truth_of(images) -> ObjectTable:
    """Return the objects of ``images``, each a list of (class, box, flags)."""
    rows = [row for image in images for row in image]
    return ObjectTable(
        starts=np.cumsum([0, *(len(image) for image in images)]).astype(np.int64),
        class_ids=np.array([row[0] for row in rows], np.int32),
        boxes=np.array([row[1] for row in rows], np.float64).reshape(-1, 4),
        flags=np.array([row[2] for row in rows], np.uint8),
        ring_starts=np.zeros(len(rows) + 1, np.int64),
        point_starts=np.zeros(1, np.int64),
        points=np.empty((0, 2)),
        masks=StringColumn.from_strings("" for _row in rows),
    )


def found_of(images) -> list[Detections]:
    """Return the detections of ``images``, each a list of (class, box, score)."""
    result = []
    for image in images:
        rows = sorted(image, key=lambda row: -row[2])
        boxes = np.array([row[1] for row in rows], np.float64).reshape(-1, 4)
        classes, scores = np.array([row[0] for row in rows], np.int32), np.array([row[2] for row in rows], np.float32)
        result.append(Detections(boxes, classes, scores))
    return result


def drawn(images, classes, objects, extra=1.0, seed=0, crowds=0.1):
    """Draw truth and detections: objects found, shifted, misclassified or missed, and false detections."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _image in range(images):
        count = rng.poisson(objects)
        corner, size = rng.uniform(0, 400, (count, 2)), np.exp(rng.uniform(2, 5.5, (count, 2)))
        boxes = np.round(np.concatenate([corner, corner + size], axis=1), 1)
        ids = rng.integers(0, classes, count)
        flags = np.where(rng.random(count) < crowds, rng.choice([CROWD, DIFFICULT], count), 0)
        truth.append([(int(i), box, int(flag)) for i, box, flag in zip(ids, boxes, flags, strict=True)])
        copies = np.repeat(np.arange(count), rng.integers(0, 3, count))
        moved = boxes[copies] + rng.normal(0, 0.1, (len(copies), 4)) * np.tile(size[copies], 2)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        kinds = np.where(rng.random(len(copies)) < 0.15, rng.integers(0, classes, len(copies)), ids[copies])
        stray = rng.uniform(0, 400, (rng.poisson(extra * objects), 2))
        boxes = np.concatenate([moved, np.concatenate([stray, stray + 40], axis=1)])
        kinds = np.concatenate([kinds, rng.integers(0, classes, len(stray))])
        scores = np.round(rng.random(len(boxes)), 2)
        found.append([(int(k), box, float(score)) for k, box, score in zip(kinds, boxes, scores, strict=True)])
    return truth_of(truth), found_of(found), names(classes)


def reference(truth, found, classes):
    """Return pycocotools' precision (T, R, C, A) of the same data; -1 where a class is absent."""
    coco_module = pytest.importorskip("pycocotools.coco")
    evaluator = pytest.importorskip("pycocotools.cocoeval")
    flags = (truth.flags & (CROWD | DIFFICULT)) > 0
    known = coco_module.COCO()
    known.dataset = {
        "images": [{"id": i + 1} for i in range(len(found))],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(classes.names)],
        "annotations": [
            {
                "id": row + 1,
                "image_id": int(truth.image_ids[row]) + 1,
                "category_id": int(truth.class_ids[row]) + 1,
                "bbox": _sides(box),
                "area": _sides(box)[2] * _sides(box)[3],
                "iscrowd": int(flags[row]),
            }
            for row, box in enumerate(truth.boxes)
        ],
    }
    answers = [
        {"image_id": i + 1, "category_id": int(c) + 1, "bbox": _sides(box), "score": float(score)}
        for i, item in enumerate(found)
        for box, c, score in zip(item.boxes, item.class_ids, item.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
        told = known.loadRes(answers) if answers else coco_module.COCO()
        if not answers:
            told.dataset = {**known.dataset, "annotations": []}
            told.createIndex()
        run = evaluator.COCOeval(known, told, "bbox")
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][..., 2]


def _sides(box):
    left, top, right, bottom = box.tolist()
    return [left, top, right - left, bottom - top]


def agrees(truth, found, classes):
    """Compare average precision at every threshold, class and range of sizes with pycocotools'."""
    expected = reference(truth, found, classes)
    expected = np.where(expected[:, 0] < 0, np.nan, expected.mean(axis=1))
    flat = build_match_input(truth, found)
    for place, bounds in enumerate([(0.0, np.inf), *AREA_RANGES.values()]):
        ours = compute_average_precisions(flat, match_detections(flat, *bounds), len(classes))
        np.testing.assert_allclose(ours, expected[..., place], rtol=0, atol=1e-6)
    return expected[..., 0]


@pytest.mark.parametrize(
    ("images", "classes", "objects", "extra"), [(60, 4, 6, 1.0), (30, 1, 12, 12.0), (40, 30, 3, 1.0), (10, 2, 4, 0.0)]
)
def test_average_precision_equals_that_of_pycocotools(images, classes, objects, extra):
    truth, found, known = drawn(images, classes, objects, extra, seed=images)
    expected = agrees(truth, found, known)
    metrics = compute_detection_metrics(truth, found, known)
    assert metrics.map50.value == pytest.approx(np.nanmean(expected[0]), abs=1e-6)
    assert metrics.map50_95.value == pytest.approx(np.nanmean(expected), abs=1e-6)
    assert (images, extra) != (30, 12.0) or max(map(len, found)) > 100  # the hundred detections that COCO evaluates


whole = st.integers(0, 12)
corner = st.tuples(whole, whole, st.integers(1, 12), st.integers(1, 12))
box = corner.map(lambda c: (8.0 * c[0], 8.0 * c[1], 8.0 * (c[0] + c[2]), 8.0 * (c[1] + c[3])))
objects = st.lists(st.tuples(st.integers(0, 2), box, st.sampled_from([0, 0, 0, CROWD, DIFFICULT])), max_size=6)
findings = st.lists(st.tuples(st.integers(0, 2), box, st.sampled_from([0.25, 0.5, 0.75, 1.0])), max_size=10)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(objects, findings), min_size=1, max_size=5))
def test_average_precision_equals_that_of_pycocotools_with_ties_crowds_and_empty_classes(images):
    agrees(truth_of([image[0] for image in images]), found_of([image[1] for image in images]), names(3))


A, B, FAR = (0, 0, 100, 100), (200, 200, 300, 300), (500, 500, 600, 600)


def test_every_kind_of_error_is_told_apart_and_what_mending_it_brings():
    half_off, half_b = (0, 60, 100, 160), (200, 260, 300, 360)
    truth = truth_of([[(0, A, 0), (1, B, 0)], [(0, A, 0)], [(0, A, 0), (0, B, 0)], [(1, A, 0)]])
    found = found_of(
        [
            [(0, A, 0.9), (0, A, 0.85), (0, B, 0.8), (0, FAR, 0.7)],  # correct, duplicate, class, background
            [(0, half_off, 0.6)],  # place
            [(1, half_b, 0.55), (0, A, 0.5)],  # both, right; B is missed
            [],  # missed
        ]
    )
    flat = build_match_input(truth, found)
    matching = match_detections(flat)
    told = find_errors(flat, matching, np.ones(len(flat), bool))
    assert {kind: told.count_kind(kind) for kind in ERROR_KINDS} == {
        "missed": 2,
        "place": 1,
        "class": 1,
        "both": 1,
        "double": 1,
        "background": 1,
    }
    assert flat.truth_image_ids[told.missed].tolist() == [2, 3]
    gain = compute_ap_gains(flat, matching, 2)
    # Class 0 finds 2 of its 4 objects, at precision 1/1 and 2/6: its AP50 is (26 + 25 / 3) / 101; class 1 has none.
    before = (26 + 25 / 3) / 101 / 2
    assert compute_detection_metrics(truth, found, names(2)).map50.value == pytest.approx(before)
    # A third detection of class 0 becomes right: precision 1/1, 2/5, 3/6, the second raised to 3/6.
    assert gain["place"] == pytest.approx((26 + 25 / 2 + 25 / 2) / 101 / 2 - before)
    # Class 1 finds one of its two, first; class 0 loses a wrong one: 1/1, 2/5.
    assert gain["class"] == pytest.approx(((26 + 25 * 0.4) / 101 + 51 / 101) / 2 - before)
    assert gain["double"] == gain["background"] == pytest.approx((26 + 25 * 0.4) / 101 / 2 - before)
    assert gain["both"] == 0.0
    # Three objects of class 0 remain, and one of class 1, still never found.
    assert gain["missed"] == pytest.approx((34 + 33 / 3) / 101 / 2 - before)


def test_the_threshold_is_where_f1_is_best_and_keeps_findings_of_one_score_together():
    truth = truth_of([[(0, A, 0), (0, B, 0)], [(0, A, 0)]])
    found = found_of([[(0, A, 0.9), (0, B, 0.6), (0, FAR, 0.6), (0, FAR, 0.2)], [(0, FAR, 0.1)]])
    score = compute_detection_metrics(truth, found, names(2)).scores[0]
    assert score.threshold == pytest.approx(0.4)
    assert (score.precision, score.recall, score.f1) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
    )
    absent = compute_detection_metrics(truth, found, names(2)).scores[1]
    assert (absent.threshold, absent.ap50, absent.precision, absent.recall, absent.f1) == (0.25, None, None, None, None)
    assert set(absent.explain_undefined()) == {"ap50", "ap50_95", "precision", "recall", "f1"}


@pytest.mark.parametrize("seed", range(2))
def test_best_f1_equals_that_of_trying_every_score(seed):
    truth, found, known = drawn(25, 3, 4, seed=seed)
    metrics = compute_detection_metrics(truth, found, known)
    for class_id, score in enumerate(metrics.scores):
        tried = []
        for threshold in np.unique(np.concatenate([item.scores for item in found])):
            kept = [_only(item, (item.scores >= threshold) & (item.class_ids == class_id)) for item in found]
            matching = match_detections(build_match_input(truth, kept))
            tried.append(2 * matching.true_positives[0].sum() / (matching.not_ignored[0].sum() + score.support))
        assert score.f1 == pytest.approx(max(tried), abs=1e-12)


def _only(item, keep):
    return Detections(item.boxes[keep], item.class_ids[keep], item.scores[keep])


def test_the_confusion_adds_up_to_what_is_there_and_what_is_shown():
    truth, found, known = drawn(80, 4, 5, seed=3)
    metrics = compute_detection_metrics(truth, found, known)
    assert metrics.confusion[:-1].sum(axis=1).tolist() == [score.support for score in metrics.scores]
    assert metrics.confusion[:, :-1].sum(axis=0).tolist() == [score.predicted for score in metrics.scores]
    assert np.diag(metrics.confusion)[:-1].tolist() == [score.correct for score in metrics.scores]
    assert metrics.confusion[-1, -1] == 0
    swapped = found_of([[(1, A, 0.9)], [(0, B, 0.8)]])
    table = compute_detection_metrics(truth_of([[(0, A, 0)], [(0, B, 0)]]), swapped, names(2)).confusion
    assert table.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_an_error_mends_no_object_twice_and_no_count_exceeds_what_there_is():
    truth, found, _known = drawn(60, 3, 6, seed=5)
    flat = build_match_input(truth, found)
    matching = match_detections(flat)
    told = find_errors(flat, matching, np.ones(len(flat), bool))
    wrong = matching.not_ignored[0] & ~matching.true_positives[0]
    assert ((told.kind_ids >= 0) == wrong).all()
    gain = compute_ap_gains(flat, matching, 3)
    assert all(0 <= value <= 1 for value in gain.values())
    assert max(gain.values()) > 0.02


def test_perfect_detections_have_no_errors():
    truth, _found, known = drawn(20, 3, 4, seed=1, crowds=0.0)
    perfect = [
        Detections(
            truth.boxes[truth.slice_of_image(i)],
            truth.class_ids[truth.slice_of_image(i)],
            np.ones(len(truth.boxes[truth.slice_of_image(i)]), "f4"),
        )
        for i in range(20)
    ]
    metrics = compute_detection_metrics(truth, perfect, known)
    assert (metrics.map50.value, metrics.map50_95.value, metrics.map50.low) == (1.0, 1.0, 1.0)
    assert metrics.worst_images == ()
    assert {(error.count, error.gain) for error in metrics.error_stats} == {(0, 0.0)}
    assert all(size.map50 in {None, 1.0} for size in metrics.size_scores)


def test_no_detections_count_every_object_as_missed():
    truth, _found, known = drawn(6, 2, 3, seed=2, crowds=0.0)
    metrics = compute_detection_metrics(
        truth, [Detections(np.empty((0, 4)), np.empty(0, "i4"), np.empty(0, "f4"))] * 6, known
    )
    assert (metrics.map50.value, metrics.map50_95.value) == (0.0, 0.0)
    missed = metrics.error_stats[0]
    assert (missed.kind, missed.count, missed.gain) == ("missed", len(truth), 1.0)
    assert metrics.confusion[:-1, -1].sum() == len(truth)


def test_the_worst_image_comes_first_and_says_why():
    truth = truth_of([[(0, A, 0)], [(0, A, 0), (0, B, 0)], [(0, A, 0)]])
    found = found_of([[(0, A, 0.9)], [(0, FAR, 0.9)], [(0, A, 0.8), (0, A, 0.8)]])
    worst = compute_detection_metrics(truth, found, names(1)).worst_images
    assert [(image.image, image.error_count) for image in worst] == [(1, 3), (2, 1)]
    assert worst[0].description == "2 objects missed, 1 box on the background"
    assert worst[0].counts == {"missed": 2, "background": 1}


def test_what_lies_on_a_region_counts_neither_for_nor_against():
    crowd = (0, 0, 400, 400)
    found = found_of([[(0, A, 0.9), (0, B, 0.8), (0, FAR, 0.7)]])
    metrics = compute_detection_metrics(truth_of([[(0, crowd, CROWD), (0, FAR, 0)]]), found, names(1))
    assert metrics.map50.value == pytest.approx(1.0)
    assert (metrics.scores[0].support, metrics.scores[0].predicted) == (1, 1)
    assert metrics.worst_images == ()


def test_the_bootstrap_is_that_of_test_sets_drawn_image_by_image():
    truth, found, known = drawn(25, 3, 4, seed=7)
    flat = build_match_input(truth, found)
    draws = bootstrap_average_precisions(flat, match_detections(flat), 3, seed=11)
    assert draws.shape == (1000, 10, 3)
    rng = np.random.default_rng(11)
    weights = rng.multinomial(25, np.full(25, 1 / 25), 1000)
    for row in range(4):
        images = np.repeat(np.arange(25), weights[row])
        again = build_match_input(truth.select_images(images), [found[i] for i in images])
        np.testing.assert_allclose(
            draws[row], compute_average_precisions(again, match_detections(again), 3), rtol=0, atol=1e-9
        )
    interval = compute_detection_metrics(truth, found, known, seed=11).map50
    drawn_values = average_over_classes(draws[:, 0])
    assert drawn_values.mean() > interval.value  # the upward bias that the interval subtracts twice
    shift = 2 * (interval.value - drawn_values.mean())
    assert interval.low == pytest.approx(np.percentile(drawn_values, 2.5) + shift)
    assert interval == compute_detection_metrics(truth, found, known, seed=11).map50
    assert interval.low < interval.value < interval.high


def test_the_record_is_json_in_the_shape_that_scripts_rely_on():
    truth, found, known = drawn(30, 3, 4, seed=4)
    record = compute_detection_metrics(truth, found, Classes((*known.names, "absent"))).to_dict()
    text = json.dumps(record, allow_nan=False)
    assert set(json.loads(text)["map50"]) == {"value", "low", "high"}
    assert {"name", "support", "ap50", "ap50_95", "precision", "recall", "f1"} <= set(record["classes"][0])
    assert record["classes"][3]["ap50"] is None
    assert [size["size"] for size in record["sizes"]] == ["small", "medium", "large"]
    assert len(record["curves"]["precision"]["class 0"]) == len(record["curves"]["recall"]) == 101


def test_a_test_set_without_objects_or_of_another_length_is_refused():
    empty = Detections(np.empty((0, 4)), np.empty(0, np.int32), np.empty(0, np.float32))
    with pytest.raises(DataError, match="no object"):
        compute_detection_metrics(ObjectTable.empty(1), [empty], names(1))
    with pytest.raises(DataError, match="no object"):
        compute_detection_metrics(truth_of([[(0, A, DIFFICULT)]]), [empty], names(1))
    with pytest.raises(ValueError, match="2 images"):
        compute_detection_metrics(truth_of([[(0, A, 0)]]), [empty, empty], names(1))
    with pytest.raises(ValueError, match="class ids"):
        compute_detection_metrics(truth_of([[(3, A, 0)]]), [empty], names(2))
    with pytest.raises(ValueError, match="finite"):
        compute_detection_metrics(truth_of([[(0, A, 0)]]), found_of([[(0, (0, 0, np.nan, 1), 0.5)]]), names(1))


def test_real_hard_hats_with_answers_of_varying_quality_equal_pycocotools(shared):
    from lince.datasets import open_dataset

    dataset = open_dataset(shared / "data" / "hardhat", format="yolo")
    truth, rng = dataset.objects, np.random.default_rng(0)
    found = []
    for i in range(len(dataset)):
        boxes = truth.boxes[truth.slice_of_image(i)]
        moved = boxes + rng.normal(0, 0.12, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        scores = np.sort(rng.random(len(boxes)).astype(np.float32))[::-1]
        found.append(Detections(moved, truth.class_ids[truth.slice_of_image(i)], scores))
    expected = agrees(truth, found, dataset.classes)
    assert 0.05 < np.nanmean(expected) < 0.95


def test_a_class_with_few_boxes_is_named_with_how_many_to_label():
    metrics = compute_detection_metrics(
        truth_of([[(0, A, 0)]]), found_of([[(0, A, 0.9)]]), Classes(("helmet", "person"))
    )
    finding = check_few_boxes(DetectionDiagnosisInput(metrics, {"helmet": 1873, "person": 26}))
    assert finding.text == (
        "Fewer than 125 training boxes: person has 26 boxes: label about 100 more (none in the test images)."
    )
    assert (finding.severity, finding.figures["classes"]) == (Severity.SERIOUS, {"person": 26})
    few = check_few_boxes(DetectionDiagnosisInput(metrics, {"helmet": 100}))
    assert "helmet has 100 boxes: label about 30 more (AP50 100.0%)" in few.text
    assert check_few_boxes(DetectionDiagnosisInput(metrics, {"helmet": 125, "person": 125})) is None
