"""Test data: generated datasets of every kind, and comparison of two datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lince import images, rle
from lince.annotations import (
    CROWD,
    DIFFICULT,
    GROUP,
    OCCLUDED,
    TRUNCATED,
    UNLABELLED,
    Classes,
    ObjectTable,
    StringColumn,
)
from lince.datasets.dataset import Dataset
from lince.datasets.image_source import FileImages
from lince.formats import Capability
from lince.formats.builders.classification_table import sort_class_names
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL

SHAPES = Capability.BOXES | Capability.OUTLINES | Capability.MASKS
NAMES = ("casco", "niño ç", "10", "2", "no", "señal: 'alto'", "a, b", "null", "Über #1", "# nota")
FLAGS = (DIFFICULT, TRUNCATED, CROWD, OCCLUDED, GROUP)
SIZES = ((31, 47), (40, 40), (64, 25), (33, 90), (50, 61))  # height, width
ENDINGS = (".png", ".jpg", ".png", ".JPG", ".jpeg")


@dataclass
class PlannedObject:
    """An object of a plan: its class, box, outline or mask, and flags."""

    name: str
    box: tuple[float, ...] = ()
    rings: list[np.ndarray] = field(default_factory=list)
    mask: np.ndarray | None = None
    flags: int = 0


@dataclass
class PlannedPhoto:
    """An image of a plan: its photo (index into ``SIZES``), split, class and objects."""

    number: int
    split: int = UNASSIGNED
    name: str | None = None
    objects: list[PlannedObject] = field(default_factory=list)


@dataclass
class DatasetPlan:
    """The description of a dataset; ``marked`` when its labels are objects."""

    classes: tuple[str, ...]
    photos: list[PlannedPhoto]
    marked: bool


def write_photos(root: Path) -> FileImages:
    """Write the photos that all plans use, all different, and return them."""
    rng = np.random.default_rng(5)
    names = []
    for number, ((height, width), ending) in enumerate(zip(SIZES, ENDINGS, strict=True)):
        picture = np.repeat(np.repeat(rng.integers(0, 256, (4, 4, 3), np.uint8), 24, 0), 24, 1)[:height, :width]
        name = f"parte {number % 2}/foto ñ {number}{ending}"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        encode = images.encode_png if ending == ".png" else images.encode_jpeg
        (root / name).write_bytes(encode(np.ascontiguousarray(picture)))
        names.append(name)
    return FileImages(root, StringColumn.from_strings(names))


def build_dataset(plan: DatasetPlan, source: FileImages) -> Dataset:
    """Return the dataset that ``plan`` describes."""
    ids = {name: number for number, name in enumerate(plan.classes)}
    return Dataset(
        images=source.select(np.array([photo.number for photo in plan.photos], np.int64)),
        classes=Classes(plan.classes),
        class_ids=np.array([ids[p.name] if p.name is not None else UNLABELLED for p in plan.photos], np.int32),
        splits=np.array([photo.split for photo in plan.photos], np.int8),
        rejected=(),
        root=source.root,
        format="made",
        objects=_objects(plan, ids) if plan.marked else None,
        sizes=np.array([SIZES[photo.number] for photo in plan.photos], np.int32),
    )


def _objects(plan: DatasetPlan, ids: dict[str, int]) -> ObjectTable:
    objects = [item for photo in plan.photos for item in photo.objects]
    rings = [ring for item in objects for ring in item.rings]
    return ObjectTable(
        starts=_bounds([len(photo.objects) for photo in plan.photos]),
        class_ids=np.array([ids[item.name] for item in objects], np.int32),
        boxes=np.array([_box(item) for item in objects], np.float64).reshape(-1, 4),
        flags=np.array([item.flags for item in objects], np.uint8),
        ring_starts=_bounds([len(item.rings) for item in objects]),
        point_starts=_bounds([len(ring) for ring in rings]),
        points=np.concatenate(rings) if rings else np.empty((0, 2)),
        masks=StringColumn.from_strings("" if item.mask is None else rle.encode(item.mask) for item in objects),
    )


def _box(item: PlannedObject) -> tuple[float, ...]:
    if item.mask is not None:
        return rle.compute_bounding_box(rle.mask_to_counts(item.mask), item.mask.shape[0])
    if item.rings:
        points = np.concatenate(item.rings)
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
    return item.box


def _bounds(counts: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


# Random plans: hypothesis draws only the seed, because drawing every number takes longer than the tests


def draw_plans(holds: Capability, flags: int = 31) -> st.SearchStrategy[DatasetPlan]:
    """Draw datasets that need no more than ``holds`` and, of the flags, no more than ``flags``.

    Each has at least two images and two classes, so that every format is recognised.
    """
    kinds = [marked for marked, need in ((False, Capability.LABELS), (True, SHAPES)) if holds & need]
    seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
    return seeds.map(lambda rng: make_plan(rng, holds, bool(rng.choice(kinds)), flags))


def make_plan(rng: np.random.Generator, holds: Capability, marked: bool, flags: int) -> DatasetPlan:
    names = rng.permutation(NAMES)[: rng.integers(2, 5)].tolist()
    parts = ([UNASSIGNED], [TRAIN, VAL, TEST], [TRAIN, VAL, TEST, UNASSIGNED])[rng.integers(3)]
    parts = parts if Capability.SPLITS in holds else [UNASSIGNED]
    numbers = rng.permutation(len(SIZES))[: rng.integers(2, 5)].tolist()
    photos = [PlannedPhoto(number, int(rng.choice(parts))) for number in numbers]
    for turn, photo in enumerate(photos):
        name = names[turn] if turn < 2 else str(rng.choice(names))
        if not marked or (Capability.LABELS in holds and rng.random() < 0.2):
            photo.name = name
        if marked and (turn < 2 or Capability.NEGATIVES not in holds or rng.random() < 0.5):
            photo.objects = _make_objects(
                rng, holds, photo.number, (name, *rng.choice(names, rng.integers(0, 3))), flags
            )
    used = {photo.name for photo in photos if photo.name} | {t.name for photo in photos for t in photo.objects}
    return DatasetPlan(tuple(names) if Capability.CLASSES in holds else tuple(sort_class_names(used)), photos, marked)


def _make_objects(
    rng: np.random.Generator, holds: Capability, number: int, names: Sequence[str], flags: int
) -> list[PlannedObject]:
    shape = SIZES[number]
    if holds & SHAPES == Capability.MASKS:  # a class map: one mask per class, without overlap
        chosen = list(dict.fromkeys(map(str, names)))
        picture = _picture(rng, shape, len(chosen))
        return [PlannedObject(name, mask=picture == place) for place, name in enumerate(chosen)]
    return [_make_object(rng, holds, shape, str(name), flags) for name in names]


def _make_object(
    rng: np.random.Generator, holds: Capability, shape: tuple[int, int], name: str, flags: int
) -> PlannedObject:
    item = PlannedObject(name)
    form = rng.choice([one.name for one in (Capability.BOXES, Capability.OUTLINES, Capability.MASKS) if one in holds])
    if form == Capability.BOXES.name:
        item.box = _place(rng, shape)
    elif form == Capability.OUTLINES.name:
        item.rings = [
            _ring(rng, shape) for _turn in range(rng.integers(1, 3 if Capability.MULTI_RING_OUTLINES in holds else 2))
        ]
    else:
        item.mask = _picture(rng, shape, 1) == 0
    if Capability.FLAGS in holds:
        item.flags = sum(flag for flag in FLAGS if flag & flags and rng.random() < 0.5)
    return item


def _place(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[float, ...]:
    """Return a box within an image: sometimes in whole pixels, sometimes up to its edges."""
    sides = []
    for most in shape[::-1]:
        low, high = sorted(rng.uniform(0, most, 2).tolist())
        if rng.random() < 0.3:
            low, high = float(np.floor(low)), float(np.ceil(high))
        low, high = 0.0 if rng.random() < 0.15 else low, float(most) if rng.random() < 0.15 else high
        sides.append((low, high) if high - low > 0.2 else (0.0, float(most)))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


def _ring(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return a ring of 3 to 7 corners within a random box."""
    left, top, right, bottom = _place(rng, shape)
    turn = np.sort(rng.uniform(0, 0.6 * np.pi, rng.integers(3, 8)).cumsum() % (2 * np.pi))
    unit = np.stack([np.cos(turn), np.sin(turn)], axis=1) / 2 + 0.5
    return unit * (right - left, bottom - top) + (left, top)


