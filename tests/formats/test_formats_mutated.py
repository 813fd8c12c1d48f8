"""Damaged sets of every format: a clear error, or everything is used or listed; never a traceback or a hang."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.support import sample_datasets

from lince.datasets import open_dataset
from lince.datasets.conversion import convert_dataset, list_writable_formats
from lince.errors import LinceError
from lince.formats import FORMATS, LabelTable, open_table
from lince.storage import scan

DAMAGES = 25  # for each format
LINES = (".txt", ".csv", ".tsv", ".names", ".data")  # truncation at the end of a line cannot be detected
PARTS = (".json", ".record", ".csv")  # several files, each with many photos


@dataclass(frozen=True)
class Whole:
    """A written set: its folder, and its numbers of images and objects."""

    path: Path
    images: int
    objects: int


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Whole]:
    """Return a set in every writable format."""
    root = tmp_path_factory.mktemp("written") / "niño ç"
    photos = sample_datasets.write_photos(root / "fuente")
    found = {}
    for name in list_writable_formats():
        form = FORMATS[name]
        plan = sample_datasets.make_plan(
            np.random.default_rng(3),
            form.capabilities,
            bool(form.capabilities & sample_datasets.SHAPES),
            form.supported_flags,
        )
        done = convert_dataset(sample_datasets.build_dataset(plan, photos), root / name, name)
        found[name] = Whole(root / name, done.images, done.objects)
    return found


@pytest.mark.parametrize("name", list_writable_formats())
def test_damage_is_reported(name: str, whole: dict[str, Whole], tmp_path: Path) -> None:
    for seed in range(DAMAGES):
        folder = tmp_path / str(seed)
        shutil.copytree(whole[name].path, folder)
        damage = break_something(folder, np.random.default_rng([seed, *name.encode()]))
        with contextlib.suppress(LinceError):
            open_dataset(folder)
        with contextlib.suppress(LinceError):
            require_accounted(open_table(folder, name), whole[name], damage)
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Damage:
    """The damage done to a file; ``before`` and ``after`` show the place."""

    kind: str
    file: str
    before: bytes = b""
    after: bytes = b""


def require_accounted(table: LabelTable, whole: Whole, damage: Damage) -> None:
    """Fail unless every image and object is used, something is listed, or the damage is undetectable."""
    objects = 0 if table.objects is None else len(table.objects)
    complete = len(table.names) >= whole.images and objects >= whole.objects
    if complete or table.rejected or table.repaired or is_invisible(damage):
        return
    pytest.fail(f"silent loss: {len(table.names)} of {whole.images} images, {objects} of {whole.objects}: {damage}")


def is_invisible(damage: Damage) -> bool:
    """Return whether the rest is valid by itself: a table with fewer lines, one split without the others."""
    name = damage.file.lower()
    by_lines = damage.kind in ("cut", "emptied") and name.endswith(LINES)
    by_parts = damage.kind == "removed" and name.endswith(PARTS)
    return by_lines or by_parts


def break_something(folder: Path, rng: np.random.Generator) -> Damage:
    """Damage one file below ``folder``: mostly a label file, sometimes a photo."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    labels = [name for name in files if not scan.looks_like_image(name)]
    name = str(rng.choice(labels if labels and rng.random() < 0.9 else files))
    path = folder / name
    data = path.read_bytes()
    kind = str(rng.choice(["flip", "flip", "flip", "cut", "doubled", "removed", "emptied", "scrambled"]))
    at = int(rng.integers(0, max(1, len(data))))
    after = damaged(data, kind, at, rng)
    if after is None:
        path.unlink()
        return Damage(kind, name)
    path.write_bytes(after)
    near = slice(max(0, at - 30), at + 30)
    return Damage(kind, name, data[near], after[near])


def damaged(data: bytes, kind: str, at: int, rng: np.random.Generator) -> bytes | None:
    """Return ``data`` with a byte flipped at ``at``, truncated there, a line repeated, emptied, or shuffled."""
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :] if data else data
    if kind == "scrambled":
        part = np.frombuffer(data[at : at + 20], np.uint8).copy()
        return data[:at] + rng.permutation(part).tobytes() + data[at + 20 :]
    if kind == "doubled":
        start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at) + 1 or len(data)
        return data[:end] + data[start:end] + data[end:]
    return {"cut": data[:at], "emptied": b"", "removed": None}[kind]
