"""Format contract: conversion between every pair of formats and back keeps what both can hold."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.support import sample_datasets

from lince.datasets import Dataset, open_dataset
from lince.datasets.conversion import ConvertOptions, convert_dataset, list_writable_formats
from lince.datasets.conversion_loss import adapt_to_format, find_lossless_formats
from lince.datasets.image_sizes import measure_image_sizes
from lince.datasets.image_source import FileImages
from lince.errors import UsageError
from lince.formats import FORMATS, Capability

FLOAT32 = {"tfrecord"}  # float32 numbers
FLOOR = 1e-6
LOST_BY_MANY = {"splits", "classes", "flags", "negatives"}  # all losses that are possible for boxes and image classes
MADE = settings(
    max_examples=2,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],  # the sets are small already, and shrinking takes long
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> FileImages:
    """Return the photos that all generated sets use."""
    return sample_datasets.write_photos(tmp_path_factory.mktemp("photos") / "niño ç")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Return a folder that is emptied for every set."""
    folder = tmp_path / "Área de Trabalho"
    folder.mkdir()
    return folder


def held(*names: str) -> tuple[Capability, int]:
    """Return the capabilities and flags that all formats in ``names`` share."""
    holds, flags = ~Capability(0), 31
    for name in names:
        holds &= FORMATS[name].capabilities
        flags &= FORMATS[name].supported_flags
    return holds, flags