def _picture(rng: np.random.Generator, shape: tuple[int, int], count: int) -> np.ndarray:
    """Return an int map (H, W) in which each of 0 to ``count`` - 1 has some pixels; the others are -1."""
    picture = np.full(shape, -1)
    for place in range(count):
        top, left = rng.integers(0, shape[0] - 9), rng.integers(0, shape[1] - 9)
        picture[top : top + rng.integers(2, 9), left : left + rng.integers(2, 9)] = place
        picture[rng.random(shape) < 0.02] = place
    for place in range(count):
        picture[place, shape[1] - 1 - place] = place
    return picture


# Comparison of two datasets


def contents(dataset: Dataset) -> dict[str, tuple[Any, ...]]:
    """Return class, split and sorted objects of each image of ``dataset``, by the digest of the image."""
    return {dataset.images.compute_key(row): tuple(_content(dataset, row)) for row in range(len(dataset))}


def _content(dataset: Dataset, row: int) -> Iterator[Any]:
    class_id = int(dataset.class_ids[row])
    yield None if class_id == UNLABELLED else dataset.classes.names[class_id]
    yield int(dataset.splits[row])
    objects = dataset.objects
    if objects is not None:
        marks = [
            _object(dataset.classes, objects, i) for i in range(*objects.slice_of_image(row).indices(len(objects)))
        ]
        yield sorted(marks, key=lambda mark: (mark[0], np.round(mark[1], 4).tolist(), mark[2:]))


