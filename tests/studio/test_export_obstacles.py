"""Exports with something in the way: nothing labelled, files that are gone, names twice, classes merged or deleted."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.support.studio_client import add_classes, make_key, make_photo, open_client, upload


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with open_client(tmp_path / "project") as one:
        yield one


def link(client: TestClient, folder: Path, name: str = "same.jpg") -> Path:
    folder.mkdir()
    (folder / name).write_bytes(make_photo(sum(map(ord, folder.name))))
    assert client.post("/api/photos/link", json={"folder": str(folder)}).status_code == 200
    return folder / name


def label(client: TestClient, ids: list[int], class_id: int) -> None:
    fields = {"classes": [class_id], "state": "done"}
    answer = client.post("/api/photos/change", json={"key": make_key(), "photos": ids, "fields": fields})
    assert answer.status_code == 200, answer.text


def refuse(client: TestClient, language: str = "en") -> str:
    headers = {"Accept-Language": language}
    preview = client.get("/api/export", params={"format": "folders"}, headers=headers)
    written = client.post("/api/export/zip", json={"format": "folders"}, headers=headers)
    assert (preview.status_code, written.status_code) == (422, 422)
    assert preview.json() == written.json()
    return preview.json()["error"]["message"]


def export_table(client: TestClient) -> dict[str, str]:
    """Return the classes of the exported photos by name."""
    address = client.post("/api/export/zip", json={"format": "csv", "lossy": True}).json()["address"]
    with zipfile.ZipFile(io.BytesIO(client.get(f"/{address}").content)) as archive:
        rows = list(csv.reader(io.StringIO(archive.read("labels.csv").decode())))
        names = set(archive.namelist())
    assert {row[0] for row in rows[1:]} <= names
    return {row[0]: row[1] for row in rows[1:]}


def test_what_is_in_the_way_is_said_in_plain_words(client: TestClient, tmp_path: Path) -> None:
    assert "The project has no photos" in refuse(client)
    client.post("/api/task", json={"task": "classification"})
    path = link(client, tmp_path / "a")
    assert "None of the 1 photos has a label yet" in refuse(client)
    assert "Ninguna de las 1 fotos" in refuse(client, "es")
    assert "Nenhuma das 1 fotos" in refuse(client, "pt")
    [cat] = add_classes(client, "cat")
    label(client, [1], cat)
    path.unlink()
    said = refuse(client)
    assert str(path) in said
    assert "Put them back" in said


def test_two_photos_of_one_name_are_both_there(client: TestClient, tmp_path: Path) -> None:
    client.post("/api/task", json={"task": "classification"})
    link(client, tmp_path / "a")
    link(client, tmp_path / "b")
    cat, dog = add_classes(client, "cat", "dog")
    label(client, [1], cat)
    label(client, [2], dog)
    assert sorted(export_table(client).values()) == ["cat", "dog"]


def test_a_photo_whose_file_is_gone_is_named_and_the_others_come(client: TestClient, tmp_path: Path) -> None:
    client.post("/api/task", json={"task": "classification"})
    link(client, tmp_path / "a")
    gone = link(client, tmp_path / "b")
    [cat] = add_classes(client, "cat")
    label(client, [1, 2], cat)
    gone.unlink()
    told = client.get("/api/export", params={"format": "csv"}).json()
    assert (told["photos"], told["left_out_count"]) == (1, 1)
    assert str(gone) in told["left_out"][0]
    assert "--allow-unusable" in told["command"]
    assert len(export_table(client)) == 1


def test_classes_that_were_merged_or_deleted(client: TestClient, tmp_path: Path) -> None:
    client.post("/api/task", json={"task": "classification"})
    for name in "abc":
        link(client, tmp_path / name)
    cat, dog, cow = add_classes(client, "cat", "dog", "cow")
    for place, class_id in enumerate((cat, dog, cow)):
        label(client, [place + 1], class_id)
    client.post(f"/api/classes/{cat}/retire", json={"key": make_key(), "into": dog})
    assert sorted(export_table(client).values()) == ["cow", "dog", "dog"]
    told = client.get("/api/export", params={"format": "tfrecord"}).json()
    assert [(one["id"], one["name"], one["count"]) for one in told["classes"]] == [(1, "dog", 2), (2, "cow", 1)]
    client.post(f"/api/classes/{dog}/retire", json={"key": make_key(), "into": None})
    assert list(export_table(client).values()) == ["cow"]


def test_a_project_in_a_database_is_exported_as_well(tmp_path: Path, postgresql: Callable[[], str]) -> None:
    with open_client(tmp_path / "project", database=postgresql()) as client:
        client.post("/api/task", json={"task": "classification"})
        assert "The project has no photos" in refuse(client)
        link(client, tmp_path / "a")
        assert upload(client, "own.jpg", make_photo(77))["added"] == 1
        cat, dog = add_classes(client, "cat", "dog")
        label(client, [1], cat)
        label(client, [2], dog)
        told = client.get("/api/export", params={"format": "csv"}).json()
        assert (told["photos"], told["left_out_count"], told["command"]) == (2, 0, "")
        assert sorted(export_table(client).values()) == ["cat", "dog"]
        assert not list((tmp_path / "project" / "cache").glob("labels-*"))
