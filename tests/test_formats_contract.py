"""Every pair of formats: converted from one to the other and back, what both can hold stays as it was."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import sets
from lince.data import Dataset, open_dataset
from lince.data.convert import convert, writable
from lince.data.source import FileImages
from lince.labels import FORMATS, Holds

FLOAT32 = {"tfrecord"}  # its numbers have 24 bits
PAIRS = list(itertools.product(writable(), repeat=2))
MADE = settings(
    max_examples=4,
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
    if Holds.BOXES not in holds:
        # An outline of one format is a mask of another only by a loss; pixels alone hold no two objects of one class.
        flags = 0
    return holds, flags


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_there_and_back(one: str, other: str, photos: FileImages, new: Path) -> None:
    holds, flags = held(one, other)
    tolerance = 1e-6 if {one, other} & FLOAT32 else 1e-9
    if not holds & (Holds.LABELS | sets.SHAPES):
        pytest.skip("they hold nothing in common")

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
