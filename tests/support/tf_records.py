"""Test data: TFRecords as the Object Detection API's scripts write them, and tables to write as TFRecords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lince import images, rle
from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.formats import LabelTable, ReadOptions, WriteRequest
from lince.formats.builders.object_table import ObjectTableBuilder, RawObject
from lince.formats.tfrecord import example_proto
from lince.formats.tfrecord.shards import encode_record
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.storage.tree import LocalFolder

PHOTO = images.encode_png(np.mgrid[:30, :40, :3][1].astype(np.uint8))


def record(**more: Any) -> dict[str, Any]:
    """Return the features of one photo with a cat at (4, 3, 20, 15), as the API's scripts write them."""
    made: dict[str, Any] = {
        "image/encoded": [PHOTO],
        "image/filename": [b"a.png"],
        "image/height": [30],
        "image/width": [40],
        "image/object/bbox/xmin": [4 / 40],
        "image/object/bbox/ymin": [3 / 30],
        "image/object/bbox/xmax": [20 / 40],
        "image/object/bbox/ymax": [15 / 30],
        "image/object/class/text": [b"cat"],
        "image/object/class/label": [1],
    }
    made.update({key.replace("__", "/"): value for key, value in more.items()})
    return {key: value for key, value in made.items() if value is not None}


def put(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(encode_record(example_proto.serialise_example(features)) for features in records))
    return path


def objects_of(table: LabelTable) -> dict[str, list[tuple[str, tuple[float, ...], int, str]]]:
    assert table.objects is not None
    found = {}
    for row, name in enumerate(table.names):
        rows = range(*table.objects.slice_of_image(row).indices(len(table.objects)))
        found[name] = sorted(
            (
                table.classes.names[table.objects.class_ids[i]],
                tuple(table.objects.boxes[i].tolist()),
                int(table.objects.flags[i]),
                table.objects.masks[i],
            )
            for i in rows
        )
    return found


def reasons(table: LabelTable) -> dict[str, str]:
    return {refusal.path: refusal.reason for refusal in table.rejected}


def many(tree: LocalFolder, names: list[str]) -> LabelTable:
    """Return a table of all that the format holds: boxes, flags, masks, splits, an empty image, an unused class."""
    marks = ObjectTableBuilder(ReadOptions())
    for i, name in enumerate(names):
        row = marks.add_image(name, (TRAIN, VAL, TEST, UNASSIGNED)[i % 4], (30, 40))
        for number in range(i % 3):
            mask = np.zeros((30, 40), np.bool_)
            mask[2 : 5 + number, 3 : 9 + i] = True
            box = (1.5 + number, 2.25, 17.125 + i, 29.0)
            flags = (DIFFICULT, TRUNCATED | CROWD, OCCLUDED | GROUP, 0)[i % 4]
            marks.add(row, RawObject(number * 2, box, name, flags=flags, mask=rle.encode(mask) if i % 2 else ""))
    return marks.build_table(tree, "test", ["gato", "nobody", "niño 'x'"])


def export_of(table: LabelTable, data: bytes = PHOTO) -> WriteRequest:
    return WriteRequest(table, list(table.names), np.full((len(table.names), 2), (30, 40), np.int32), lambda _row: data)


def splits_of(table: LabelTable) -> dict[str, int]:
    return dict(zip(table.names, table.splits.tolist(), strict=True))
