"""Splits: class shares, given splits kept, the same result on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince.annotations import Classes, StringColumn
from lince.datasets import Dataset, split_dataset
from lince.datasets.image_source import FileImages
from lince.datasets.stratified_split import compute_quotas
from lince.errors import UsageError
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL


def made(class_ids: list[int], splits: list[int] | None = None, order: np.ndarray | None = None) -> Dataset:
    count = len(class_ids)
    order = np.arange(count) if order is None else order
    return Dataset(
        images=FileImages(Path("/nowhere"), StringColumn.from_strings(f"{i:06d}.jpg" for i in order)),
        classes=Classes(tuple(map(str, range(max(class_ids, default=0) + 1)))),
        class_ids=np.array(class_ids, np.int32)[order],
        splits=np.array(splits or [UNASSIGNED] * count, np.int8)[order],
        rejected=(),
        root=Path("/nowhere"),
        format="folders",
    )


def sizes(dataset: Dataset) -> list[int]:
    return [len(dataset.get_split_indices(part)) for part in (UNASSIGNED, TRAIN, VAL, TEST)]


def by_name(dataset: Dataset) -> dict[str, int]:
    return {dataset.images.get_name(i): int(part) for i, part in enumerate(dataset.splits)}


classes_of_any_size = st.lists(st.integers(0, 60), min_size=1, max_size=6)
shares = st.floats(0, 0.45)


@settings(max_examples=150, deadline=None)
@given(classes_of_any_size, shares, shares, st.integers(0, 2**32))
def test_every_class_gets_its_share(counts: list[int], val: float, test: float, seed: int) -> None:
    dataset = made([c for c, count in enumerate(counts) for _ in range(count)])
    found = split_dataset(dataset, val, test, seed)
    assert (found.splits != UNASSIGNED).all()
    for class_id, count in enumerate(counts):
        parts = found.splits[found.class_ids == class_id]
        for part, share in ((VAL, val), (TEST, test)):
            assert abs((parts == part).sum() - count * share) <= 2
            if share > 0 and count >= 3:
                assert (parts == part).any()
        assert count == 0 or (parts == TRAIN).any()


@settings(max_examples=150, deadline=None)
@given(classes_of_any_size, st.floats(0, 1))
def test_quotas_add_up(counts: list[int], share: float) -> None:
    exact = np.array(counts) * share
    taken = compute_quotas(np.array(counts), share)
    most = np.maximum(np.array(counts) - 1, 0)
    assert (taken <= most).all()
    assert (taken >= np.minimum(1, most)).all()
    if ((exact >= 1) & (np.ceil(exact) <= most)).all():
        assert taken.sum() == round(exact.sum())
        assert (np.abs(taken - exact) < 1).all()


@given(st.permutations(range(40)), st.integers(0, 5))
def test_the_order_of_the_images_does_not_matter(order: list[int], seed: int) -> None:
    class_ids = [i % 3 for i in range(40)]
    expected = by_name(split_dataset(made(class_ids), 0.2, 0.2, seed))
    assert by_name(split_dataset(made(class_ids, order=np.array(order)), 0.2, 0.2, seed)) == expected


def test_pinned_split() -> None:
    """A stored split: the same seed must keep giving the same rows in every version."""
    dataset = made([i % 2 for i in range(20)])
    found = split_dataset(dataset, 0.2, 0.2, seed=7)
    assert found.get_split_indices(TEST).tolist() == PINNED_TEST
    assert found.get_split_indices(VAL).tolist() == PINNED_VAL
    assert sizes(found) == [0, 12, 4, 4]
    assert by_name(split_dataset(dataset, 0.2, 0.2, seed=8)) != by_name(found)


PINNED_TEST = [2, 5, 9, 10]
PINNED_VAL = [1, 8, 16, 17]


def test_a_given_test_set_is_never_touched() -> None:
    dataset = made([0, 1] * 30, [TEST] * 10 + [TRAIN] * 30 + [UNASSIGNED] * 20)
    found = split_dataset(dataset, 0.2, 0.5, 0)
    assert found.get_split_indices(TEST).tolist() == list(range(10))
    assert sizes(found) == [0, 40, 10, 10]


def test_a_given_val_is_kept_and_test_comes_from_train() -> None:
    dataset = made([0, 1] * 30, [VAL] * 10 + [TRAIN] * 50)
    found = split_dataset(dataset, 0.5, 0.2, 0)
    assert found.get_split_indices(VAL).tolist() == list(range(10))
    assert sizes(found) == [0, 40, 10, 10]


def test_a_complete_split_stays_as_it_is() -> None:
    dataset = made([0, 1] * 3, [VAL, VAL, TEST, TEST, TRAIN, TRAIN])
    assert np.array_equal(split_dataset(dataset, 0.3, 0.3, 0).splits, dataset.splits)


def test_rows_without_a_class_stay_unassigned() -> None:
    dataset = made([0, 1] * 10)
    dataset.class_ids[:4] = -1
    found = split_dataset(dataset, 0.25, 0.25, 0)
    assert found.get_split_indices(UNASSIGNED).tolist() == [0, 1, 2, 3]
    assert sizes(found) == [4, 8, 4, 4]


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.1, 1.0), (float("nan"), 0.1)])
def test_invalid_shares_are_refused(val: float, test: float) -> None:
    with pytest.raises(UsageError):
        split_dataset(made([0, 1]), val, test, 0)
