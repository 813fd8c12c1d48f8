"""Zip archives: read in place by several threads; harmful and damaged ones are refused."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import stat
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.file_trees import PHOTO, tree_of, zipped

from lince.datasets import open_dataset, verify_images
from lince.errors import DataError, LinceError
from lince.formats import open_table


@contextlib.contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Return a function that gives the peak number of bytes allocated by Python since the start."""
    tracemalloc.start()
    peak: list[int] = []
    try:
        yield lambda: peak[0] if peak else tracemalloc.get_traced_memory()[1]
    finally:
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


# Archives as trees


def test_what_systems_leave_in_archives_is_passed_over(awkward: Path) -> None:
    found = dict.fromkeys(["d/a/1.png", "d/b/2.png", "__MACOSX/d/a/._1.png", "d/.git/x", "d/a/Thumbs.db"], PHOTO)
    tree = tree_of(zipped(awkward / "x.zip", found))
    assert tree.names == ("a/1.png", "b/2.png")
    assert not tree.has("d/a/1.png")
    with pytest.raises(DataError, match="no such file"):
        tree.read("d/a/1.png")


def test_a_lone_split_folder_says_what_is_in_it(awkward: Path) -> None:
    table = open_table(zipped(awkward / "x.zip", dict.fromkeys(["train/a/1.png", "train/b/1.png"], PHOTO)))
    assert list(table.names) == ["train/a/1.png", "train/b/1.png"]
    assert set(table.splits.tolist()) == {0}


def test_threads_and_processes_read_one_archive(awkward: Path) -> None:
    rng = np.random.default_rng(0)
    found = {f"a/{i}": rng.bytes(rng.integers(1, 200_000)) for i in range(60)}
    tree = tree_of(zipped(awkward / "x.zip", found | {"b/empty": b""}))
    again = pickle.loads(pickle.dumps(tree))
    with ThreadPoolExecutor(16) as pool:
        for _turn in range(3):
            assert list(pool.map(again.read, found)) == list(found.values())
    assert tree.read("b/empty") == tree.head("b/empty", 9) == b""


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_head_unpacks_no_more_than_asked(awkward: Path, method: int) -> None:
    data = bytes(range(256)) * 40_000
    tree = tree_of(zipped(awkward / "x.zip", {"a/x": data, "b": b""}, method))
    with peak_memory() as peak:
        assert [tree.head("a/x", count) for count in (0, 1, 70_000)] == [b"", b"\0", data[:70_000]]
    assert peak() < 1_000_000
    with pytest.raises(DataError, match="10,240,000 bytes"):
        tree.read("a/x", max_bytes=len(data) - 1)
    assert tree.read("a/x", max_bytes=len(data)) == data


@pytest.mark.parametrize(("encoding", "name"), [("utf-8", "niño ção.png"), ("cp850", "niño ção.png")])
def test_names_that_do_not_say_how_they_are_written(awkward: Path, encoding: str, name: str) -> None:
    raw = name.encode(encoding)
    path = zipped(awkward / "x.zip", {"a/" + "x" * len(raw): PHOTO, "b": b""})
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    assert tree_of(path).names == ("b", f"a/{name}")


def test_names_with_the_bars_of_windows(awkward: Path) -> None:
    path = zipped(awkward / "x.zip", {"a|1.png": PHOTO, "b|.|1.png": PHOTO})
    path.write_bytes(path.read_bytes().replace(b"|", b"\\"))
    assert tree_of(path).names == ("a/1.png", "b/1.png")


# Harmful archives


