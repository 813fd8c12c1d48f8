"""Detection predictions on disk: exact round trips; damage is named by file and line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lince.annotations import Classes, Detections, ObjectTable
from lince.errors import DataError
from lince.evaluation.detection.predictions import COLUMNS, DetectionPredictions

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
sides = st.floats(-1e6, 1e6, allow_nan=False)
boxes = st.tuples(sides, sides, sides, sides)


def objects(images: list[list[tuple[int, tuple[float, ...], int]]]) -> ObjectTable:
    rows = [row for image in images for row in image]
    none = ObjectTable.empty(0)
    return ObjectTable(
        np.cumsum([0, *map(len, images)]).astype(np.int64),
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[2] for row in rows], np.uint8),
        np.zeros(len(rows) + 1, np.int64),
        none.point_starts,
        none.points,
        none.masks.from_strings([""] * len(rows)),
    )


def detections(rows: list[tuple[int, tuple[float, ...], float]]) -> Detections:
    rows = sorted(rows, key=lambda row: -row[2])
    return Detections(
        np.array([row[1] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[0] for row in rows], np.int32),
        np.array([row[2] for row in rows], np.float32),
    )


@st.composite
def findings(draw: st.DrawFn) -> DetectionPredictions:
    names = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    ids = st.integers(0, len(names) - 1)
    marked = draw(st.lists(st.lists(st.tuples(ids, boxes, st.integers(0, 31)), max_size=3), max_size=4))
    scores = st.floats(0, 1, width=32)
    found = [detections(draw(st.lists(st.tuples(ids, boxes, scores), max_size=4))) for _image in marked]
    called = draw(st.lists(words, min_size=len(marked), max_size=len(marked)))
    keys = tuple(f"{i:032x}" for i in range(len(marked)))
    return DetectionPredictions(keys, tuple(called), objects(marked), tuple(found), Classes(tuple(names)))


def same(one: DetectionPredictions, other: DetectionPredictions) -> bool:
    return (
        (one.keys, one.names, one.classes) == (other.keys, other.names, other.classes)
        and all(equal(one.truth, other.truth, name) for name in ("starts", "class_ids", "boxes", "flags"))
        and all(
            equal(mine, theirs, name)
            for mine, theirs in zip(one.detections, other.detections, strict=True)
            for name in ("boxes", "class_ids", "scores")
        )
    )


def equal(one: object, other: object, name: str) -> bool:
    mine, theirs = getattr(one, name), getattr(other, name)
    return mine.dtype == theirs.dtype and np.array_equal(mine, theirs)


@given(findings())
def test_findings_survive_the_file_exactly(tmp_path_factory, given_):
    path = tmp_path_factory.mktemp("run ñ") / "predictions.csv"
    given_.save(path)
    assert DetectionPredictions.is_own_file(path)
    assert same(given_, DetectionPredictions.load(path))


@given(findings(), st.data())
def test_any_damage_is_read_or_named_by_file_and_line(tmp_path_factory, given_, data):
    path = tmp_path_factory.mktemp("run") / "predictions.csv"
    given_.save(path)
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    damage = data.draw(st.sampled_from([b"", b",", b'"', b"\n", b"nan", b"\x00", b"\xff", b"-", b"found"]))
    path.write_bytes(content[:place] + damage + content[place + data.draw(st.integers(0, 3)) :])
    refused = refusal(path)
    if refused is not None:
        assert re.match(re.escape(str(path)) + r":\d+: .", refused)


def refusal(path: Path) -> str | None:
    """Return the message with which ``path`` is refused; any error that is not lince's own is raised."""
    try:
        DetectionPredictions.load(path)
    except DataError as error:
        return error.problem
    return None


@pytest.fixture
def written(awkward):
    path = awkward / "predictions.csv"
    truth = objects([[(0, (1.0, 2.0, 3.0, 4.0), 0)]])
    found = detections([(0, (1.0, 2.0, 3.0, 4.5), 0.75), (1, (5.0, 6.0, 7.0, 8.0), 0.5)])
    DetectionPredictions(("ff",), ("niño.jpg",), truth, (found,), Classes(("casco", "cabeza"))).save(path)
    return path


@pytest.mark.parametrize(
    ("line", "change", "reason"),
    [
        (1, "key,name,truth,predicted,p:a", "header"),
        (3, ",,class,casco,,,,,,", "casco"),
        (4, "ff,niño.jpg,image", "3 columns instead of 10"),
        (4, "ff,niño.jpg,photo,,,,,,,", "'photo' is not a row type"),
        (5, ",,truth,gorra,,1,2,3,4,0", "gorra"),
        (5, ",,truth,casco,,1,2,nan,4,0", "not a number"),
        (5, ",,truth,casco,,1,2,3,4,many", "many"),
        (5, ",,truth,casco,,1,2,3,4,256", "flags"),
        (6, ",,found,casco,much,1,2,3,4,", "much"),
        (6, ",,found,casco,nan,1,2,3,4,", "score"),
        (6, ",,found,casco,1.01,1,2,3,4,", "score"),
        (7, ",,found,casco,0.9,1,2,3,4,", "not sorted by score"),
        (6, ',,found,"casco"x,0.5,1,2,3,4,', "expected after"),
    ],
)
def test_a_broken_line_is_named(written, line, change, reason):
    lines = written.read_text("utf-8").splitlines()
    lines[line - 1] = change
    written.write_text("\n".join(lines), "utf-8")
    with pytest.raises(DataError) as caught:
        DetectionPredictions.load(written)
    assert f"predictions.csv:{line}: " in caught.value.problem
    assert reason in caught.value.problem


def test_objects_of_no_image_are_refused(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(",".join(COLUMNS) + "\n,,class,a,,,,,,\n,,truth,a,,1,2,3,4,0\n")
    with pytest.raises(DataError, match=r"predictions\.csv:3: "):
        DetectionPredictions.load(path)


def test_an_empty_or_missing_file_is_refused_and_holds_no_objects(tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.csv:1"):
        DetectionPredictions.load(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="cannot be read"):
        DetectionPredictions.load(tmp_path / "absent.csv")
    assert not DetectionPredictions.is_own_file(tmp_path / "empty.csv")
    assert not DetectionPredictions.is_own_file(tmp_path / "absent.csv")
