"""File trees: folders, archives and remote storage list the same data; harmful archives are refused."""

from __future__ import annotations

import contextlib
import functools
import http.server
import pickle
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.file_trees import PHOTO, fill, tree_of, zipped

from lince.annotations import StringColumn
from lince.datasets import open_dataset, verify_images
from lince.errors import DataError, LinceError, MissingExtraError, UsageError
from lince.formats import FileTree, LabelTable, open_table
from lince.storage import image_files, scan
from lince.storage.file_list import FileListing
from lince.storage.remote import RemotePath
from lince.storage.resolve import resolve_location
from lince.storage.tree import LocalFolder

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


@pytest.fixture
def memory() -> Iterator[Callable[[str, dict[str, bytes]], str]]:
    """Return a function that writes files into fsspec's in-memory file system."""
    files = pytest.importorskip("fsspec").filesystem("memory")

    def put(folder: str, found: dict[str, bytes]) -> str:
        for name, data in found.items():
            if not name.endswith("/"):
                files.pipe_file(f"/{folder}/{name}", data)
        return f"memory://{folder}"

    yield put
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def content(table: LabelTable) -> tuple[object, ...]:
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
    if form != "csv":  # there, names are relative to the folder of the photos
        assert content(bare) == content(plain)
    assert content(packed) == content(bare)
    assert (plain.tree, packed.root) == (None, awkward / "dos.ZIP")
    assert len(packed.names) == len(plain.names) >= 2


@pytest.mark.parametrize("form", SETS)
def test_remote_storage_holds_the_same_as_its_folder(
    awkward: Path, form: str, memory: Callable[[str, dict[str, bytes]], str]
) -> None:
    near = open_table(zipped(awkward / "x.zip", {name: data for name, data in SETS[form].items() if name[-1] != "/"}))
    url = memory(f"cubo/{form}", SETS[form])
    far = open_table(url)
    trusted = {"images/val/gato_9.jpg"}  # remote files are recognised by suffix only
    assert content(far)[:2] == content(near)[:2]
    assert set(far.names) - trusted == set(near.names)
    assert str(far.root) == url
    if form != "idx":
        dataset = verify_images(open_dataset(url))
        assert len(dataset) == len(near.names)
        assert dataset.images.read_bytes(0) == PHOTO


def test_an_archive_far_away_is_read_in_place(memory: Callable[[str, dict[str, bytes]], str], awkward: Path) -> None:
    data = zipped(awkward / "x.zip", SETS["folders"]).read_bytes()
    url = memory("cubo", {"x.zip": data, "t.csv": SETS["csv"]["tabla.csv"], "ñ.png": PHOTO, "b.png": PHOTO})
    assert content(open_table(f"{url}/x.zip"))[1:3] == content(open_table(awkward / "x.zip"))[1:3]
    assert open_dataset(f"{url}/x.zip").images.read_bytes(1) == PHOTO
    table = open_table(f"{url}/t.csv")
    assert (list(table.names), str(table.root)) == (["ñ.png", "b.png"], url)
    with pytest.raises(UsageError, match="nothing at"):
        open_table(f"{url}/none.zip")


def test_an_address_of_this_machine_is_a_path(awkward: Path) -> None:
    fill(awkward, SETS["folders"])
    assert open_dataset(awkward.as_uri()).root == awkward


def test_addresses_show_themselves_as_typed() -> None:
    root = RemotePath("s3://cubo/fotos de niños")
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
        assert dataset.images.read_bytes(7) == big["b/2.png"]
        count = len(asked)
        assert dataset.images.read_bytes(3) == big["a/3.png"]
        assert len(asked) == count + parts  # by a range request, or from a block fetched before


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


# Listings


NAMES = st.lists(
    st.lists(st.sampled_from(["a", "b", "A 2", "a10", "ñ.png", "x.json", "c.d"]), min_size=1, max_size=4).map("/".join),
    unique=True,
)


@given(NAMES)
def test_a_listing_knows_its_folders(names: list[str]) -> None:
    listing = FileListing(scan.sort_entries(names))
    assert sorted(listing.names) == sorted(names)
    folders = {"/".join(name.split("/")[:depth]) for name in names for depth in range(name.count("/") + 1)}
    for folder in folders | {"", "none"}:
        start = f"{folder}/" if folder else ""
        below = [name[len(start) :] for name in names if name.startswith(start)]
        assert sorted(listing.iterate_files(folder)) == sorted(below)
        assert sorted(listing.list_files(folder)) == sorted(name for name in below if "/" not in name)
        assert set(listing.list_folders(folder)) == {name.split("/")[0] for name in below if "/" in name}
    for ending in (".json", ".png", "x.json", "2", ".d"):
        assert listing.find_by_suffix(ending) == [name for name in listing.names if name.endswith(ending)]
    assert listing.find_by_suffix(".png", ".json") == [n for n in listing.names if n.endswith((".png", ".json"))]


@given(NAMES)
@settings(max_examples=25, deadline=None)
def test_folders_and_archives_list_alike(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folders = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    found = dict.fromkeys(("x", *(name for name in names if name not in folders)), b"")
    root = fill(tmp_path_factory.mktemp("tree"), {f"top/{name}": data for name, data in found.items()})
    path = zipped(root / "x.zip", {f"top/{name}": data for name, data in found.items()} | {"other": b""})
    trees: list[FileTree] = [LocalFolder(root / "top"), tree_of(path)]
    assert [f"top/{name}" for name in trees[0].names] == [name for name in trees[1].names if name != "other"]


@given(st.lists(st.sampled_from(["a.png", "b.JPG", "g", "x.jp", ".jpeg", "é.TiF", "ñ", "a.txt", "jpg", "x.png.zip"])))
def test_endings_are_told_in_bytes_as_in_letters(names: list[str]) -> None:
    column = StringColumn.from_strings(["?", *names]).take(np.s_[1:])
    found = image_files._rows_without_image_suffix(column) if names else []
    assert found == [i for i, name in enumerate(names) if not scan.looks_like_image(name)]


def test_folders_without_files_are_listed(awkward: Path) -> None:
    fill(awkward / "d", {"a/b/": b"", "a/c/1.txt": b"", "e/": b""})
    path = zipped(awkward / "x.zip", {"a/": b"", "a/b/": b"", "a/c/1.txt": b"", "e/": b"", "1": b""})
    for tree in (LocalFolder(awkward / "d"), tree_of(path)):
        assert (tree.listing.list_folders(), tree.listing.list_folders("a")) == (["a", "e"], ["b", "c"])


def test_files_are_found_by_suffix(awkward: Path) -> None:
    fill(awkward, {"b/x.XML": b"", "a.xml": b"", "c.json": b""})
    assert resolve_location(awkward).find_by_suffix(".xml") == ["a.xml", "b/x.XML"]
    assert resolve_location(awkward / "a.xml").find_by_suffix(".xml", ".json") == ["a.xml"]
    assert resolve_location(awkward / "a.xml").find_by_suffix(".json") == []
