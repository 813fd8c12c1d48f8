"""Folders, archives and far places hold the same data, and an archive made to harm does none."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import os
import pickle
import stat
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince import images
from lince.annotations import Strings
from lince.data import open_dataset, verify
from lince.errors import DataError, LinceError, MissingExtraError, UsageError
from lince.labels import Table, Tree, open_table, scan, sniff
from lince.labels.archive import Archive, FileBlock
from lince.labels.listing import Listing
from lince.labels.place import place
from lince.labels.remote import Address
from lince.labels.tree import Folder

PHOTO = images.encode_png(np.zeros((2, 3, 3), np.uint8))
IDX = {
    "train-images-idx3-ubyte": struct.pack(">BBBB3I", 0, 0, 8, 3, 2, 2, 2) + bytes(8),
    "train-labels-idx1-ubyte": struct.pack(">BBBBI", 0, 0, 8, 1, 2) + b"\1\2",
}
SETS: dict[str, dict[str, bytes]] = {
    "folders": {
        **dict.fromkeys(["train/niño/a b.png", "train/ção/1.png", "test/niño/é.png", "test/ção/deep/2.png"], PHOTO),
        "train/ção/notes.txt": b"words",
        "train/leer/": b"",
        "stray.png": PHOTO,
    },
    "names": {
        **dict.fromkeys(["images/train/gato_1.png", "images/train/cão_1.png", "images/val/cão_2.png"], PHOTO),
        "images/val/gato_2.png": PHOTO,
        "images/val/gato_9.jpg": b"words",
        "images/train/.DS_Store": b"x",
    },
    "csv": {
        "images/ñ.png": PHOTO,
        "images/b.png": PHOTO,
        "tabla.csv": "file,class,split\nñ.png,x,train\nb.png,y,\ngone.png,x,\n".encode(),
    },
    "idx": IDX,
}


def fill(root: Path, found: dict[str, bytes]) -> Path:
    for name, data in found.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (root / name).mkdir(parents=True)
        else:
            (root / name).write_bytes(data)
    return root


def zipped(path: Path, found: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def memory() -> Iterator[Callable[[str, dict[str, bytes]], str]]:
    """Puts files into fsspec's file system in memory."""
    files = pytest.importorskip("fsspec").filesystem("memory")

    def put(folder: str, found: dict[str, bytes]) -> str:
        for name, data in found.items():
            if not name.endswith("/"):
                files.pipe_file(f"/{folder}/{name}", data)
        return f"memory://{folder}"

    yield put
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def content(table: Table) -> tuple[object, ...]:
    pixels = None if table.pixels is None else [table.pixels[i].tobytes() for i in range(len(table.pixels))]
    refused = sorted((refusal.path, refusal.line, refusal.reason) for refusal in table.rejected)
    rows = (list(table.names), table.class_ids.tolist(), table.splits.tolist())
    return table.format, table.classes, rows, refused, pixels


# The same data in every kind of tree


@pytest.mark.parametrize("form", SETS)
def test_an_archive_holds_what_its_folder_holds(awkward: Path, form: str) -> None:
    folder = fill(awkward / "datos", SETS[form])
    plain = open_table(folder)
    bare = open_table(zipped(awkward / "uno.zip", SETS[form], zipfile.ZIP_STORED))
    packed = open_table(zipped(awkward / "dos.ZIP", {f"mis datos/{name}": data for name, data in SETS[form].items()}))
    if form != "csv":  # there, a folder's names start where the photos lie
        assert content(bare) == content(plain)
    assert content(packed) == content(bare)
    assert (plain.tree, packed.root) == (None, awkward / "dos.ZIP")
    assert len(packed.names) == len(plain.names) >= 2


@pytest.mark.parametrize("form", SETS)
def test_a_far_place_holds_what_its_folder_holds(
    awkward: Path, form: str, memory: Callable[[str, dict[str, bytes]], str]
) -> None:
    near = open_table(zipped(awkward / "x.zip", {name: data for name, data in SETS[form].items() if name[-1] != "/"}))
    url = memory(f"cubo/{form}", SETS[form])
    far = open_table(url)
    trusted = {"images/val/gato_9.jpg"}  # far away, only endings are looked at
    assert content(far)[:2] == content(near)[:2]
    assert set(far.names) - trusted == set(near.names)
    assert str(far.root) == url
    if form != "idx":
        dataset = verify(open_dataset(url))
        assert len(dataset) == len(near.names)
        assert dataset.images.data(0) == PHOTO


