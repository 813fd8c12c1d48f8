"""Datasets of every kind, made by script and by hypothesis, and the eye that tells whether two are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lince import images, masks
from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED, UNLABELLED, Classes, Objects, Strings
from lince.data.dataset import Dataset
from lince.data.source import FileImages
from lince.labels import TEST, TRAIN, UNASSIGNED, VAL, Holds
from lince.labels.columns import class_order

SHAPES = Holds.BOXES | Holds.OUTLINES | Holds.MASKS
NAMES = ("casco", "niño ç", "10", "2", "no", "señal: 'alto'", "a, b", "null", "Über #1", "# nota")
FLAGS = (DIFFICULT, TRUNCATED, CROWD, OCCLUDED, GROUP)
SIZES = ((31, 47), (40, 40), (64, 25), (33, 90), (50, 61))  # height, width
ENDINGS = (".png", ".jpg", ".png", ".JPG", ".jpeg")


@dataclass
class Thing:
    """One object to be: its class, box, outline or mask, and flags."""

    name: str
    box: tuple[float, ...] = ()
    rings: list[np.ndarray] = field(default_factory=list)
    mask: np.ndarray | None = None
    flags: int = 0


@dataclass
class Photo:
    """One image to be: which of the pool, its split and class, and what is marked on it."""

    number: int
    split: int = UNASSIGNED
    name: str | None = None
    things: list[Thing] = field(default_factory=list)


@dataclass
class Plan:
    """A dataset to be; ``marked`` where it is of marked objects."""

    classes: tuple[str, ...]
    photos: list[Photo]
    marked: bool


def pool(root: Path) -> FileImages:
    """Write the photos that all plans draw from, each unlike the others, and return them."""
    rng = np.random.default_rng(5)
    names = []
    for number, ((height, width), ending) in enumerate(zip(SIZES, ENDINGS, strict=True)):
        picture = np.repeat(np.repeat(rng.integers(0, 256, (4, 4, 3), np.uint8), 24, 0), 24, 1)[:height, :width]
        name = f"parte {number % 2}/foto ñ {number}{ending}"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        encode = images.encode_png if ending == ".png" else images.encode_jpeg
        (root / name).write_bytes(encode(np.ascontiguousarray(picture)))
        names.append(name)
    return FileImages(root, Strings.of(names))


def build(plan: Plan, source: FileImages) -> Dataset:
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


def _objects(plan: Plan, ids: dict[str, int]) -> Objects:
    things = [thing for photo in plan.photos for thing in photo.things]
    rings = [ring for thing in things for ring in thing.rings]
    return Objects(
        starts=_bounds([len(photo.things) for photo in plan.photos]),
        class_ids=np.array([ids[thing.name] for thing in things], np.int32),
        boxes=np.array([_box(thing) for thing in things], np.float64).reshape(-1, 4),
        flags=np.array([thing.flags for thing in things], np.uint8),
        rings=_bounds([len(thing.rings) for thing in things]),
        corners=_bounds([len(ring) for ring in rings]),
        points=np.concatenate(rings) if rings else np.empty((0, 2)),
        masks=Strings.of("" if thing.mask is None else masks.encode(thing.mask) for thing in things),
    )


def _box(thing: Thing) -> tuple[float, ...]:
    if thing.mask is not None:
        return masks.around(masks.counts_of(thing.mask), thing.mask.shape[0])
    if thing.rings:
        points = np.concatenate(thing.rings)
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
    return thing.box


def _bounds(counts: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


# Plans by hypothesis


@st.composite
def plans(draw: st.DrawFn, holds: Holds, marked: bool, flags: int = 31) -> Plan:
    """Draw a dataset that needs no more than ``holds`` and, of the flags, no more than ``flags``.

    At least two images and two classes, so that any format is recognised.
    """
    numbers = draw(st.lists(st.integers(0, len(SIZES) - 1), min_size=2, max_size=4, unique=True))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True))
    splits = st.sampled_from((TRAIN, VAL, TEST)) if Holds.SPLITS in holds and draw(st.booleans()) else None
    photos = [Photo(number, UNASSIGNED if splits is None else draw(splits)) for number in numbers]
    for turn, photo in enumerate(photos):
        name = names[turn] if turn < 2 else draw(st.sampled_from(names))
        if not marked:
            photo.name = name
        elif turn < 2 or Holds.NEGATIVES not in holds or draw(st.booleans()):
            photo.things = draw(_things(holds, photo.number, name, names, flags))
    used = {photo.name for photo in photos if photo.name} | {t.name for photo in photos for t in photo.things}
    return Plan(tuple(names) if Holds.CLASSES in holds else tuple(class_order(used)), photos, marked)


@st.composite
def _things(draw: st.DrawFn, holds: Holds, number: int, name: str, names: Sequence[str], flags: int) -> list[Thing]:
    shape = SIZES[number]
    if holds & SHAPES == Holds.MASKS:  # a picture of classes: one mask for each, none over another
        chosen = sorted({name, *draw(st.lists(st.sampled_from(names), max_size=2))}, key=names.index)
        picture = draw(_picture(shape, len(chosen)))
        return [Thing(kind, mask=picture == place) for place, kind in enumerate(chosen)]
    kinds = [name, *draw(st.lists(st.sampled_from(names), max_size=2))]
    return [draw(_thing(holds, shape, kind, flags)) for kind in kinds]


@st.composite
def _thing(draw: st.DrawFn, holds: Holds, shape: tuple[int, int], name: str, flags: int) -> Thing:
    thing = Thing(name)
    form = draw(st.sampled_from([one for one in (Holds.BOXES, Holds.OUTLINES, Holds.MASKS) if one in holds]))
    if form == Holds.BOXES:
        thing.box = draw(_boxes(shape))
    elif form == Holds.OUTLINES:
        most = 2 if Holds.RINGS in holds else 1
        thing.rings = [draw(_ring(shape)) for _turn in range(draw(st.integers(1, most)))]
    else:
        thing.mask = draw(_picture(shape, 1)) == 0
    if Holds.FLAGS in holds:
        thing.flags = sum(flag for flag in FLAGS if flag & flags and draw(st.booleans()))
    return thing


def _places(most: int) -> st.SearchStrategy[float]:
    return st.one_of(st.integers(0, most).map(float), st.floats(0, most, allow_subnormal=False))


@st.composite
def _boxes(draw: st.DrawFn, shape: tuple[int, int]) -> tuple[float, ...]:
    sides = []
    for most in shape[::-1]:
        low = draw(_places(most - 1))
        sides.append((low, draw(st.floats(low + 0.25, most))))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


@st.composite
def _ring(draw: st.DrawFn, shape: tuple[int, int]) -> np.ndarray:
    """Draw a ring of 3 to 6 corners that goes round a box of some size."""
    left, top, right, bottom = draw(_boxes(shape))
    angles = sorted(draw(st.lists(st.integers(0, 359), min_size=3, max_size=6, unique=True)))
    turn = np.deg2rad(np.array([*angles[:-1], max(angles[-1], angles[0] + 200)], np.float64))
    unit = np.stack([np.cos(turn), np.sin(turn)], axis=1) / 2 + 0.5
    return unit * (right - left, bottom - top) + (left, top)


@st.composite
def _picture(draw: st.DrawFn, shape: tuple[int, int], count: int) -> np.ndarray:
    """Draw a picture of numbers, each of 0 to ``count`` - 1 on at least one pixel, and -1 on others."""
    picture = np.full(shape, -1)
    for place in range(count):
        top, left = draw(st.integers(0, shape[0] - 9)), draw(st.integers(0, shape[1] - 9))
        picture[top : top + draw(st.integers(2, 9)), left : left + draw(st.integers(2, 9))] = place
        picture[(top + 3 * place) % shape[0], (left + 5 * place) % shape[1]] = place
    for place in range(count):
        picture[place, shape[1] - 1 - place] = place
    return picture


# Telling whether two are the same


def contents(dataset: Dataset) -> dict[str, tuple[Any, ...]]:
    """Return what stands in ``dataset`` by the digest of its images: class, split and marks, sorted."""
    return {dataset.images.key(row): tuple(_content(dataset, row)) for row in range(len(dataset))}


def _content(dataset: Dataset, row: int) -> Iterator[Any]:
    class_id = int(dataset.class_ids[row])
    yield None if class_id == UNLABELLED else dataset.classes.names[class_id]
    yield int(dataset.splits[row])
    objects = dataset.objects
    if objects is not None:
        marks = [_object(dataset.classes, objects, i) for i in range(*objects.of(row).indices(len(objects)))]
        yield sorted(marks, key=lambda mark: (mark[0], np.round(mark[1], 4).tolist(), mark[2:]))


def _object(classes: Classes, objects: Objects, i: int) -> tuple[Any, ...]:
    rings = [[tuple(point) for point in ring.tolist()] for ring in objects.outline(i)]
    return (
        classes.names[objects.class_ids[i]],
        tuple(objects.boxes[i].tolist()),
        rings,
        objects.masks[i],
        int(objects.flags[i]),
    )


def require_same(found: Dataset, expected: Dataset, tolerance: float = 1e-9, *, boxes: bool = True) -> None:
    """Fail unless both hold the same images, classes, splits and marks; ``tolerance`` is a share of a long side."""
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
    """Fail unless both hold the same pictures with the same classes and splits, however the files are written."""
    assert found.classes.names == expected.classes.names, found.classes.names
    one, other = (
        {d.images.read(i).tobytes(): (d.classes.names[d.class_ids[i]], int(d.splits[i])) for i in range(len(d))}
        for d in (found, expected)
    )
    assert one == other
