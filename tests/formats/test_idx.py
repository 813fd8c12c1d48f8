"""idx files (MNIST): pairs, splits and damage."""

from __future__ import annotations

import contextlib
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lince.errors import AmbiguousError, DataError
from lince.formats import idx, open_table
from lince.splits import TEST, TRAIN


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def mnist_like(root: Path, *, zipped: bool, sets: tuple[str, ...] = ("train", "t10k")) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {}
    for count, name in enumerate(sets, 3):
        made[name] = rng.integers(0, 256, (count, 5, 4), np.uint8)
        for what, array in {"images-idx3": made[name], "labels-idx1": np.arange(count) * 3}.items():
            data = idx_bytes(array)
            ending = ".gz" if zipped else ""
            (root / f"{name}-{what}-ubyte{ending}").write_bytes(gzip.compress(data) if zipped else data)
    return made


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files(awkward: Path, zipped: bool) -> None:
    made = mnist_like(awkward, zipped=zipped)
    table = open_table(awkward)
    assert table.format == "idx"
    assert table.classes.names == ("0", "3", "6", "9")
    assert table.splits.tolist() == [TRAIN] * 3 + [TEST] * 4
    assert table.class_ids.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert table.pixels is not None
    everything = [*made["train"], *made["t10k"]]
    assert all(np.array_equal(table.pixels[i], image) for i, image in enumerate(everything))
    with pytest.raises(IndexError):
        table.pixels[7]
    one = next(path for path in awkward.iterdir() if path.name.startswith("t10k-images"))
    assert set(open_table(one).splits.tolist()) == {TEST}


def spoil(path: Path, change: bytes | None, end: int | None = None) -> None:
    data = path.read_bytes()
    path.write_bytes((change or b"") + data[len(change or b"") : end])


@pytest.mark.parametrize("zipped", [False, True])
def test_spoilt_idx_files_are_refused(awkward: Path, zipped: bool) -> None:
    ending = ".gz" if zipped else ""
    made = idx_bytes(np.zeros((3, 5, 4)))
    spoilt = {
        "cut": made[:-1], "long": made + b"x", "type": b"\0\0\x0d" + made[3:], "head": made[:7], "empty": b"",
        "huge": made[:4] + b"\xff" * 12 + made[16:], "flat": made[:12] + b"\0\0\0\0",
    }  # fmt: skip
    for name, data in spoilt.items():
        mnist_like(awkward, zipped=zipped)
        images_file = awkward / f"train-images-idx3-ubyte{ending}"
        images_file.write_bytes(gzip.compress(data) if zipped else data)
        with pytest.raises(DataError, match="train-images") as caught:
            open_table(awkward)
        assert caught.value.expected or caught.value.remedy or "asks for" in caught.value.problem, name


def test_a_gzip_that_is_cut_off_is_refused(awkward: Path) -> None:
    mnist_like(awkward, zipped=True)
    path = awkward / "train-images-idx3-ubyte.gz"
    for data in (path.read_bytes()[:-9], b"plain", path.read_bytes()[:4]):
        path.write_bytes(data)
        with pytest.raises(DataError, match="train-images"):
            open_table(awkward)


def test_idx_files_need_their_partners(awkward: Path) -> None:
    mnist_like(awkward, zipped=False)
    (awkward / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(3)))
    with pytest.raises(DataError, match="3 labels"):
        open_table(awkward)
    (awkward / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="without its matching file"):
        open_table(awkward)


def test_several_idx_sets_in_one_folder_are_refused_until_one_is_named(awkward: Path) -> None:
    mnist_like(awkward, zipped=False, sets=("letters-train", "digits-train"))
    with pytest.raises(AmbiguousError, match="letters-train"):
        open_table(awkward)
    assert len(open_table(awkward / "digits-train-images-idx3-ubyte").names) == 4


@given(st.binary(max_size=60))
@example(idx_bytes(np.ones((2, 3))))
def test_any_bytes_as_idx(data: bytes) -> None:
    for content in (data, b"\0\0\x08" + data):
        with contextlib.suppress(DataError):
            assert idx_bytes(idx.parse_idx(content)) == content