def _object(classes: Classes, objects: ObjectTable, i: int) -> tuple[Any, ...]:
    rings = [[tuple(point) for point in ring.tolist()] for ring in objects.get_polygons(i)]
    return (
        classes.names[objects.class_ids[i]],
        tuple(objects.boxes[i].tolist()),
        rings,
        objects.masks[i],
        int(objects.flags[i]),
    )


def require_same(found: Dataset, expected: Dataset, tolerance: float = 1e-9, *, boxes: bool = True) -> None:
    """Fail unless images, classes, splits and objects are equal; ``tolerance`` is relative to the longest side."""
    assert not found.rejected, list(map(str, found.rejected))
    assert found.classes.names == expected.classes.names, found.classes.names
    one, other = contents(found), contents(expected)
    assert set(one) == set(other)
    tolerance *= 1 if expected.sizes is None else float(expected.sizes.max(initial=1))
    for key, (name, split, *marks) in other.items():
        assert one[key][:2] == (name, split)
        _require_marks(one[key][2] if len(one[key]) > 2 else [], marks[0] if marks else [], tolerance, boxes)


def _require_marks(found: list[Any], expected: list[Any], tolerance: float, boxes: bool) -> None:
    assert len(found) == len(expected)
    for mark, wanted in zip(found, expected, strict=True):
        assert (mark[0], mark[3], mark[4]) == (wanted[0], wanted[3], wanted[4])
        if boxes:
            np.testing.assert_allclose(mark[1], wanted[1], rtol=0, atol=tolerance)
        assert [len(ring) for ring in mark[2]] == [len(ring) for ring in wanted[2]]
        for ring, there in zip(mark[2], wanted[2], strict=True):
            np.testing.assert_allclose(ring, there, rtol=0, atol=tolerance)


def require_same_pixels(found: Dataset, expected: Dataset) -> None:
    """Fail unless both hold the same pixels with the same classes and splits, in whatever files."""
    assert found.classes.names == expected.classes.names, found.classes.names
    one, other = (
        {d.images.read_image(i).tobytes(): (d.classes.names[d.class_ids[i]], int(d.splits[i])) for i in range(len(d))}
        for d in (found, expected)
    )
    assert one == other
