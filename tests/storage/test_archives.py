"""Tar archives, archives in folders, and archives to predict; pipes and devices that nobody waits for."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.support import tiny_classifier
from tests.support.mutated_bytes import draw_mutated

import lince
from lince import fileio, images
from lince.datasets import open_dataset
from lince.errors import DataError, ImageError, LinceError, UsageError
from lince.progress import SilentProgress
from lince.storage import tar
from lince.storage.tar import TarTree

PHOTO = images.encode_png(np.zeros((6, 8, 3), np.uint8))
FILES = {"gato/ñ 1.png": PHOTO, "gato/2.png": PHOTO, "perro/1.png": PHOTO, "perro/nota.txt": b"hola"}


def packed(files: dict[str, bytes], mode: str = "w", top: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def member(**values: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        one = tarfile.TarInfo("a.png")
        for key, value in values.items():
            setattr(one, key, value)
        archive.addfile(one, io.BytesIO(b""))
    return stream.getvalue()


@pytest.mark.parametrize(("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.bz2", "w:bz2"),
                                              ("TXZ", "w:xz")])  # fmt: skip
@pytest.mark.parametrize("top", ["", "./", "datos/"])
def test_a_tar_archive_is_read_as_its_folder(suffix: str, mode: str, top: str, awkward: Path) -> None:
    path = awkward / f"mis fotos.{suffix}"
    path.write_bytes(packed(FILES, mode, top))
    tree = TarTree(path)
    assert {name: tree.read(name) for name in tree.names} == FILES
    assert tree.head("perro/nota.txt", 2) == b"ho"
    dataset = open_dataset(path)
    assert (dataset.format, len(dataset), dataset.classes.names) == ("folders", 3, ("gato", "perro"))
    assert dataset.images.read_image(0).shape == (6, 8, 3)
    assert [item.path for item in dataset.rejected] == ["perro/nota.txt"]
    with pytest.raises(DataError, match="no such file"):
        tree.read("gone")
    with pytest.raises(DataError, match="bytes"):
        tree.read("gato/2.png", 3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (member(name="../a.png"), "outside the archive"),
        (member(name="/a.png"), "outside the archive"),
        (member(type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link or a device"),
        (member(type=tarfile.FIFOTYPE), "a link or a device"),
        (member(type=tarfile.LNKTYPE, linkname="gone"), "cannot be read"),
        (packed({"a.png": bytes(2000)})[:1500], "truncated|unexpected end"),
    ],
)
def test_unsafe_and_truncated_archives_are_refused(data: bytes, said: str, awkward: Path) -> None:
    (awkward / "x.tar").write_bytes(data)
    with pytest.raises(DataError, match=said):
        TarTree(awkward / "x.tar")


def test_archives_that_unpack_without_end_are_refused(awkward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "_EXPANSION_ALLOWANCE", 1000)
    (awkward / "x.tar.gz").write_bytes(gzip.compress(packed({"a.png": bytes(10**7)})))
    with pytest.raises(DataError, match="it unpacks to more than"):
        TarTree(awkward / "x.tar.gz")
    (awkward / "y.tar.gz").write_bytes(gzip.compress(packed(FILES))[:-20])
    with pytest.raises(DataError, match=r"y\.tar\.gz cannot be read"):
        TarTree(awkward / "y.tar.gz")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=draw_mutated(packed(FILES)))
def test_damaged_archives_are_refused_or_read(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    path.write_bytes(data)
    try:
        tree = TarTree(path)
        contents = [tree.read(name) for name in tree.names]
    except LinceError:
        return
    assert all(len(content) <= len(data) for content in contents)


class Messages(SilentProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def show_message(self, text: str) -> None:
        self.texts.append(text)


def test_archives_in_a_folder_of_nothing_else_are_opened_and_told(awkward: Path) -> None:
    (awkward / "set").mkdir()
    (awkward / "set/images.tar.gz").write_bytes(packed({"1.png": PHOTO, "2.png": PHOTO}, "w:gz"))
    for name, text in (("1", "0 .5 .5 .5 .5\n"), ("2", "1 .5 .5 .2 .2\n")):
        (awkward / "l/labels").mkdir(parents=True, exist_ok=True)
        (awkward / f"l/labels/{name}.txt").write_text(text)
    shutil.make_archive(str(awkward / "set/labels"), "zip", awkward / "l")
    (awkward / "set/classes.txt").write_text("gato\nperro\n")
    messages = Messages()
    dataset = open_dataset(awkward / "set", progress=messages)
    assert (dataset.format, len(dataset), dataset.classes.names, dataset.rejected) == ("yolo", 2, ("gato", "perro"), ())
    assert any("images.tar.gz, labels.zip" in text for text in messages.texts)
    assert dataset.images.read_image(1).shape == (6, 8, 3)


def test_an_archive_beside_photos_is_left_alone(awkward: Path) -> None:
    for name, data in FILES.items():
        (awkward / name).parent.mkdir(exist_ok=True)
        (awkward / name).write_bytes(data)
    (awkward / "copia.tar").write_bytes(packed(FILES))
    assert len(open_dataset(awkward)) == 3


def test_archives_are_predicted_as_their_folders(awkward: Path) -> None:
    model = lince.load(tiny_classifier.run_folder(awkward / "run"))
    photos = {
        f"{name}/{i}.png": images.encode_png(tiny_classifier.photo(name)) for name in ("red", "blue") for i in "12"
    }
    for name, data in photos.items():
        (awkward / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (awkward / "d" / name).write_bytes(data)
    (awkward / "fotos ñ.tar.gz").write_bytes(packed(photos, "w:gz"))
    shutil.make_archive(str(awkward / "fotos"), "zip", awkward / "d")
    expected = [(one.name, one.class_name) for one in model.predict_many(awkward / "d")]
    for archive in ("fotos ñ.tar.gz", "fotos.zip"):
        assert [(one.name, one.class_name) for one in model.predict_many(awkward / archive)] == expected
    named = [one.name for one in model.predict_many([awkward / "fotos.zip", awkward / "d/red/1.png"])]
    assert named[0].endswith("fotos.zip/blue/1.png")
    assert len(named) == 5


# Pipes and devices

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")


@pytest.fixture
def alarm() -> Iterator[None]:
    """Interrupt a test that waits."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@needs_pipes