def test_an_archive_far_away_is_read_in_place(memory: Callable[[str, dict[str, bytes]], str], awkward: Path) -> None:
    data = zipped(awkward / "x.zip", SETS["folders"]).read_bytes()
    url = memory("cubo", {"x.zip": data, "t.csv": SETS["csv"]["tabla.csv"], "ñ.png": PHOTO, "b.png": PHOTO})
    assert content(open_table(f"{url}/x.zip"))[1:3] == content(open_table(awkward / "x.zip"))[1:3]
    assert open_dataset(f"{url}/x.zip").images.data(1) == PHOTO
    table = open_table(f"{url}/t.csv")
    assert (list(table.names), str(table.root)) == (["ñ.png", "b.png"], url)
    with pytest.raises(UsageError, match="nothing at"):
        open_table(f"{url}/none.zip")


def test_an_address_of_this_machine_is_a_path(awkward: Path) -> None:
    fill(awkward, SETS["folders"])
    assert open_dataset(awkward.as_uri()).root == awkward


def test_addresses_show_themselves_as_typed() -> None:
    root = Address("s3://cubo/fotos de niños")
    assert str(root / "a" / "b.png") == "s3://cubo/fotos de niños/a/b.png"
    assert str(pickle.loads(pickle.dumps(root)).parent) == "s3://cubo"


@pytest.mark.parametrize("url", ["nada://x", "http://[x/y.zip"])
def test_an_address_that_nobody_knows(url: str) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(LinceError):
        open_dataset(url)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"\.\[remote\]"):
        open_dataset("s3://cubo/x")


# A web server


class _Server(http.server.SimpleHTTPRequestHandler):
    parts = True
    asked: list[str]

    def log_message(self, *args: object) -> None:
        self.asked.append(self.path)

    def do_GET(self) -> None:
        span = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if not (self.parts and span and path.is_file()):
            return super().do_GET()
        first, last = span.removeprefix("bytes=").split("-")
        data = path.read_bytes()
        piece = data[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(piece)))
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(piece) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(piece)
        return None