def lay(path: Path, *entries: tuple[str, bytes] | tuple[zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, contextlib.suppress(UserWarning):
        for name, data in entries:
            archive.writestr(name, data)
    return path


def link(name: str, mode: int = stat.S_IFLNK | 0o777) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/etc/x.png", "C:/x.png", "c:x.png", "..\\x.png", "a/..", "//host/x", "\\x"]
)
def test_a_name_that_leads_out_is_refused(awkward: Path, name: str) -> None:
    path = lay(awkward / "x.zip", ("a/1.png", PHOTO), ("b/1.png", PHOTO), (name, PHOTO))
    before = sorted(awkward.parent.rglob("*"))
    with pytest.raises(DataError, match="points outside") as caught:
        open_dataset(path)
    assert caught.value.expected
    assert sorted(awkward.parent.rglob("*")) == before


def test_a_name_cut_by_a_zero_byte_is_refused(awkward: Path) -> None:
    path = lay(awkward / "x.zip", ("a/1.png|.exe", PHOTO), ("b", b""))
    path.write_bytes(path.read_bytes().replace(b"|", b"\0"))
    with pytest.raises(DataError):
        open_dataset(path)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(awkward: Path, mode: int) -> None:
    path = lay(awkward / "x.zip", ("a/1.png", PHOTO), (link("b/passwd.png", mode | 0o644), b"/etc/passwd"))
    with pytest.raises(DataError, match=r"passwd\.png"):
        open_dataset(path)


def test_a_name_that_stands_twice_is_refused(awkward: Path) -> None:
    path = lay(awkward / "x.zip", ("a/1.png", PHOTO), ("a/|.png", b"other"))
    path.write_bytes(path.read_bytes().replace(b"|", b"1"))
    with pytest.raises(DataError, match="twice"):
        open_dataset(path)


def huge(path: Path, gigabytes: int) -> Path:
    """Write an archive of zeros that unpacks to ``gigabytes``, without holding them in memory."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = pack.compress(bytes(1 << 24)) + pack.flush(zlib.Z_FULL_FLUSH)
    turns = gigabytes * 64
    data = block + block[: len(block)] * (turns - 1) + b"\3\0"
    crc = 0  # never reached
    size = turns << 24
    name = b"a/1.png"
    extra = struct.pack("<HHQQ", 1, 16, size, len(data))
    head = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 45, 0, 8, 0, 0, crc, 2**32 - 1, 2**32 - 1, len(name), len(extra))
    local = head + name + extra + data
    lengths = len(name), len(extra), 0, 0, 0, 0, 0
    central = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 45, 45, 0, 8, 0, 0, crc, 2**32 - 1, 2**32 - 1, *lengths)
    central += name + extra
    path.write_bytes(local + central + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0))
    return path


def test_a_bomb_is_refused_before_it_is_unpacked(awkward: Path) -> None:
    path = huge(awkward / "x.zip", 10)
    with peak_memory() as peak, pytest.raises(DataError, match="would unpack to 10,737,418,240"):
        open_dataset(path)
    assert peak() < 20_000_000
    assert os.listdir(awkward) == ["x.zip"]


def test_files_that_share_their_bytes_are_refused(awkward: Path) -> None:
    """Such a bomb (Fifield, 2019) declares correct sizes, with all entries at the same position."""
    path = lay(awkward / "x.zip", ("a/1.png", PHOTO), ("b/1.png", PHOTO))
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\1\2")
    struct.pack_into("<I", data, second + 42, 0)
    path.write_bytes(data)
    with pytest.raises(DataError, match="overlaps"):
        open_dataset(path)


def changed(path: Path, name: bytes, offset: int, form: str, value: int) -> Path:
    """Change a field in the central directory entry of ``name``."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(name) - 46
    struct.pack_into(form, data, entry + offset, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("offset", "form", "value", "reason"),
    [
        (8, "<H", 1, "encrypted"),
        (10, "<H", 12, "unsupported compression method"),
        (16, "<I", 7, "damaged"),
        (24, "<I", 10, "damaged"),
        (24, "<I", 10_000_000, "damaged"),
    ],
    ids=["encrypted", "bzip2", "crc", "declares less", "declares more"],
)
def test_an_entry_that_cannot_be_had_is_named(awkward: Path, offset: int, form: str, value: int, reason: str) -> None:
    names = ("a/1.png", "a/2.png", "b/3.png", "b/4.png")
    path = changed(lay(awkward / "x.zip", *[(name, PHOTO) for name in names]), b"b/4.png", offset, form, value)
    with pytest.raises(DataError, match=reason):
        tree_of(path).read("b/4.png")
    dataset = verify_images(open_dataset(path))
    assert [refusal.path for refusal in dataset.rejected] == ["b/4.png"]
    assert reason in str(dataset.rejected[0])
    assert len(dataset) == 3


def test_the_header_before_an_entry_must_be_there(awkward: Path) -> None:
    path = lay(awkward / "x.zip", ("a/1.png", PHOTO), ("b/2.png", PHOTO))
    path.write_bytes(b"XX" + path.read_bytes()[2:])
    with pytest.raises(DataError, match="damaged"):
        tree_of(path).read("a/1.png")


@pytest.mark.parametrize("end", [5, 30, -1, -40])
def test_an_archive_that_is_cut_off_is_refused(awkward: Path, end: int) -> None:
    path = lay(awkward / "x.zip", ("a/1.png", PHOTO), ("b/2.png", PHOTO))
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(DataError, match="copy it again") as caught:
        open_dataset(path)
    assert "x.zip" in caught.value.problem


def test_an_entry_that_overlaps_the_next_is_reported(awkward: Path) -> None:
    path = lay(awkward / "x.zip", *[(f"{name}/{i}.png", PHOTO) for name in "ab" for i in range(9)])
    with pytest.raises(DataError, match="its list contains 16 files, not 18"):
        open_dataset(changed(path, b"a/3.png", 32, "<H", 2 * (46 + 7)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_an_archive(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/1.png", "a/é.png", "b/1.png", "b/notes.txt"):
            archive.writestr(name, PHOTO)
    found = bytearray(buffer.getvalue())
    for _change in range(data.draw(st.integers(1, 8))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "any.zip"
    path.write_bytes(b"PK\3\4" + bytes(found[4:]))
    with contextlib.suppress(LinceError):
        dataset = verify_images(open_dataset(path))
        assert {dataset.images.read_bytes(i) for i in range(len(dataset))} <= {PHOTO}
        strays = [name for name in dataset.images.tree.names if "/" not in name]  # beside class folders: no label
        assert dataset.total_count + len(strays) >= 4
