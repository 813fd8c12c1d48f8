"""Every pair of formats: converted from one to the other and back, what both can hold stays as it was."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import sets
from lince.data import Dataset, open_dataset
from lince.data.convert import How, convert, writable
from lince.data.fitting import fit, suited
from lince.data.measure import measured
from lince.data.source import FileImages
from lince.errors import UsageError
from lince.labels import FORMATS, Holds

FLOAT32 = {"tfrecord"}  # its numbers have 24 bits
FLOOR = 1e-6
LOST_BY_MANY = {"splits", "classes", "flags", "negatives"}  # all that boxes on photos and classes of photos can lose
MADE = settings(
    max_examples=2,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],  # the sets are small as they are; making them smaller takes long
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> FileImages:
    """The photos that all sets draw from."""
    return sets.pool(tmp_path_factory.mktemp("photos") / "niño ç")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A folder that is emptied for every set."""
    folder = tmp_path / "Área de Trabalho"
    folder.mkdir()
    return folder


def held(*names: str) -> tuple[Holds, int]:
    """Return what all formats called ``names`` can hold, and which flags."""
    holds, flags = ~Holds(0), 31
    for name in names:
        holds &= FORMATS[name].holds
        flags &= FORMATS[name].flags
    return holds, flags


PAIRS = [pair for pair in itertools.product(writable(), repeat=2) if held(*pair)[0] & (Holds.LABELS | sets.SHAPES)]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_there_and_back(one: str, other: str, photos: FileImages, new: Path) -> None:
    holds, flags = held(one, other)
    tolerance = 1e-6 if {one, other} & FLOAT32 else 1e-9

    @MADE
    @given(sets.plans(holds, flags))
    def there_and_back(plan: sets.Plan) -> None:
        with tempfile.TemporaryDirectory(dir=new) as folder:
            made = sets.build(plan, photos)
            for number, name in enumerate((one, other, one)):
                found = written(made, Path(folder) / f"{number} {name}", name)
                boxed = Holds.BOXES in FORMATS[name].holds
                sets.require_same(found, sets.build(plan, photos), tolerance, boxes=boxed)
                made = found

    there_and_back()


def written(dataset: Dataset, out: Path, name: str) -> Dataset:
    """Return ``dataset`` as it reads after it was written in the format ``name``, which must be recognised."""
    done = convert(dataset, out, name)
    assert (done.losses, done.rejected) == ((), ())
    found = open_dataset(out)
    assert found.format == name
    return found


# What is on real photos


@cache
def real(shared: Path, name: str) -> Dataset:
    """Return a part of a real set."""
    data = shared / "data"
    if name == "flowers":
        whole = open_dataset(data / "flowers")
        return whole.select(np.concatenate([np.flatnonzero(whole.class_ids == i)[:4] for i in range(5)]))
    if name == "digits":
        return open_dataset(data / "mnist").select([*range(15), *range(60_000, 60_010)])
    whole = open_dataset(data / name, format="voc")
    return whole.select(np.arange(0, len(whole), len(whole) // 15))


@pytest.mark.parametrize("name", writable())
@pytest.mark.parametrize("data", ["hardhat", "raccoon", "flowers", "digits"])
def test_real_photos_come_back_as_they_were(data: str, name: str, shared: Path, new: Path) -> None:
    form, dataset = FORMATS[name], real(shared, data)
    if not form.holds & (Holds.LABELS if dataset.objects is None else Holds.BOXES):
        pytest.skip("it holds no such labels")
    done = convert(dataset, new / name, name, How(lossy=True, allow_unusable=True))
    found = open_dataset(new / name)
    assert {loss.what for loss in done.losses} <= LOST_BY_MANY
    expected = fit(measured(dataset)[0], form)[0]
    if dataset.images.path(0) is None:
        sets.require_same_pixels(found, expected)
    else:
        sets.require_same(found, expected, 1e-6 if name in FLOAT32 else 1e-9)


# What a format cannot hold


@pytest.mark.parametrize("name", writable())
def test_what_cannot_be_held_is_refused_or_counted(name: str, photos: FileImages, new: Path) -> None:
    form = FORMATS[name]
    for seed in range(3):
        made = sets.build(sets.plan(np.random.default_rng(seed), ~Holds(0), True, 31), photos)
        if name in suited(made):
            continue
        with pytest.raises(UsageError):
            convert(made, new / "strict", name)
        assert not any(new.iterdir())
        if form.holds & sets.SHAPES:
            done = convert(made, new / "out", name, How(lossy=True))
            assert done.losses
            sets.require_same(open_dataset(new / "out", format=name), fit(made, form)[0], FLOOR, boxes=False)
            shutil.rmtree(new / "out")


@pytest.mark.parametrize("name", writable())
def test_a_zip_of_it_reads_the_same(name: str, photos: FileImages, new: Path) -> None:
    form = FORMATS[name]
    plan = sets.plan(np.random.default_rng(8), form.holds, bool(form.holds & sets.SHAPES), form.flags)
    found = written(sets.build(plan, photos), new / "set", name)
    shutil.make_archive(str(new / "set"), "zip", new / "set")
    sets.require_same(open_dataset(new / "set.zip"), found)