@contextlib.contextmanager
def serving(folder: Path, *, parts: bool = True) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (_Server,), {"parts": parts, "asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("parts", [True, False])
def test_an_archive_on_a_web_server(awkward: Path, parts: bool) -> None:
    pytest.importorskip("aiohttp")
    rng = np.random.default_rng(0)
    big = {f"{name}/{i}.png": PHOTO + rng.bytes(300_000) for name in "ab" for i in range(5)}
    zipped(awkward / "fotos.zip", big)
    with serving(awkward, parts=parts) as (url, asked):
        dataset = open_dataset(f"{url}/fotos.zip?key=secret")
        assert str(dataset.root) == f"{url}/fotos.zip"
        assert dataset.images.data(7) == big["b/2.png"]
        count = len(asked)
        assert dataset.images.data(3) == big["a/3.png"]
        assert len(asked) == count + parts  # by a part of its own, or from what was fetched at once


def test_files_on_a_web_server(awkward: Path) -> None:
    pytest.importorskip("aiohttp")
    fill(awkward, SETS["csv"])
    (awkward / "page.html").write_text("<!DOCTYPE html><html></html>")
    with serving(awkward) as (url, _asked):
        table = open_table(f"{url}/tabla.csv")
        assert list(table.names) == ["images/ñ.png", "images/b.png"]
        assert [refusal.line for refusal in table.rejected] == [4]
        for path in ("page.html", "", "images/"):
            with pytest.raises(UsageError, match="web page"):
                open_table(f"{url}/{path}")
        with pytest.raises(UsageError, match="nothing at"):
            open_table(f"{url}/none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        open_table(f"{url}/tabla.csv")


# Archives as trees


def tree_of(path: Path) -> Archive:
    return Archive(path, FileBlock(path))


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
    start = time.perf_counter()
    assert [tree.head("a/x", count) for count in (0, 1, 70_000)] == [b"", b"\0", data[:70_000]]
    assert time.perf_counter() - start < 0.1
    with pytest.raises(DataError, match="10,240,000 bytes"):
        tree.read("a/x", at_most=len(data) - 1)
    assert tree.read("a/x", at_most=len(data)) == data


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


# Archives made to harm


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
    with pytest.raises(DataError, match="leads out") as caught:
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
    """Write an archive of zeros that unpacks to ``gigabytes``, without ever holding them."""
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


def test_a_bomb_is_refused_at_once(awkward: Path) -> None:
    path = huge(awkward / "x.zip", 10)
    start = time.perf_counter()
    with pytest.raises(DataError, match="would unpack to 10,737,418,240"):
        open_dataset(path)
    assert time.perf_counter() - start < 0.1
    assert os.listdir(awkward) == ["x.zip"]


def test_files_that_share_their_bytes_are_refused(awkward: Path) -> None:
    """A bomb of this kind (Fifield, 2019) declares each file honestly, all of them in the same place."""
    path = lay(awkward / "x.zip", ("a/1.png", PHOTO), ("b/1.png", PHOTO))
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\1\2")
    struct.pack_into("<I", data, second + 42, 0)
    path.write_bytes(data)
    with pytest.raises(DataError, match="lies over"):
        open_dataset(path)


def changed(path: Path, name: bytes, offset: int, form: str, value: int) -> Path:
    """Change a field in the directory's entry of ``name``."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(name) - 46
    struct.pack_into(form, data, entry + offset, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("offset", "form", "value", "reason"),
    [
        (8, "<H", 1, "encrypted"),
        (10, "<H", 12, "packed in a rare way"),
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
    dataset = verify(open_dataset(path))
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
    assert "x.zip" in caught.value.found


def test_an_entry_that_swallows_the_next_is_no_silent_loss(awkward: Path) -> None:
    path = lay(awkward / "x.zip", *[(f"{name}/{i}.png", PHOTO) for name in "ab" for i in range(9)])
    with pytest.raises(DataError, match="its list names 16 files, not 18"):
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
        dataset = verify(open_dataset(path))
        assert {dataset.images.data(i) for i in range(len(dataset))} <= {PHOTO}
        assert dataset.total == 4


# Listings


NAMES = st.lists(
    st.lists(st.sampled_from(["a", "b", "A 2", "a10", "ñ.png", "x.json", "c.d"]), min_size=1, max_size=4).map("/".join),
    unique=True,
)


@given(NAMES)
def test_a_listing_knows_its_folders(names: list[str]) -> None:
    listing = Listing(scan.in_order(names))
    assert sorted(listing.names) == sorted(names)
    folders = {"/".join(name.split("/")[:depth]) for name in names for depth in range(name.count("/") + 1)}
    for folder in folders | {"", "none"}:
        start = f"{folder}/" if folder else ""
        below = [name[len(start) :] for name in names if name.startswith(start)]
        assert sorted(listing.below(folder)) == sorted(below)
        assert sorted(listing.files(folder)) == sorted(name for name in below if "/" not in name)
        assert set(listing.folders(folder)) == {name.split("/")[0] for name in below if "/" in name}
    for ending in (".json", ".png", "x.json", "2", ".d"):
        assert listing.ending(ending) == [name for name in listing.names if name.endswith(ending)]
    assert listing.ending(".png", ".json") == [n for n in listing.names if n.endswith((".png", ".json"))]


@given(NAMES)
@settings(max_examples=25, deadline=None)
def test_folders_and_archives_list_alike(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folders = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    found = dict.fromkeys(("x", *(name for name in names if name not in folders)), b"")
    root = fill(tmp_path_factory.mktemp("tree"), {f"top/{name}": data for name, data in found.items()})
    path = zipped(root / "x.zip", {f"top/{name}": data for name, data in found.items()} | {"other": b""})
    trees: list[Tree] = [Folder(root / "top"), tree_of(path)]
    assert [f"top/{name}" for name in trees[0].names] == [name for name in trees[1].names if name != "other"]


@given(st.lists(st.sampled_from(["a.png", "b.JPG", "g", "x.jp", ".jpeg", "é.TiF", "ñ", "a.txt", "jpg", "x.png.zip"])))
def test_endings_are_told_in_bytes_as_in_letters(names: list[str]) -> None:
    column = Strings.of(["?", *names]).take(np.s_[1:])
    found = sniff._other_endings(column) if names else []
    assert found == [i for i, name in enumerate(names) if not scan.looks_like_image(name)]


def test_hollow_folders_are_listed(awkward: Path) -> None:
    fill(awkward / "d", {"a/b/": b"", "a/c/1.txt": b"", "e/": b""})
    path = zipped(awkward / "x.zip", {"a/": b"", "a/b/": b"", "a/c/1.txt": b"", "e/": b"", "1": b""})
    for tree in (Folder(awkward / "d"), tree_of(path)):
        assert (tree.listing.folders(), tree.listing.folders("a")) == (["a", "e"], ["b", "c"])


def test_what_an_ending_asks_for(awkward: Path) -> None:
    fill(awkward, {"b/x.XML": b"", "a.xml": b"", "c.json": b""})
    assert place(awkward).ending(".xml") == ["a.xml", "b/x.XML"]
    assert place(awkward / "a.xml").ending(".xml", ".json") == ["a.xml"]
    assert place(awkward / "a.xml").ending(".json") == []
