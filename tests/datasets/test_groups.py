"""Groups: kept together in splits and folds, and in the split table saved beside the data."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.datasets.test_duplicates import ALTERED, picture
from tests.datasets.test_duplicates import folders as pictures
from tests.datasets.test_split import made

import lince
from lince.annotations import UNLABELLED, Classes, ObjectTable
from lince.datasets import Dataset, open_dataset, split_file
from lince.datasets.groups import find_groups, group_by_content, group_pairs
from lince.datasets.stratification import stratify_units
from lince.datasets.stratified_split import assign_folds, find_split_leaks, split_dataset
from lince.errors import DataError, UsageError
from lince.progress import SilentProgress
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL


def marked(shown: list[list[int]], classes: int) -> Dataset:
    """Return a dataset whose images show objects of the classes listed for each."""
    base = made([0] * len(shown))
    count = sum(map(len, shown))
    objects = replace(
        ObjectTable.empty(len(shown)),
        starts=np.concatenate([[0], np.cumsum([len(one) for one in shown])]).astype(np.int64),
        class_ids=np.array([kind for one in shown for kind in one], np.int32),
        boxes=np.tile([0.0, 0, 5, 5], (count, 1)),
        flags=np.zeros(count, np.uint8),
        ring_starts=np.zeros(count + 1, np.int64),
        masks=base.images.names.take(np.zeros(count, np.int64)),
    )
    return replace(
        base,
        classes=Classes(tuple(map(str, range(classes)))),
        class_ids=np.full(len(shown), UNLABELLED, np.int32),
        objects=objects,
    )


# Groups


def test_copies_frames_and_versions_are_grouped_and_numbers_alone_are_not(awkward: Path) -> None:
    scene = picture(50)
    film = {f"a/clip_{i:04}.png": scene.crop((i, i, 220 + i, 165 + i)) for i in range(6)}
    others = {f"b/gato_{i}.png": picture(i) for i in range(6)}
    copies = {"a/otra.png": ALTERED["darker"](picture(2))}
    versions = {
        "b/casa_jpg.rf.0123456789abcdef.png": picture(20),
        "b/casa_jpg.rf.fedcba9876543210.png": picture(20).rotate(25),
        "b/casa_jpg.rf.00000000000000aa.png": picture(21),
        "b/perro.png": picture(30),
        "b/perro (1).png": picture(31),
        "b/perro_aug2.png": picture(30).rotate(90, expand=True),
        "b/perro_flip.png": picture(32),
        "b/lone_flip.png": picture(33),
    }
    root = pictures(awkward / "fotos", film | others | copies | versions)
    dataset = open_dataset(root, format="folders")
    found = find_groups(dataset)
    together: dict[int, set[str]] = {}
    for row, number in enumerate(found.ids.tolist()):
        together.setdefault(number, set()).add(dataset.images.get_name(row))
    several = sorted(sorted(group) for group in together.values() if len(group) > 1)
    assert several == [
        sorted(film),
        ["a/otra.png", "b/gato_2.png"],
        ["b/casa_jpg.rf.0123456789abcdef.png", "b/casa_jpg.rf.fedcba9876543210.png"],
        ["b/perro.png", "b/perro_aug2.png"],
    ]
    assert found.grouped_count == 12


def test_a_pattern_names_the_group(awkward: Path) -> None:
    root = pictures(
        awkward / "fotos", {f"{c}/{who}-{i}.png": picture(ord(who) * 9 + i) for c, who in ("ax", "by") for i in (1, 2)}
    )
    dataset = open_dataset(root, format="folders")
    assert find_groups(dataset).grouped_count == 0
    assert find_groups(dataset, pattern="{group}-{n}").ids.tolist() == [0, 0, 1, 1]
    with pytest.raises(UsageError, match="does not contain"):
        find_groups(dataset, pattern="{n}")
    with pytest.raises(UsageError, match="fits none of the 4 file names"):
        find_groups(dataset, pattern="{group}_{n}")


def test_a_pattern_alone_decides_where_nothing_else_is_asked(awkward: Path) -> None:
    same = picture(1)
    root = pictures(
        awkward / "fotos", {f"{c}/{i}-{c}{n}.png": same for i, c, n in ((1, "a", 1), (1, "b", 2), (2, "b", 3))}
    )
    found = lince.split(root, awkward / "t.csv", val=0, together=False, group="{group}-{who}", test=0.4)
    assert found.groups.ids.tolist() == [0, 0, 1]


def test_groups_from_pairs_and_from_contents() -> None:
    assert group_pairs(6, [(0, 3), (3, 5), (1, 2)]).tolist() == [0, 1, 1, 0, 2, 0]
    ids = group_by_content(["aa", "bb", "", "aa", ""])
    assert ids[0] == ids[3]
    assert len(set(ids.tolist())) == 4


# Dividing


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_groups_stay_together_and_shares_are_near(data: st.DataObject) -> None:
    count = data.draw(st.integers(30, 150))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    class_ids = rng.integers(0, 3, count).tolist()
    ids = rng.integers(0, max(12, count // 2), count)
    found = split_dataset(made(class_ids), 0.2, 0.2, 0, ids)
    for number in np.unique(ids):
        assert len(np.unique(found.splits[ids == number])) == 1
    largest = int(np.bincount(ids).max())
    for part in (VAL, TEST):
        assert abs(len(found.get_split_indices(part)) - 0.2 * count) <= 2 * largest + 3
    assert not (found.splits == UNASSIGNED).any()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=40, max_size=120), st.integers(0, 99))
def test_every_class_of_objects_gets_its_share(shown: list[list[int]], seed: int) -> None:
    dataset = marked(shown, 4)
    found = split_dataset(dataset, 0.2, 0.2, seed)
    assert not (found.splits == UNASSIGNED).any()
    for kind in range(4):
        shows = np.array([kind in one for one in shown])
        for part in (VAL, TEST):
            got = int((found.splits[shows] == part).sum())
            assert abs(got - 0.2 * shows.sum()) <= 0.1 * shows.sum() + 3
            assert got > 0 or shows.sum() < 3


def test_the_split_of_objects_does_not_hang_on_the_order_of_files() -> None:
    rng = np.random.default_rng(0)
    dataset = marked([rng.integers(0, 3, rng.integers(0, 4)).tolist() for _ in range(60)], 3)
    ids = rng.integers(0, 40, 60)
    order = rng.permutation(60)
    one, other = split_dataset(dataset, 0.2, 0.1, 5, ids), split_dataset(dataset.select(order), 0.2, 0.1, 5, ids[order])
    assert one.splits[order].tolist() == other.splits.tolist()
    assert split_dataset(dataset, 0.2, 0.1, 6, ids).splits.tolist() != one.splits.tolist()


def test_given_splits_stay_and_images_like_the_test_set_are_reported() -> None:
    splits = [TEST] * 10 + [UNASSIGNED] * 40
    dataset = made([0, 1] * 25, splits)
    ids = np.arange(50)
    ids[12] = 3
    found = split_dataset(dataset, 0.25, 0.5, 0, ids)
    assert found.splits[:10].tolist() == [TEST] * 10
    assert len(found.get_split_indices(TEST)) == 10
    assert abs(len(found.get_split_indices(VAL)) - 10) <= 1
    assert find_split_leaks(found, ids).tolist() == [12]


def test_what_cannot_be_divided_without_leaks_is_said() -> None:
    with pytest.raises(DataError, match="30 images form only 2 groups"):
        split_dataset(made([0, 1, 2] * 10), 0.2, 0.2, 0, np.arange(30) % 2)


def test_folds_are_even_and_keep_groups_together() -> None:
    rng = np.random.default_rng(1)
    dataset = made(rng.integers(0, 4, 200).tolist(), [TEST] * 20 + [UNASSIGNED] * 180)
    ids = np.arange(200) // 2
    found = assign_folds(dataset, 5, 0, ids)
    assert (found[:20] == -1).all()
    assert (found[20::2] == found[21::2]).all()
    assert np.bincount(found[20:]).max() - np.bincount(found[20:]).min() <= 4
    with pytest.raises(UsageError):
        assign_folds(dataset, 1, 0)


def test_stratification_assigns_the_rarest_label_first() -> None:
    labels = np.array([[1, 0]] * 97 + [[1, 1]] * 3)
    parts = stratify_units(labels, np.ones(100, np.int64), np.array([0.8, 0.1, 0.1]), np.random.default_rng(0))
    assert sorted(parts[97:].tolist()) == [0, 1, 2]
    assert np.bincount(parts).tolist() == [80, 10, 10]


# The split table beside the data


@pytest.fixture
def photos(awkward: Path) -> Path:
    return pictures(
        awkward / "fotos", {f"{kind}/{i}.png": picture(100 * n + i) for n, kind in enumerate("ab") for i in range(10)}
    )


def test_a_split_is_saved_beside_the_data(photos: Path) -> None:
    done = lince.split(photos, val=0.2, test=0.3, seed=1, folds=3)
    assert done.path == photos / "splits.csv"
    assert done.split_sizes == {"train": 10, "val": 4, "test": 6, "": 0}
    photos.rename(photos.parent / "moved")
    found = open_dataset(photos.parent / "moved")
    assert found.splits.tolist() == done.dataset.splits.tolist()
    assert found.rejected == ()
    assert lince.split(photos.parent / "moved", test=0.5).dataset.splits.tolist() == found.splits.tolist()
    anew = lince.split(photos.parent / "moved", val=0.1, test=0.5, anew=True)
    assert anew.split_sizes["test"] == 10


class Listener(SilentProgress):
    """Records the messages shown."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def show_message(self, text: str) -> None:
        self.said.append(text)