@pytest.mark.usefixtures("alarm")
def test_pipes_and_devices_are_told_and_not_waited_for(awkward: Path) -> None:
    os.mkfifo(awkward / "pipe.jpg")
    for path in (awkward / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(UsageError, match="a pipe, a socket or a device"):
            open_dataset(path)
        with pytest.raises(ImageError, match="a pipe, a socket or a device"):
            images.read_image(path)
        with pytest.raises(OSError, match="a pipe"):
            fileio.open_plain_file(path)
    model = lince.load(tiny_classifier.run_folder(awkward / "run"))
    with pytest.raises(DataError, match="a pipe, a socket or a device"):
        list(model.predict_many(awkward / "pipe.jpg"))
    (awkward / "red.png").write_bytes(images.encode_png(tiny_classifier.photo("red")))
    assert [one.class_name for one in model.predict_many(str(awkward / "*.*g"))] == ["red"]


@needs_pipes
@pytest.mark.usefixtures("alarm")
def test_links_to_pipes_are_refused_by_name(awkward: Path) -> None:
    os.mkfifo(awkward / "pipe")
    for name in ("gato/1.png", "perro/1.png"):
        (awkward / "set" / name).parent.mkdir(parents=True)
        (awkward / "set" / name).write_bytes(PHOTO)
    (awkward / "set/gato/2.png").symlink_to(awkward / "pipe")
    (awkward / "set/gato/3.png").symlink_to("/dev/zero")
    dataset = open_dataset(awkward / "set")
    assert len(dataset) == 2
    assert [item.path for item in dataset.rejected] == ["gato/2.png", "gato/3.png"]
    assert all("pipe" in item.reason for item in dataset.rejected)