PAIRS = [
    pair
    for pair in itertools.product(list_writable_formats(), repeat=2)
    if held(*pair)[0] & (Capability.LABELS | sample_datasets.SHAPES)
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_there_and_back(one: str, other: str, photos: FileImages, new: Path) -> None:
    holds, flags = held(one, other)
    tolerance = 1e-6 if {one, other} & FLOAT32 else 1e-9

    @MADE
    @given(sample_datasets.draw_plans(holds, flags))
    def there_and_back(plan: sample_datasets.DatasetPlan) -> None:
        with tempfile.TemporaryDirectory(dir=new) as folder:
            made = sample_datasets.build_dataset(plan, photos)
            for number, name in enumerate((one, other, one)):
                found = written(made, Path(folder) / f"{number} {name}", name)
                boxed = Capability.BOXES in FORMATS[name].capabilities
                sample_datasets.require_same(found, sample_datasets.build_dataset(plan, photos), tolerance, boxes=boxed)
                made = found

    there_and_back()


def written(dataset: Dataset, out: Path, name: str) -> Dataset:
    """Write ``dataset`` in the format ``name`` and return it as read back; the format must be recognised."""
    done = convert_dataset(dataset, out, name)
    assert (done.losses, done.rejected) == ((), ())
    found = open_dataset(out)
    assert found.format == name
    return found


# Written formats that other tools import, read by code that knows nothing of lince


def read_huggingface(out: Path) -> list[tuple[str, list[str], list[list[float]]]]:
    """Return (photo, classes, boxes as left, top, width, height) of every record, as ``datasets`` finds them."""
    found = []
    for path in out.rglob("metadata.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            record = json.loads(line)
            assert (path.parent / record["file_name"]).is_file()
            objects = record.get("objects", {"bbox": [], "categories": []})
            classes = objects["categories"] + ([record["label"]] if record.get("label") is not None else [])
            found.append((Path(record["file_name"]).name, classes, objects["bbox"]))
    return found


def read_via(out: Path) -> list[tuple[str, list[str], list[list[float]]]]:
    """Return (photo, classes, boxes) of every image of the projects, as VIA keeps them; a polygon has no box there."""
    found = []
    for path in out.rglob("via_project.json"):
        for image in json.loads(path.read_text("utf-8"))["_via_img_metadata"].values():
            shapes = [region["shape_attributes"] for region in image["regions"]]
            classes = [region["region_attributes"]["class"] for region in image["regions"]]
            classes += [name for name in [image["file_attributes"].get("class")] if name]
            boxes = [[one[key] for key in ("x", "y", "width", "height")] for one in shapes if one["name"] == "rect"]
            found.append((Path(image["filename"]).name, classes, boxes))
    return found


@pytest.mark.parametrize(("name", "read"), [("huggingface", read_huggingface), ("via", read_via)])
def test_what_is_written_is_what_plain_code_finds(
    name: str, read: Callable[[Path], list[tuple[str, list[str], list[list[float]]]]], photos: FileImages, new: Path
) -> None:
    form = FORMATS[name]

    @settings(MADE, max_examples=5)
    @given(sample_datasets.draw_plans(form.capabilities, form.supported_flags))
    def is_found(plan: sample_datasets.DatasetPlan) -> None:
        made = sample_datasets.build_dataset(plan, photos)
        with tempfile.TemporaryDirectory(dir=new) as folder:
            convert_dataset(made, Path(folder) / "out", name)
            found = {photo: (sorted(classes), sorted(boxes)) for photo, classes, boxes in read(Path(folder) / "out")}
        assert found.keys() == {Path(made.images.get_name(row)).name for row in range(len(made))}
        for row, photo in enumerate(plan.photos):
            classes, boxes = found[Path(made.images.get_name(row)).name]
            assert classes == sorted([item.name for item in photo.objects] + [photo.name] * (photo.name is not None))
            drawn = [(a, b, c - a, d - b) for a, b, c, d in (item.box for item in photo.objects if item.box)]
            np.testing.assert_allclose(np.reshape(boxes, (-1, 4)), np.reshape(sorted(drawn), (-1, 4)), atol=1e-9)

    is_found()


# Real photos


@cache
def real(data: Path, name: str) -> Dataset:
    """Return a subset of a real dataset, in the folder ``data``."""
    if name == "flowers":
        whole = open_dataset(data / "flowers")
        return whole.select(np.concatenate([np.flatnonzero(whole.class_ids == i)[:4] for i in range(5)]))
    if name == "digits":
        return open_dataset(data / "mnist").select([*range(15), *range(60_000, 60_010)])
    whole = open_dataset(data / name, format="voc")
    return whole.select(np.arange(0, len(whole), len(whole) // 15))


@pytest.mark.parametrize("name", list_writable_formats())
@pytest.mark.parametrize("data", ["hardhat", "raccoon", "flowers", "digits", "lince:digits"])
def test_real_photos_come_back_as_they_were(data: str, name: str, request: pytest.FixtureRequest, new: Path) -> None:
    form = FORMATS[name]
    if data == "lince:digits":  # small, and part of lince: real images where there is no ../shared
        dataset = open_dataset(data).select(range(0, 1700, 68))
    else:
        dataset = real(request.getfixturevalue("shared") / "data", data)
    if not form.capabilities & (Capability.LABELS if dataset.objects is None else Capability.BOXES):
        pytest.skip("it holds no such labels")
    done = convert_dataset(dataset, new / name, name, ConvertOptions(lossy=True, allow_unusable=True))
    found = open_dataset(new / name)
    assert {loss.kind for loss in done.losses} <= LOST_BY_MANY
    expected = adapt_to_format(measure_image_sizes(dataset)[0], form)[0]
    if dataset.images.get_path(0) is None:
        sample_datasets.require_same_pixels(found, expected)
    else:
        sample_datasets.require_same(found, expected, 1e-6 if name in FLOAT32 else 1e-9)


# Losses


@pytest.mark.parametrize("name", list_writable_formats())
def test_what_cannot_be_held_is_refused_or_counted(name: str, photos: FileImages, new: Path) -> None:
    form = FORMATS[name]
    for seed in range(3):
        made = sample_datasets.build_dataset(
            sample_datasets.make_plan(np.random.default_rng(seed), ~Capability(0), True, 31), photos
        )
        if name in find_lossless_formats(made):
            continue
        with pytest.raises(UsageError):
            convert_dataset(made, new / "strict", name)
        assert not any(new.iterdir())
        if form.capabilities & sample_datasets.SHAPES:
            done = convert_dataset(made, new / "out", name, ConvertOptions(lossy=True))
            assert done.losses
            sample_datasets.require_same(
                open_dataset(new / "out", format=name), adapt_to_format(made, form)[0], FLOOR, boxes=False
            )
            shutil.rmtree(new / "out")


@pytest.mark.parametrize("name", list_writable_formats())
def test_a_zip_of_it_reads_the_same(name: str, photos: FileImages, new: Path) -> None:
    form = FORMATS[name]
    plan = sample_datasets.make_plan(
        np.random.default_rng(8),
        form.capabilities,
        bool(form.capabilities & sample_datasets.SHAPES),
        form.supported_flags,
    )
    found = written(sample_datasets.build_dataset(plan, photos), new / "set", name)
    shutil.make_archive(str(new / "set"), "zip", new / "set")
    sample_datasets.require_same(open_dataset(new / "set.zip"), found)
