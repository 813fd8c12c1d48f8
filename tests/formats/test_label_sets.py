"""Several classes an image: what is written is read again, and what a format cannot hold is counted."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import sample_datasets

from lince import tasks
from lince.annotations import UNLABELLED
from lince.datasets import Dataset, open_dataset
from lince.datasets.conversion import ConvertOptions, convert_dataset
from lince.datasets.image_source import FileImages
from lince.datasets.merge import merge_datasets
from lince.datasets.stratified_split import split_dataset
from lince.errors import UsageError
from lince.label_sets import LabelSets
from lince.splits import TEST, TRAIN, VAL

SEVERAL = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
HOLDING = ("csv", "huggingface")
NAMES = sample_datasets.NAMES


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> FileImages:
    return sample_datasets.write_photos(tmp_path_factory.mktemp("photos") / "niño ç")


def build(photos: FileImages, sets: list[set[int]], names: tuple[str, ...]) -> Dataset:
    plan = sample_datasets.DatasetPlan(names, [sample_datasets.PlannedPhoto(row) for row in range(len(sets))], False)
    plain = sample_datasets.build_dataset(plan, photos)
    label_sets = LabelSets.from_class_ids(plain.class_ids, dict(enumerate(sets)))
    class_ids = [next(iter(one)) if len(one) == 1 else UNLABELLED for one in sets]
    return replace(plain, class_ids=np.array(class_ids, np.int32), label_sets=label_sets)


def read_sets(dataset: Dataset) -> dict[str, set[str]]:
    keys = [dataset.images.compute_key(row) for row in range(len(dataset))]
    return {key: set(dataset.list_class_names(row)) for row, key in enumerate(keys)}


@pytest.mark.parametrize("name", HOLDING)
@SEVERAL
@given(
    sets=st.lists(st.sets(st.integers(0, len(NAMES) - 1)), min_size=4, max_size=4),
    several=st.sets(st.integers(0, len(NAMES) - 1), min_size=2),
)
def test_there_and_back(name: str, sets: list[set[int]], several: set[int], photos: FileImages) -> None:
    dataset = build(photos, [several, *sets], NAMES)
    with TemporaryDirectory() as folder:
        convert_dataset(dataset, Path(folder) / "set", name, ConvertOptions(lossy=True))
        found = open_dataset(Path(folder) / "set")
        assert read_sets(found) == read_sets(dataset)
        assert found.rejected == ()
        assert (found.label_sets is not None, found.class_ids.tolist().count(UNLABELLED)) == (
            True, sum(len(one) != 1 for one in [several, *sets]),
        )  # fmt: skip


def test_the_files_say_what_plain_code_finds(photos: FileImages, tmp_path: Path) -> None:
    dataset = build(photos, [{0, 2}, {1}, set(), {2}, {0, 1, 2}], ("a", "b, c", "d|e"))
    convert_dataset(dataset, tmp_path / "table", "csv", ConvertOptions(lossy=True))
    rows = list(csv.DictReader((tmp_path / "table" / "labels.csv").read_text("utf-8").splitlines()))
    expected = [["a", "d|e"], ["b, c"], [], ["d|e"], ["a", "b, c", "d|e"]]
    assert [json.loads(row["classes"]) for row in rows] == expected
    convert_dataset(dataset, tmp_path / "records", "huggingface", ConvertOptions(lossy=True))
    lines = (tmp_path / "records" / "metadata.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["labels"] for line in lines] == expected


@pytest.mark.parametrize("name", ["folders", "cvat", "tfrecord"])
def test_a_format_of_one_class_is_refused_or_counts_the_loss(name: str, photos: FileImages, tmp_path: Path) -> None:
    dataset = build(photos, [{0, 1}, {1}, set(), {0}], ("x", "y"))
    with pytest.raises(UsageError, match="several classes"):
        convert_dataset(dataset, tmp_path / "strict", name)
    assert not (tmp_path / "strict").exists()
    result = convert_dataset(dataset, tmp_path / "lossy", name, ConvertOptions(lossy=True))
    assert {loss.kind: loss.count for loss in result.losses}["label-sets"] == 2
    assert sorted(map(sorted, read_sets(open_dataset(tmp_path / "lossy")).values())) == [["x"], ["y"]]


@pytest.mark.parametrize("name", HOLDING)
def test_an_empty_list_is_a_label_where_all_others_have_one_class(
    name: str, photos: FileImages, tmp_path: Path
) -> None:
    dataset = build(photos, [{0}, set(), {1}], ("x", "y"))
    convert_dataset(dataset, tmp_path / "set", name)
    found = open_dataset(tmp_path / "set")
    assert sorted(map(sorted, read_sets(found).values())) == [[], ["x"], ["y"]]
    assert (found.rejected, tasks.resolve_task(found).name) == ((), "multilabel")


def test_merging_and_renaming_keep_the_sets(photos: FileImages) -> None:
    one = build(photos, [{0, 1}, {2}, set()], ("x", "y", "z"))
    merged = one.merge_classes({"xy": ["x", "y"]})
    assert [merged.list_class_names(row) for row in range(3)] == [["xy"], ["z"], []]
    assert [merged.class_ids[row] for row in (0, 2)] == [merged.classes.index("xy"), UNLABELLED]
    other = build(photos, [{0}, {1}], ("z", "w"))
    both = merge_datasets([one, replace(other, label_sets=None)])
    assert [both.list_class_names(row) for row in range(5)] == [["x", "y"], ["z"], [], ["z"], ["w"]]
    assert both.count_per_class() == {"x": 1, "y": 1, "z": 2, "w": 1}


def test_every_class_gets_its_share_of_each_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    matrix = rng.random((300, 6)) < (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
    plain = sample_datasets.build_dataset(
        sample_datasets.DatasetPlan(("a", "b", "c", "d", "e", "f"), [], False), sample_datasets.write_photos(tmp_path)
    )
    images = plain.images.select(np.zeros(0, np.int64))
    none = np.full(300, UNLABELLED, np.int32)
    dataset = replace(
        plain, images=_Numbered(300, images), class_ids=none, splits=none.astype(np.int8),
        label_sets=LabelSets.from_matrix(matrix),
    )  # fmt: skip
    divided = split_dataset(tasks.get_task("multilabel").select_usable(dataset), 0.15, 0.15, 0)
    for split, share in ((VAL, 0.15), (TEST, 0.15), (TRAIN, 0.7)):
        counts = matrix[divided.splits == split].sum(axis=0)
        assert np.abs(counts - share * matrix.sum(axis=0)).max() <= 2.0
        assert counts.min() >= 1


class _Numbered:
    """Images of which only the names are asked."""

    def __init__(self, count: int, images: object) -> None:
        self._count, self._images = count, images

    def __len__(self) -> int:
        return self._count

    def get_name(self, row: int) -> str:
        return f"{row:04}.png"
