"""Files that another program holds: tried again, then said, and nothing lost or half-written; paths in commands."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from lince import fileio
from lince.cli.main import main
from lince.errors import FileInUseError

HELD = PermissionError(13, "The process cannot access the file because it is being used by another process")


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch):
    """Return a function that lets the next ``count`` renames fail as on Windows, and returns the waits."""
    slept: list[float] = []
    monkeypatch.setattr(fileio.time, "sleep", slept.append)

    def start(name: str, count: int) -> list[float]:
        original, left = getattr(os, name), [count]

        def rename(source, target):
            if left[0]:
                left[0] -= 1
                raise HELD
            original(source, target)

        monkeypatch.setattr(fileio.os, name, rename)
        return slept

    return start


def test_a_file_that_is_held_for_a_moment_is_written(tmp_path: Path, hold):
    slept = hold("replace", 3)
    fileio.write_text(tmp_path / "answers.csv", "new")
    assert (tmp_path / "answers.csv").read_text() == "new"
    assert len(slept) == 3
    assert slept == sorted(slept)
    assert sum(fileio._RETRY_SECONDS) < 5


def test_a_file_that_stays_open_in_another_program_is_kept_and_said(tmp_path: Path, hold):
    (tmp_path / "answers.csv").write_text("old")
    hold("replace", 10**6)
    with pytest.raises(FileInUseError, match="Excel") as caught:
        fileio.write_text(tmp_path / "answers.csv", "new")
    assert "answers.csv" in caught.value.problem
    assert "OneDrive" in caught.value.expected
    assert isinstance(caught.value, OSError)  # a cache that cannot be written is done without
    assert (tmp_path / "answers.csv").read_text() == "old"
    assert os.listdir(tmp_path) == ["answers.csv"]


def test_a_folder_that_is_held_for_a_moment_appears(tmp_path: Path, hold):
    hold("rename", 2)
    with fileio.atomic_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")
    assert os.listdir(tmp_path / "out") == ["a.txt"]


def test_a_folder_that_stays_held_leaves_nothing(tmp_path: Path, hold):
    hold("rename", 10**6)
    with pytest.raises(FileInUseError, match="OneDrive"), fileio.atomic_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_exists_is_not_taken_for_one_that_is_held(tmp_path: Path, hold):
    slept = hold("rename", 0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError), fileio.atomic_folder(tmp_path / "out"):
        pass
    assert not slept
    assert os.listdir(tmp_path / "out") == ["mine.txt"]


def test_the_command_says_who_may_hold_the_file(tmp_path: Path, hold, monkeypatch, capsys):
    from tests.support import tiny_classifier
    from tests.test_outputs import write_photo

    monkeypatch.chdir(tmp_path)
    tiny_classifier.run_folder(tmp_path / "run")
    write_photo(tmp_path / "photo.png", (230, 20, 20), 0)
    hold("replace", 10**6)
    assert main(["predict", "run", "photo.png", "--csv", "answers.csv"]) == 1
    assert "Excel" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["photo.png", "run"]


@pytest.mark.skipif(os.name == "nt", reason="bash")
@pytest.mark.parametrize("path", ["runs/train", "fotos niño", "it's $HOME & more", "niño.jpg", "~/a", "a;b", ""])
def test_a_quoted_path_is_one_word_to_the_shell(path: str) -> None:
    typed = fileio.quote_path(path)
    shown = subprocess.run(["bash", "-c", f"printf %s {typed}"], capture_output=True, check=True, encoding="utf-8")
    assert shown.stdout == path
    assert shlex.split(typed) == [path]


def test_a_path_is_only_quoted_where_it_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fileio.quote_path("runs/niño-2") == "runs/niño-2"
    assert fileio.quote_path("my runs") == "'my runs'"
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")  # cmd knows double quotes alone
        assert fileio.quote_path(r"C:\runs\train") == r"C:\runs\train"
        assert fileio.quote_path(r"C:\My runs") == r'"C:\My runs"'
