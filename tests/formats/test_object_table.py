"""Object table builder: objects added in bulk equal objects added one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lince.annotations import ObjectTable
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject, RawObjectBatch
from lince.formats.table import LabelTable, ReadOptions
from lince.storage.tree import LocalFolder

SIZES = [(40, 60), (0, 0), (40, 60)]
number = st.sampled_from([-1.5, -1.0, 0.0, 3.0, 39.0, 41.0, 42.0, 61.0, 61.5, float("nan"), float("inf")])
sound = st.tuples(st.floats(-1, 20), st.floats(-1, 20), st.floats(21, 61), st.floats(21, 41))
box = sound | st.tuples(number, number, number, number)
ring = st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=5).map(np.array)
entry = st.tuples(st.integers(0, 2), box, st.lists(ring, max_size=2), st.integers(0, 31))


def started(fix: frozenset[str]) -> ObjectTableBuilder:
    marks = ObjectTableBuilder(ReadOptions(fix=fix))
    for i, size in enumerate(SIZES):
        marks.add_image(f"{i}.png", size=size)
    marks.add(1, RawObject(7, (0, 0, 1, 1), "first"))
    return marks


def block(entries: list[tuple[int, tuple[float, ...], list[np.ndarray], int]]) -> RawObjectBatch:
    rings = [ring for _row, _box, rings, _flags in entries for ring in rings]
    return RawObjectBatch(
        np.array([row for row, *_rest in entries], np.int64),
        np.arange(len(entries), dtype=np.int32),
        np.array([box for _row, box, *_rest in entries], np.float64).reshape(-1, 4),
        np.array([flags for *_rest, flags in entries], np.uint8),
        np.array([len(rings) for _row, _box, rings, _flags in entries], np.int64),
        np.array([len(ring) for ring in rings], np.int64),
        np.concatenate([np.empty((0, 2)), *rings]),
        [str(i) for i in range(len(entries))],
    )


def columns(table: LabelTable) -> dict[str, object]:
    objects = table.objects
    assert isinstance(objects, ObjectTable)
    return {name: list(value) if name == "masks" else value.tolist() for name, value in vars(objects).items()}


@settings(max_examples=150, deadline=None)
@given(st.lists(entry, max_size=5), st.sets(st.sampled_from(["clip", "order", "duplicates"])))
@example([], set())
@example([(1, (-9.0, -9.0, 1e9, 1e9), [], 0)], set())
def test_bulk_adding_equals_adding_one_by_one(
    entries: list[tuple[int, tuple[float, ...], list[np.ndarray], int]], fix: set[str]
) -> None:
    one, many = started(frozenset(fix)), started(frozenset(fix))
    taken = [
        one.add(row, RawObject(i, box, "x", None, flags, rings, str(i)))  # type: ignore[arg-type]
        for i, (row, box, rings, flags) in enumerate(entries)
    ]
    before = columns(many.build_table(LocalFolder(Path()), "x", []))
    if many.extend(block(entries)):
        assert all(taken)
        assert not one.repaired
        assert columns(many.build_table(LocalFolder(Path()), "x", [])) == columns(
            one.build_table(LocalFolder(Path()), "x", [])
        )
    else:
        assert not all(taken) or one.repaired or "duplicates" in fix
        assert columns(many.build_table(LocalFolder(Path()), "x", [])) == before