def test_names_that_do_not_match_are_reported(photos: Path) -> None:
    lince.split(photos)
    (photos / "a/0.png").rename(photos / "a/new.png")

    listener = Listener()
    found = open_dataset(photos, progress=listener)
    assert any("a/new.png" in line for line in listener.said)
    assert any("a/0.png" in line for line in listener.said)
    assert (found.splits == UNASSIGNED).sum() == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line"),
        ("name,part\n", "first line"),
        ("file,split\na/0.png,somewhere\n", ":2: unknown split 'somewhere'"),
        ("file,split\na/0.png\n", ":2: unknown split"),
        ("file,split\na/0.png,train\na/0.png,test\n", ":3: a/0.png appears twice"),
        ("file,split\nnobody.png,train\n", "contains none"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(photos: Path, text: str, said: str) -> None:
    (photos / "splits.csv").write_text(text, "utf-8")
    with pytest.raises(DataError, match=said):
        open_dataset(photos)
    (photos / "splits.csv").unlink()  # as the message says: remove it, and split again
    lince.split(photos)
    assert (open_dataset(photos).splits >= 0).any()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_table_or_refused(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("table") / "splits.csv"
    path.write_bytes(b"file,split\n" + noise)
    try:
        found = split_file.apply_split_file(made([0, 1]), path)
    except DataError:
        return
    assert set(found.splits.tolist()) <= {UNASSIGNED, TRAIN, VAL, TEST}


def test_the_command(photos: Path) -> None:
    command = [sys.executable, "-m", "lince", "split", str(photos), "--test", "0.5", "--folds", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    record = json.loads(done.stdout)
    assert record["sizes"] == {"train": 8, "val": 2, "test": 10, "unassigned": 0}
    lines = (photos / "splits.csv").read_text("utf-8").splitlines()
    assert lines[0] == "file,split,fold"
    assert len(lines) == 21
