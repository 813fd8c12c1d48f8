"""Digests of files are remembered only while the files are surely the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from lince import fileio
from lince.annotations import StringColumn
from lince.datasets.digest_memo import DigestMemo
from lince.datasets.image_source import FileImages


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"first")
    return path


class Reader:
    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0

    def __call__(self) -> str:
        self.count += 1
        return fileio.compute_digest(self.path.read_bytes())


def age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten seconds pass for the memo."""
    now = time.time_ns()
    monkeypatch.setattr("lince.datasets.digest_memo.time.time_ns", lambda: now + 10_000_000_000)


def test_a_settled_file_is_read_once(old_file, monkeypatch):
    memo, reader = DigestMemo(), Reader(old_file)
    assert memo.find(str(old_file)) == ""
    age(monkeypatch)
    digests = {memo.get_digest(str(old_file), reader) for _turn in range(3)}
    assert digests == {fileio.compute_digest(b"first")}
    assert reader.count == 1
    assert memo.find(str(old_file)) in digests


def test_a_file_that_has_just_changed_is_read_each_time(old_file):
    memo, reader = DigestMemo(), Reader(old_file)
    for _turn in range(3):
        memo.get_digest(str(old_file), reader)
    assert reader.count == 3
    assert memo.find(str(old_file)) == ""


@pytest.mark.parametrize("keeps_size", [True, False])
def test_a_file_with_another_content_is_read_again(old_file, monkeypatch, keeps_size):
    memo, reader = DigestMemo(), Reader(old_file)
    age(monkeypatch)
    memo.get_digest(str(old_file), reader)
    before = old_file.stat()
    time.sleep(0.05)  # longer than a tick of the file system's clock
    content = b"other" if keeps_size else b"longer than before"
    old_file.write_bytes(content)
    os.utime(old_file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a program that restores times does
    assert memo.find(str(old_file)) == ""
    assert memo.get_digest(str(old_file), reader) == fileio.compute_digest(content)


def test_a_file_that_is_missing_is_not_remembered(tmp_path, monkeypatch):
    age(monkeypatch)
    memo = DigestMemo()
    path = tmp_path / "none.jpg"
    assert memo.get_digest(str(path), lambda: "no file") == "no file"
    assert memo.find(str(path)) == ""


def test_the_images_of_a_folder_know_the_keys_that_they_have_computed(old_file, monkeypatch):
    age(monkeypatch)
    source = FileImages(old_file.parent, StringColumn.from_strings([old_file.name]))
    assert source.find_known_key(0) == ""
    key = source.compute_key(0)
    assert key == fileio.compute_digest(b"first") == source.find_known_key(0)
    assert source.select(np.array([0])).find_known_key(0) == key
