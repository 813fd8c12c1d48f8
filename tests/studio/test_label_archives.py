"""Labelled sets that are dropped on the page as a zip archive; every label is counted by plain code beside it."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient
from tests.support.studio_client import make_photo, open_client, open_team, send_file, sign_in

SIZE = (60, 40)  # width and height of the photos


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with open_client(tmp_path / "project") as one:
        yield one


def pack(files: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def drop(client: TestClient, data: bytes, name: str = "farm.zip") -> dict:
    answer = client.post(f"/api/uploads/{send_file(client, data, 2**20)}/zip", json={"name": name})
    assert answer.status_code == 200, answer.text
    return answer.json()


def count_labels(client: TestClient) -> dict[str, int]:
    return {one["name"]: one["shapes"] + one["photos"] for one in client.get("/api/project").json()["classes"]}


YOLO = {
    "farm/data.yaml": "names: [cow, hen]\n",
    **{f"farm/images/{number}.jpg": make_photo(number, SIZE) for number in range(3)},
    "farm/labels/0.txt": "0 0.5 0.5 0.2 0.4\n1 0.3 0.3 0.1 0.1\n",
    "farm/labels/1.txt": "1 0.5 0.5 0.5 0.5\n",
    "farm/notes.md": "# Farm\n",
}


def test_yolo_comes_with_its_boxes(client: TestClient) -> None:
    told = drop(client, pack(YOLO))
    assert (told["photos"], told["classes"], told["labels"]) == (3, 2, 3)
    assert count_labels(client) == {"cow": 1, "hen": 2}
    about = client.get("/api/project").json()
    assert about["task"] == "detection"
    photos = client.get("/api/photos", params={"ids": "1,2,3"}).json()["photos"]
    assert {photo["path"]: photo["shapes"] for photo in photos} == {"0.jpg": 2, "1.jpg": 1, "2.jpg": 0}
    assert all((client.project.photo_folder / photo["path"]).is_file() for photo in photos)
    [first, _second] = client.get("/api/photos/1").json()["shapes"]
    assert first["state"]["box"] == pytest.approx([24, 12, 36, 28])
    again = drop(client, pack(YOLO))
    assert (again["photos"], again["labels"], again["kept"]) == (0, 0, 2)
    undone = client.post("/api/undo", json={"key": "undo-1", "photo": None, "brief": True}).json()
    assert undone["count"] > 0
    assert sum(count_labels(client).values()) == 0


def test_the_same_photo_twice_keeps_the_labels_of_both(client: TestClient) -> None:
    same = {f"farm/images/{name}.jpg": make_photo(0, SIZE) for name in ("a", "b")}
    rows = {"farm/labels/a.txt": "0 0.5 0.5 0.2 0.4\n", "farm/labels/b.txt": "1 0.3 0.3 0.1 0.1\n1 0.7 0.7 0.1 0.1\n"}
    told = drop(client, pack({"farm/data.yaml": "names: [cow, hen]\n", **same, **rows}))
    assert (told["photos"], told["labels"], told["kept"]) == (2, 3, 0)
    assert count_labels(client) == {"cow": 1, "hen": 2}
    again = drop(client, pack({"farm/data.yaml": "names: [cow, hen]\n", **same, **rows}))
    assert (again["photos"], again["labels"], again["kept"]) == (0, 0, 2)


def test_folders_are_classes_only_where_photos_have_classes(client: TestClient) -> None:
    places = [(name, number) for name in ("cat", "dog") for number in (1, 2)]
    files = {f"pets/{name}/{number}.jpg": make_photo(seed) for seed, (name, number) in enumerate(places)}
    assert "labels" not in drop(client, pack(files))
    assert count_labels(client) == {}
    client.post("/api/task", json={"task": "classification"})
    told = drop(client, pack(files))
    assert (told["photos"], told["labels"], told["classes"]) == (0, 4, 2)
    assert count_labels(client) == {"cat": 2, "dog": 2}


def test_labels_that_cannot_be_read_are_named_and_the_photos_come(client: TestClient) -> None:
    told = drop(client, pack({"a/1.jpg": make_photo(1), "a/1.xml": "<annotation><object>"}))
    assert told["added"] == 1
    assert any("the labels were not read" in line for line in told["rejected"]["first"])


def test_photos_without_labels_in_a_labelled_set_come_as_well(client: TestClient) -> None:
    coco = {
        "images": [{"id": 1, "file_name": "0.jpg", "width": SIZE[0], "height": SIZE[1]}],
        "categories": [{"id": 7, "name": "cow"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 10, 20]}],
    }
    photos = {f"{number}.jpg": make_photo(number, SIZE) for number in range(3)}
    told = drop(client, pack({**photos, "labels.json": json.dumps(coco)}))
    assert (told["photos"], told["labels"]) == (3, 1)
    states = client.get("/api/photos", params={"ids": "1,2,3"}).json()["photos"]
    assert sorted(photo["state"] for photo in states) == ["done", "new", "new"]


def test_a_labeller_adds_the_photos_alone(tmp_path: Path) -> None:
    with open_team(tmp_path) as team:
        sign_in(team, "ana")
        assert drop(team, pack(YOLO))["added"] == 3
        assert count_labels(team) == {}
        sign_in(team, "rui")
        assert drop(team, pack(YOLO))["labels"] == 3


def test_nothing_of_a_failed_import_stays(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from lince.studio import label_import

    def fail(*_args: object) -> None:
        raise RuntimeError("stopped in the middle")

    monkeypatch.setattr(label_import._Importer, "_add_labels", fail)
    with pytest.raises(RuntimeError):
        drop(client, pack(YOLO))
    assert not list(client.project.photo_folder.glob("*"))
    assert client.get("/api/photos/ids").json()["ids"] == []


def count_voc(folder: Path) -> Counter[str]:
    return Counter(
        str(name.text) for path in folder.rglob("*.xml") for name in ElementTree.parse(path).iterfind("object/name")
    )


@pytest.mark.parametrize("name", ["raccoon", "hardhat"])
def test_real_sets_of_voc_come_whole(client: TestClient, name: str, shared: Path) -> None:
    root = shared / "data" / name
    labels = sorted((root / "annotations").rglob("*.xml"))[:40]
    stems = {path.stem for path in labels}
    photos = [path for path in (root / "images").rglob("*") if path.stem in stems and path.is_file()]
    files = {f"{path.relative_to(root)}": path.read_bytes() for path in (*labels, *photos)}
    told = drop(client, pack(files), f"{name}.zip")
    expected = Counter(str(found.text) for path in labels for found in ElementTree.parse(path).iterfind("object/name"))
    counted = {key: value for key, value in count_labels(client).items() if value}
    assert told["labels"] == sum(counted.values())
    # Two raccoons are the same file: the second one keeps the labels of the first.
    lost = sum(expected.values()) - told["labels"]
    assert lost == 0 or told["kept"] > 0 or told["rejected"]["count"] >= lost
    assert counted.keys() == expected.keys()
