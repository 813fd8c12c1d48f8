"""Where a project lies: its own folder, or beside a folder of photos, which is not written to."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.studio_client import make_photo
from tests.support.studio_process import run_studio

from lince.errors import UsageError
from lince.formats.lince_project import FILE_NAME
from lince.studio.project_place import ProjectPlace, find_project_place


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "fotos del niño"
    (folder / "perros").mkdir(parents=True)
    for number in range(3):
        (folder / "perros" / f"{number}.jpg").write_bytes(make_photo(number))
    return folder


def test_a_folder_that_is_not_there_or_empty_is_the_project(tmp_path: Path) -> None:
    assert find_project_place(tmp_path / "new") == ProjectPlace(tmp_path / "new")
    assert find_project_place(tmp_path) == ProjectPlace(tmp_path)


def test_the_project_of_photos_is_beside_them(photos: Path) -> None:
    beside = photos.with_name("fotos del niño-labels")
    assert find_project_place(photos) == ProjectPlace(beside, photos)
    beside.mkdir()
    assert find_project_place(photos).folder == beside
    (beside / "other.txt").write_text("of somebody")
    assert find_project_place(photos).folder == photos.with_name("fotos del niño-labels-2")
    (beside / FILE_NAME).touch()
    assert find_project_place(photos).folder == beside


def test_a_project_with_photos_is_opened_itself(photos: Path) -> None:
    (photos / FILE_NAME).touch()
    assert find_project_place(photos) == ProjectPlace(photos)
    assert find_project_place(photos / FILE_NAME) == ProjectPlace(photos)


def test_a_file_and_the_home_folder_are_refused(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="is a file"):
        find_project_place(photos / "perros" / "0.jpg")
    for home in (photos, photos / "perros"):
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("USERPROFILE", str(home))
        with pytest.raises(UsageError, match="home folder"):
            find_project_place(photos)


def test_the_command_links_the_photos_and_writes_nothing_there(photos: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    for _start in range(2):
        with run_studio(photos) as studio, closing(studio.enter()) as client:
            assert client.get("/api/project").json()["counts"]["all"] == 3
            assert client.get("/image/1").content == (photos / "perros" / "0.jpg").read_bytes()
    assert {path: path.stat().st_mtime_ns for path in photos.rglob("*")} == before
    assert json.dumps(sorted(os.listdir(photos.parent))) == json.dumps(["fotos del niño", "fotos del niño-labels"])
