"""Data checks: each finds its planted fault on small sets, works on real sets, and reports nothing on clean data."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import lince
from lince import images
from lince.annotations import UNLABELLED, Classes, ObjectTable, RejectedItem, StringColumn
from lince.checks import CheckResult, Severity, class_checks, label_errors, run_checks, split_shift
from lince.checks.check_page import render_html
from lince.datasets import Dataset
from lince.datasets.image_source import FileImages
from lince.errors import UsageError

SIDE = 96


def scene(seed: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Return an image with light, dark and sharp edges."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3)).astype(np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def photos(root: Path, count: int) -> list[str]:
    names = [f"foto {i:02}.png" for i in range(count)]
    for i, name in enumerate(names):
        (root / name).write_bytes(images.encode_png(scene(i)))
    return names


def marked(rows: list[list[tuple[int, tuple[float, float, float, float]]]]) -> ObjectTable:
    """Return an object table from one list of (class id, box) per image."""
    flat = [mark for row in rows for mark in row]
    none = ObjectTable.empty(len(rows))
    zeros = np.zeros(len(flat) + 1, np.int64)
    return replace(
        none,
        starts=np.cumsum([0, *map(len, rows)]).astype(np.int64),
        class_ids=np.array([kind for kind, _box in flat], np.int32),
        boxes=np.array([box for _kind, box in flat], np.float64).reshape(-1, 4),
        flags=np.zeros(len(flat), np.uint8),
        ring_starts=zeros,
        masks=StringColumn.from_strings([""] * len(flat)),
    )


def dataset(root: Path, names: list[str], **columns: object) -> Dataset:
    count = len(names)
    base = Dataset(
        FileImages(root, StringColumn.from_strings(names)),
        Classes(("a", "b")),
        np.arange(count, dtype=np.int32) % 2,
        np.full(count, -1, np.int8),
        (),
        root,
        "folders",
    )
    return replace(base, **columns)


def boxed(root: Path, rows: list[list[tuple[int, tuple[float, float, float, float]]]], **columns: object) -> Dataset:
    count = len(rows)
    none = np.full(count, UNLABELLED, np.int32)
    return dataset(root, photos(root, count), objects=marked(rows), class_ids=none, **columns)


def codes(found: CheckResult) -> set[str]:
    return {item.code for item in found.findings}


def places(found: CheckResult, code: str) -> list[str]:
    item = found.find_by_code(code)
    return [] if item is None else [example.place for example in item.examples]


def pairs_of(found: CheckResult, code: str) -> list[tuple[int | None, int | None]]:
    item = found.find_by_code(code)
    return [] if item is None else [(example.row, example.other_row) for example in item.examples]


# Photos


def test_nothing_is_found_where_nothing_is_wrong(awkward):
    found = run_checks(dataset(awkward, photos(awkward, 48)))
    assert codes(found) == set()
    assert found.summarise() == "No problems were found."


def test_photos_that_do_not_open_are_named(awkward):
    names = photos(awkward, 6)
    whole = (awkward / names[2]).read_bytes()
    (awkward / names[2]).write_bytes(whole[: len(whole) // 2])
    (awkward / names[4]).write_bytes(b"")
    found = run_checks(dataset(awkward, names))
    assert places(found, "unreadable") == [names[2], names[4]]
    assert found.find_by_code("unreadable").severity is Severity.ERROR


def test_a_file_named_as_another_kind(awkward):
    names = photos(awkward, 4)
    (awkward / "x.jpg").write_bytes((awkward / names[0]).read_bytes())
    (awkward / "y.JPEG").write_bytes(images.encode_jpeg(scene(9)))
    found = run_checks(dataset(awkward, [*names, "x.jpg", "y.JPEG"]))
    assert places(found, "misnamed") == ["x.jpg"]
    assert found.find_by_code("misnamed").examples[0].text == "named .jpg, actually PNG"


def turned_photo(path: Path, orientation: int, height: int = 64, width: int = 96) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(scene(3, height, width)).save(stream, "JPEG", exif=exif)
    path.write_bytes(stream.getvalue())


def test_boxes_that_fit_only_the_unturned_photo(awkward):
    for name, orientation in (("a.jpg", 6), ("b.jpg", 6), ("c.jpg", 1), ("d.jpg", 6)):
        turned_photo(awkward / name, orientation)
    wide, tall = (0, (50.0, 5.0, 90.0, 30.0)), (0, (5.0, 50.0, 30.0, 90.0))
    rows = [[wide], [tall], [wide], [tall]]
    sizes = np.array([[0, 0], [0, 0], [0, 0], [64, 96]], np.int32)
    found = run_checks(dataset(awkward, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], objects=marked(rows), sizes=sizes))
    assert places(found, "turned") == ["a.jpg", "d.jpg"]
    assert not codes(found) & {"beyond", "size"}


def test_a_size_that_is_not_the_photos(awkward):
    sizes = np.array([[SIDE, SIDE], [SIDE, 2 * SIDE], [0, 0]], np.int32)
    found = run_checks(boxed(awkward, [[(0, (5, 5, 50, 50))]] * 3, sizes=sizes))
    assert places(found, "size") == ["foto 01.png"]


def test_dark_blank_and_blurred_photos(awkward):
    names = photos(awkward, 8)
    (awkward / names[1]).write_bytes(images.encode_png((scene(1) * 0.08).astype(np.uint8)))
    (awkward / names[2]).write_bytes(images.encode_png(np.full((SIDE, SIDE, 3), 200, np.uint8)))
    soft = np.asarray(Image.fromarray(scene(3)).resize((4, 4)).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    (awkward / names[3]).write_bytes(images.encode_png(soft))
    found = run_checks(dataset(awkward, names))
    assert {code: places(found, code) for code in ("dark", "blank", "blurred")} == {
        "dark": [names[1]],
        "blank": [names[2]],
        "blurred": [names[3]],
    }


def test_odd_shapes_and_sizes(awkward):
    names = photos(awkward, 6)
    big = [scene(i, 300, 300) for i in range(6)]
    for name, picture in zip(names, big, strict=True):
        (awkward / name).write_bytes(images.encode_png(picture))
    (awkward / names[0]).write_bytes(images.encode_png(scene(0, 40, 40)))
    (awkward / names[1]).write_bytes(images.encode_png(scene(0, 300, 1400)))
    found = run_checks(dataset(awkward, names))
    assert places(found, "small-photo") == [names[0]]
    assert places(found, "long-photo") == [names[1]]


def test_a_second_check_opens_no_photo(awkward, monkeypatch):
    data = dataset(awkward, photos(awkward, 12))
    first = run_checks(data)

    def fail(*_given: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(images, "decode_image", fail)
    assert run_checks(data).to_dict() == first.to_dict()


# Duplicate photos


def test_copies_contradictions_and_leaks(awkward):
    names = photos(awkward, 48)
    for copy, original in ((3, 1), (4, 2), (5, 0)):
        (awkward / names[copy]).write_bytes((awkward / names[original]).read_bytes())
    kinds = np.arange(48, dtype=np.int32) % 2
    kinds[4] = 1
    kinds[5] = 0
    splits = np.zeros(48, np.int8)
    splits[[5, *range(24, 48)]] = 2
    found = run_checks(dataset(awkward, names, class_ids=kinds, splits=splits))
    assert pairs_of(found, "copies") == [(1, 3)]
    assert pairs_of(found, "contradiction") == [(2, 4)]
    assert pairs_of(found, "leak") == [(0, 5)]
    assert "a / b" in found.find_by_code("contradiction").examples[0].text
    assert "train / test" in found.find_by_code("leak").examples[0].text


def test_a_smaller_lighter_copy_in_the_test_is_a_leak(awkward):
    names = photos(awkward, 40)
    small = np.asarray(Image.fromarray(scene(7)).resize((72, 72), Image.Resampling.BICUBIC))
    lighter = np.clip(small * 1.1, 0, 255).astype(np.uint8)
    (awkward / names[30]).write_bytes(images.encode_png(lighter))
    splits = np.array([0] * 20 + [2] * 20, np.int8)
    kinds = np.arange(40, dtype=np.int32) % 2
    kinds[30] = kinds[7]
    found = run_checks(dataset(awkward, names, class_ids=kinds, splits=splits))
    assert pairs_of(found, "leak") == [(7, 30)]
    assert found.find_by_code("leak").examples[0].text == "train / test, nearly the same"


@pytest.mark.parametrize(
    ("first", "angle", "code", "other"),
    [(4, 90, "leak", "group-leak"), (3, 90, "group-leak", "leak"), (4, 15, "group-leak", "leak")],
)
def test_altered_copies_of_one_original_in_two_parts(awkward, first, angle, code, other):
    """One of them may be turned, and have another class; where it may be another photo, only the names tell."""
    names = photos(awkward, 30)
    for number, copy in (
        (first, "gato_jpg.rf.0123456789abcdef0123456789abcdef.jpg"),
        (20, "gato_jpg.rf.fedcba98765432100123456789abcdef.jpg"),
    ):
        (awkward / names[number]).rename(awkward / copy)
        names[number] = copy
    with Image.open(awkward / names[first]) as original:
        original.rotate(angle, expand=angle == 90).save(awkward / names[20])
    splits = np.array([0] * 15 + [2] * 15, np.int8)
    found = run_checks(dataset(awkward, names, splits=splits))
    assert pairs_of(found, code) == [(first, 20)]
    assert found.find_by_code(other) is None


def test_one_photo_with_two_labels_in_two_parts_is_a_leak_too(awkward):
    names = photos(awkward, 12)
    (awkward / names[7]).write_bytes((awkward / names[0]).read_bytes())
    found = run_checks(dataset(awkward, names, splits=np.array([0] * 6 + [2] * 6, np.int8)))
    assert pairs_of(found, "contradiction") == pairs_of(found, "leak") == [(0, 7)]
    assert "--ignore-existing-split" in " ".join(found.find_by_code("leak").advice)


def test_a_version_with_the_same_box_of_another_class_contradicts(awkward):
    rows = [[(0, (10, 10, 50, 50))], [(1, (10, 10, 50, 50))], [(0, (10, 10, 50, 50))], [(1, (40, 40, 90, 90))]]
    data = boxed(awkward, rows)
    for copy, original in ((1, 0), (3, 2)):
        pixels = np.asarray(Image.open(awkward / f"foto 0{original}.png"))
        (awkward / f"foto 0{copy}.png").write_bytes(
            images.encode_png(np.clip(pixels.astype(int) + 1, 0, 255).astype(np.uint8))
        )
    found = run_checks(data)
    assert pairs_of(found, "contradiction") == [(0, 1)]
    assert found.find_by_code("contradiction").examples[0].text == "a / b, nearly the same"


def test_copies_with_other_boxes_contradict_each_other(awkward):
    one, two = (0, (10, 10, 50, 50)), (1, (20, 60, 90, 90))
    data = boxed(awkward, [[one], [one, two], [two], [two]])
    for copy, original in ((1, 0), (3, 2)):
        (awkward / f"foto 0{copy}.png").write_bytes((awkward / f"foto 0{original}.png").read_bytes())
    found = run_checks(data)
    assert pairs_of(found, "contradiction") == [(0, 1)]
    assert pairs_of(found, "copies") == [(2, 3)]


# Boxes


def test_boxes_of_every_bad_kind(awkward):
    rows = [
        [(0, (10, 10, 60, 60)), (0, (10, 10, 60, 60.5)), (1, (70, 70, 90, 90))],
        [(0, (10, 10, 60, 60)), (1, (10.5, 10, 60, 60))],
        [(0, (0, 0, 96, 96))],
        [(0, (5, 5, 8, 40))],
        [(0, (50, 50, 120, 90))],
        [(0, (50, 50, 96.5, 90))],
        [],
        [(0, (10, 10, 60, 60)), (0, (14, 10, 66, 60))],
    ]
    found = run_checks(boxed(awkward, rows))
    expected = {
        "doubled": ["foto 00.png"],
        "contested": ["foto 01.png"],
        "whole": ["foto 02.png"],
        "speck": ["foto 03.png"],
        "beyond": ["foto 04.png"],
        "edge": ["foto 05.png"],
        "nothing-marked": ["foto 06.png"],
    }
    assert {code: places(found, code) for code in expected} == expected
    assert found.find_by_code("doubled").examples[0].objects == (0, 1)


def test_the_sides_of_a_tiny_box_are_shown_below_the_limit(awkward):
    rows = [[(0, (5, 5, 8.9996, 25))], [(0, (5, 5, 8.5, 25))], [(0, (80, 20, 97.0004, 40))]]
    found = run_checks(boxed(awkward, rows))
    shown = {example.text for example in found.find_by_code("speck").examples}
    assert shown == {"a: 3.9996 x 20.0 px", "a: 3.5 x 20.0 px"}
    assert found.find_by_code("beyond").examples[0].text == "a: by 1.0004 px"


def test_very_small_objects_are_reported_by_their_share(awkward):
    names = photos(awkward, 1)
    (awkward / names[0]).write_bytes(images.encode_png(scene(0, 600, 600)))
    rows = [[(0, (10, 10, 20, 20)), (0, (10, 10, 60, 60))]]
    found = run_checks(dataset(awkward, names, objects=marked(rows)))
    assert found.find_by_code("small").examples[0].objects == (0,)
    assert found.find_by_code("small").count == 1


# Rejected rows


def test_refusals_are_gathered_by_their_fault(awkward):
    refused = [
        RejectedItem("labels/1.txt", "box outside", line=2, kind="outside"),
        RejectedItem("labels/2.txt", "box outside", line=1, kind="outside"),
        RejectedItem("labels/3.txt", "no photo", kind="no-image"),
        RejectedItem("leer.jpg", "the file is empty"),
        RejectedItem("notes.mat", "not an image: .mat"),
    ]
    found = run_checks(dataset(awkward, photos(awkward, 3), rejected=tuple(refused)))
    assert places(found, "outside") == ["labels/1.txt:2", "labels/2.txt:1"]
    assert places(found, "no-image") == ["labels/3.txt"]
    assert places(found, "unusable") == ["leer.jpg"]
    assert places(found, "other-file") == ["notes.mat"]
    assert found.find_by_code("outside").severity is Severity.ERROR
    assert found.find_by_code("other-file").severity is Severity.NOTE


# Classes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Helmet", "helmet"),
        ("cão", "cao"),
        ("hard hat", "hard-hat"),
        ("dog", "dogs"),
        ("box", "boxes"),
        ("sunflower", "sunflovers"[:9]),
        ("dandelion", "dandelino"),
        ("dandelion", "dandlion"),
    ],
)
def test_class_names_that_mean_the_same_are_reported(one, other):
    assert class_checks.are_names_similar(one, other)
    assert class_checks.are_names_similar(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "car"),
        ("horse", "house"),
        ("person", "head"),
        ("class 11", "class 12"),
        ("version1", "version2"),
        ("", "s"),
    ],
)
def test_class_names_that_differ_in_meaning_are_not_reported(one, other):
    assert not class_checks.are_names_similar(one, other)


def test_rare_unused_and_missing_classes(awkward):
    count = 60
    splits = np.array([0] * 45 + [2] * 15, np.int8)
    kinds = np.zeros(count, np.int32)
    kinds[:22] = 1
    kinds[40:43] = 2
    data = dataset(
        awkward, photos(awkward, count), class_ids=kinds, splits=splits, classes=Classes(("a", "b", "c", "nunca"))
    )
    found = run_checks(data)
    assert places(found, "unused") == ["nunca"]
    assert places(found, "rare") == ["c"]
    assert {(item.place, item.text) for item in found.find_by_code("absent").examples} == {("b", "test"), ("c", "test")}
    assert found.find_by_code("unbalanced") is not None
    assert "3 training images, 6.7% of them" in found.find_by_code("rare").text


def test_a_class_of_images_is_not_unused_beside_objects(awkward):
    kinds = np.array([0, 0, UNLABELLED, UNLABELLED], np.int32)
    objects = marked([[(1, (10, 10, 60, 60))]] * 4)
    data = dataset(awkward, photos(awkward, 4), class_ids=kinds, objects=objects, classes=Classes(("day", "car", "no")))
    assert places(run_checks(data), "unused") == ["no"]


def test_photos_without_a_class(awkward):
    kinds = np.array([0, UNLABELLED, 1, UNLABELLED], np.int32)
    found = run_checks(dataset(awkward, photos(awkward, 4), class_ids=kinds))
    assert places(found, "no-class") == ["foto 01.png", "foto 03.png"]


# A split that differs from the others


def test_a_test_part_with_other_classes_and_darker_photos(awkward):
    names = photos(awkward, 80)
    for i in range(40, 80):
        (awkward / names[i]).write_bytes(images.encode_png((scene(i) * 0.5).astype(np.uint8)))
    kinds = np.array([0] * 20 + [1] * 20 + [0] * 36 + [1] * 4, np.int32)
    splits = np.array([0] * 40 + [2] * 40, np.int8)
    found = run_checks(dataset(awkward, names, class_ids=kinds, splits=splits))
    assert {"shares", "brightness"} <= codes(found)
    assert found.find_by_code("shares").figures["distance"] == pytest.approx(0.4)
    assert "photo-sizes" not in codes(found)


def test_parts_of_which_no_photo_opens_are_not_compared(awkward):
    names = photos(awkward, 40)
    for name in names:
        (awkward / name).write_bytes((awkward / name).read_bytes()[:60])
    found = run_checks(dataset(awkward, names, splits=np.repeat([0, 1], 20).astype(np.int8)))
    assert codes(found) == {"unreadable", "rare"}


def test_random_splits_are_not_reported_as_different():
    rng = np.random.default_rng(0)
    counts = np.eye(3)[rng.integers(0, 3, 300)]
    chances = [split_shift.compute_share_p_value(counts, rng.permutation(300) < 100) for _ in range(20)]
    assert min(chances) > 0.001
    assert np.mean(chances) > 0.25


def test_the_distance_agrees_with_scipy():
    scipy = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=150), rng.normal(0.4, size=90)
    expected = scipy.ks_2samp(one, other, method="asymp")
    gap, chance = split_shift.run_ks_test(one, other)
    assert gap == pytest.approx(expected.statistic)
    assert chance == pytest.approx(expected.pvalue, rel=0.5)


# Wrong labels


def test_the_confident_joint_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.95, 0.05], [0.55, 0.45]])
    labels = np.array([0, 0, 1, 1, 1, 1])
    # usual: class 0 (0.9 + 0.7) / 2 = 0.8, class 1 (0.8 + 0.9 + 0.05 + 0.45) / 4 = 0.55
    confident, table = label_errors.compute_confident_joint(probabilities, labels, np.ones(len(labels), bool))
    assert confident.tolist() == [0, -1, 1, 1, 0, -1]
    assert table.tolist() == [[1, 0], [1, 2]]


def test_exchanged_labels_are_found_by_features_that_were_not_fitted_on_them():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    vectors = (np.eye(8)[truth] * 4 + rng.normal(size=(300, 8))).astype(np.float32)
    labels = truth.copy()
    wrong = rng.choice(300, 15, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 3
    probabilities = label_errors.predict_out_of_fold(
        vectors, labels.astype(np.int64), 3, np.ones(len(labels), bool), lambda: None
    )
    confident, _table = label_errors.compute_confident_joint(probabilities, labels, np.ones(len(labels), bool))
    doubted = set(np.flatnonzero((confident >= 0) & (confident != labels)).tolist())
    assert len(doubted & set(wrong.tolist())) >= 0.8 * len(wrong)
    assert len(doubted & set(wrong.tolist())) >= 0.8 * len(doubted)


def test_labels_cannot_be_compared_without_classes(awkward):
    data = boxed(awkward, [[(0, (5, 5, 50, 50))]] * 3)
    with pytest.raises(UsageError, match="cannot be checked"):
        label_errors.find_label_errors(data, label_errors.FeatureModel())


def test_labels_are_compared_only_when_a_network_is_named(awkward, monkeypatch):
    asked = []

    def doubt_the_third(data, feature_model, *_others):
        asked.append(feature_model)
        one = np.array([1.0])
        return label_errors.LabelErrors(np.array([2]), np.array([1]), 1 - one, one)

    monkeypatch.setattr(label_errors, "find_label_errors", doubt_the_third)
    data = dataset(awkward, photos(awkward, 48))
    assert codes(run_checks(data)) == set()
    assert not asked
    found = run_checks(data, feature_model=label_errors.FeatureModel("tiny"))
    assert places(found, "wrong-label") == ["foto 02.png"]
    assert asked == [label_errors.FeatureModel("tiny")]


# Page, Python functions and command line


@pytest.fixture
def faulty(awkward: Path) -> Dataset:
    """Return a set of four photos with some invalid boxes and a class name that no file can have."""
    rows = [[(0, (10, 10, 60, 60)), (1, (10, 10, 60, 60))], [(0, (50, 50, 120, 90))], [], [(1, (1, 1, 3, 3))]]
    data = boxed(awkward, rows, classes=Classes(("<b>&", "ñ")))
    return replace(data, rejected=(RejectedItem("a.txt", "<script>", line=3, kind="row"),))


def test_the_page_shows_every_finding_and_escapes_all(faulty):
    found = run_checks(faulty)
    page = render_html(found)
    assert all(item.title in page for item in found.findings)
    assert "<script>" not in page.replace("<script>alert", "")
    assert "&lt;script&gt;" in page
    assert page.count("data:image/jpeg;base64,") >= 4
    assert "http" not in page.replace("http-equiv", "")


def test_the_record_is_json_with_every_finding(faulty):
    record = json.loads(json.dumps(run_checks(faulty).to_dict(), allow_nan=False))
    assert {"beyond", "contested", "nothing-marked", "row", "speck"} <= {item["code"] for item in record["findings"]}
    assert record["statistics"]["objects"] == 4
    assert sum(record["statistics"]["per_photo"]["counts"]) == 4
    first = record["findings"][0]
    assert set(first) == {"code", "severity", "count", "title", "text", "remedy", "examples", "figures"}


def test_a_photo_that_is_gone_does_not_stop_the_page(faulty, awkward):
    found = run_checks(faulty)
    (awkward / "foto 00.png").unlink()
    assert found.find_by_code("contested").title in render_html(found)


def test_check_and_show_from_python(faulty, awkward):
    found = lince.check(faulty, out=awkward / "hoja.html")
    assert (awkward / "hoja.html").read_text("utf-8").startswith("<!doctype html>")
    assert found.find_by_code("row").count == 1
    sheet = images.read_image(lince.show(faulty, out=awkward / "hoja.png", count=3))
    assert sheet.shape[1] == 3 * 330 + 10
    assert (sheet != 255).any()


def test_a_box_is_drawn_where_it_stands(faulty, awkward):
    picture = images.read_image(lince.show(faulty, out=awkward / "una.png", count=4))
    bare = replace(faulty, objects=ObjectTable.empty(4))
    without = images.read_image(lince.show(bare, out=awkward / "sin.png", count=4))
    changed = (picture[:330, :330] != without[:330, :330]).any(axis=2)
    edge = 10 + round(10 * 320 / 96)
    assert changed[edge + 40 : edge + 100, edge - 3 : edge + 3].any()
    assert not changed[edge + 40 : edge + 100, edge + 20 : edge + 100].any()


def test_nothing_to_draw_is_refused(awkward):
    (awkward / "x.png").write_bytes(b"no")
    with pytest.raises(UsageError, match="no photo to draw"):
        lince.show(dataset(awkward, ["x.png"]), out=awkward / "hoja.png")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 1), st.tuples(*[st.floats(-50, 200)] * 4)), max_size=5), max_size=4))
def test_any_boxes_can_be_checked(tmp_path_factory, rows):
    root = tmp_path_factory.mktemp("cajas")
    data = boxed(root, rows)
    found = run_checks(data)
    json.dumps(found.to_dict(), allow_nan=False)
    render_html(found)


# Real sets


def test_pets_names_the_misnamed_files(shared):
    found = run_checks(lince.open(shared / "data" / "pets", format="names"))
    assert places(found, "misnamed") == ["images/Abyssinian_34.jpg", "images/Abyssinian_5.jpg"]
    assert len(places(found, "other-file")) == 3


def test_flowers_names_the_copies_and_the_photo_in_two_classes(shared):
    flowers = lince.open(shared / "data" / "flowers")
    known = ("15922772266", "14889392928", "15066430311", "15069459615", "15072973261")
    names = [flowers.images.get_name(row) for row in range(len(flowers))]
    rows = [row for row, name in enumerate(names) if row % 30 == 0 or any(part in name for part in known)]
    found = run_checks(flowers.select(rows))
    twice = found.find_by_code("contradiction").examples[0]
    both = {twice.place, twice.other_place}
    assert both == {f"train/{kind}/15922772266_1167a06620.jpg" for kind in ("roses", "tulips")}
    copies = {name.rpartition("/")[2] for name in places(found, "copies")}
    assert {"14889392928_9742aed45b_m.jpg", "15069459615_7e0fd61914_n.jpg"} <= copies


@pytest.mark.parametrize("form", ["yolo", "voc"])
def test_hardhat_names_the_rare_class(shared, form):
    found = run_checks(lince.open(shared / "data" / "hardhat", format=form))
    assert places(found, "rare") == ["person"]
    assert [(item.place, item.text) for item in found.find_by_code("absent").examples] == [("person", "test")]
    assert found.find_by_code("unbalanced").figures["ratio"] == pytest.approx(1873 / 26)
    assert found.statistics.objects == 2447


def test_what_rounding_does_to_a_side_is_no_finding(tmp_path: Path) -> None:
    rows = [[(0, (1.0, 2.0, SIDE + 2e-13, 50.0))], [(1, (-0.004, 2.0, 60.0, 50.0))], [(1, (-0.4, 2.0, 60.0, 50.0))]]
    found = run_checks(boxed(tmp_path, rows))
    assert places(found, "edge") == ["foto 02.png"]


def test_many_rare_classes_are_no_endless_line(tmp_path: Path) -> None:
    names = photos(tmp_path, 75)
    classes = Classes(tuple(f"clase número {i}" for i in range(75)))
    found = run_checks(dataset(tmp_path, names, classes=classes, class_ids=np.arange(75, dtype=np.int32)))
    rare = found.find_by_code("rare")
    assert rare is not None
    assert (rare.count, len(rare.examples)) == (75, 75)
    assert "67 more" in rare.text
    assert len(rare.text) < 500


def test_where_boxes_lie_and_how_wide_and_tall_they_are_agrees_with_a_plain_count(awkward):
    rows = [[(0, (10, 10, 60, 60)), (1, (10, 10, 60, 60))], [(0, (50, 50, 120, 90))], [], [(1, (1, 1, 3, 3))]]
    data = boxed(awkward, rows)
    statistics = run_checks(data).statistics
    assert statistics.box_centres is not None
    assert statistics.box_shapes is not None
    centres, shapes = np.zeros((20, 20), int), np.zeros((20, 20), int)
    for image, boxes in enumerate(rows):
        height, width = data.images.read_size(image)
        for _class_id, (left, top, right, bottom) in boxes:
            centres[min(19, int((top + bottom) / 2 / height * 20)), min(19, int((left + right) / 2 / width * 20))] += 1
            shapes[min(19, int((1 - (bottom - top) / height) * 20)), min(19, int((right - left) / width * 20))] += 1
    assert statistics.box_centres.counts.tolist() == centres.tolist()
    assert statistics.box_shapes.counts.tolist() == shapes.tolist()
