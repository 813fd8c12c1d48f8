"""What the pages of the studio ask for: photos in, acts on many of them, classes, the journal, exports."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.support.studio_client import add_classes, make_key, make_photo, open_client, send_file, upload

import lince
from lince.datasets.conversion import list_writable_formats
from lince.i18n import LANGUAGES
from lince.studio import page_texts

PAGE = Path(page_texts.__file__).parent / "page"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with open_client(tmp_path / "project") as one:
        yield one


def add_photos(client: TestClient, count: int, task: str = "classification") -> list[int]:
    client.post("/api/task", json={"task": task})
    for number in range(count):
        upload(client, f"{number}.jpg", make_photo(number))
    return client.get("/api/photos/ids").json()["ids"]


def change(client: TestClient, ids: list[int], **fields: object) -> dict:
    answer = client.post("/api/photos/change", json={"key": make_key(), "photos": ids, "fields": fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def make_zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def test_photos_of_an_archive_come_in_pieces(client: TestClient) -> None:
    photos = {f"farm/{number}.jpg": make_photo(number) for number in range(3)}
    archive = make_zip(
        {**photos, "farm/broken.jpg": b"no photo", "farm/notes.txt": b"text", "farm/copy.jpg": photos["farm/0.jpg"]}
    )
    number = send_file(client, archive)
    answer = client.post(f"/api/uploads/{number}/zip", json={"name": "farm.zip"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["added"], told["known"], told["rejected"]["count"]) == (3, 1, 2)
    assert any("broken.jpg" in line for line in told["rejected"]["first"])
    assert any("notes.txt" in line for line in told["rejected"]["first"])
    assert not any((client.project.folder / "cache" / "uploads").iterdir())
    assert client.post(f"/api/uploads/{number}/zip", json={"name": "farm.zip"}).status_code == 422  # used up


def test_an_upload_that_is_not_whole_is_refused(client: TestClient) -> None:
    number = client.post("/api/uploads", json={"size": 100}).json()["id"]
    headers = {"Content-Type": "application/octet-stream"}
    address = f"/api/uploads/{number}"
    assert client.post(address, params={"offset": 0}, content=bytes(40), headers=headers).json() == {"received": 40}
    assert client.post(address, params={"offset": 0}, content=bytes(40), headers=headers).json() == {"received": 40}
    assert client.post(address, params={"offset": 50}, content=bytes(10), headers=headers).status_code == 422
    assert client.post(address, params={"offset": 40}, content=bytes(90), headers=headers).status_code == 422
    answer = client.post(f"{address}/zip", json={"name": "a.zip"})
    assert answer.status_code == 422
    assert "40" in answer.json()["error"]["message"]
    assert client.post("/api/uploads", json={"size": 10**18}).status_code == 422  # more than the disk has


def test_frames_of_a_video_are_taken_at_an_interval(client: TestClient, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        for number in range(30):
            pixels = np.full((48, 64, 3), 8 * number, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    number = send_file(client, path.read_bytes())
    told = client.post(f"/api/uploads/{number}/video", json={"name": "film.mp4", "every": 1.0}).json()
    assert (told["added"], told["rejected"]["count"]) == (3, 0)
    ids = client.get("/api/photos/ids").json()["ids"]
    photos = client.get("/api/photos", params={"ids": ",".join(map(str, ids))}).json()["photos"]
    assert [photo["path"] for photo in photos] == ["film_000000.jpg", "film_000010.jpg", "film_000020.jpg"]
    again = client.post("/api/photos/video", json={"path": str(path), "every": 1.0}).json()
    assert (again["added"], again["known"]) == (0, 3)
    assert client.post("/api/photos/video", json={"path": str(path), "every": 0.0}).status_code == 422
    assert client.post("/api/photos/video", json={"path": str(tmp_path / "none.mp4"), "every": 1.0}).status_code == 422


def test_frames_that_show_nothing_new_are_left_out_and_counted(client: TestClient, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "yard.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 320, 240
        for number in range(100):
            pixels = np.full((240, 320, 3), 120, np.uint8)
            if 40 <= number < 70:  # somebody comes, stands there, and goes
                pixels[60:220, 100:180] = 220
            noise = rng.normal(0, 6, pixels.shape)
            frame = av.VideoFrame.from_ndarray(np.clip(pixels + noise, 0, 255).astype(np.uint8), "rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    body = {"name": "yard.mp4", "every": 1.0, "changed": True}
    told = client.post(f"/api/uploads/{send_file(client, path.read_bytes(), 2**20)}/video", json=body).json()
    assert told["added"] == 3
    assert any("7 frames show nothing new" in line for line in told["rejected"]["first"])
    photos = client.get("/api/photos", params={"ids": "1,2,3"}).json()["photos"]
    assert [photo["path"] for photo in photos] == ["yard_000000.jpg", "yard_000040.jpg", "yard_000070.jpg"]


@pytest.mark.parametrize(("task", "photo_count", "class_count"), [("classification", 40, 10), ("detection", 12, 3)])
def test_a_sample_brings_photos_and_classes(client: TestClient, task: str, photo_count: int, class_count: int) -> None:
    answer = client.post("/api/photos/sample", json={"key": make_key(), "task": task})
    assert answer.json()["added"] == photo_count
    about = client.get("/api/project").json()
    assert (about["task"], about["counts"]["all"], len(about["classes"])) == (task, photo_count, class_count)
    assert client.post("/api/photos/sample", json={"key": make_key(), "task": task}).json()["known"] == photo_count
    assert client.get("/thumb/1").status_code == 200


def test_a_labelled_set_comes_with_its_counts(client: TestClient, tmp_path: Path) -> None:
    for place, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "pets" / name / f"{number}.jpg").write_bytes(make_photo(10 * place + number))
    (tmp_path / "pets" / "dog" / "bad.jpg").write_bytes(b"no photo")
    body = {"key": make_key(), "folder": str(tmp_path / "pets"), "format": None}
    told = client.post("/api/import", json=body).json()
    assert (told["photos"], told["classes"], told["labels"], told["rejected"]["count"]) == (6, 2, 6, 1)
    about = client.get("/api/project").json()
    assert {one["name"]: one["photos"] for one in about["classes"]} == {"cat": 3, "dog": 3}
    assert client.post("/api/import", json={**body, "folder": str(tmp_path / "none")}).status_code == 422


def test_a_set_of_two_formats_is_refused_with_a_way_out(client: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "two sets"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(make_photo(1))
    row = "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,40,30,cat,1,1,9,9\n"
    (folder / "labels.csv").write_text(row)
    shape = {"label": "cat", "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}
    labels = {"imagePath": "a.jpg", "imageHeight": 30, "imageWidth": 40, "shapes": [shape]}
    (folder / "a.json").write_text(json.dumps(labels))
    answer = client.post("/api/import", json={"key": make_key(), "folder": str(folder), "format": None})
    assert answer.status_code == 422
    message = answer.json()["error"]["message"]
    assert "labelme" in message
    assert "Choose one with format." in message  # neither an option nor a keyword of Python
    assert "format=" not in message
    told = client.post("/api/import", json={"key": make_key(), "folder": str(folder), "format": "labelme"}).json()
    assert (told["photos"], told["labels"]) == (1, 1)


def test_a_selection_gets_a_class_and_loses_it_again(client: TestClient) -> None:
    ids = add_photos(client, 4)
    cat, dog = add_classes(client, "cat", "dog")
    assert change(client, ids[:3], classes=[cat], state="done")["photos"] == 3
    assert client.get("/api/project").json()["counts"]["done"] == 3
    seen = client.get("/api/project").json()["seq"]
    change(client, ids[:1], classes=[dog])
    other = {"key": make_key(), "session": "another tab", "photos": ids, "fields": {"classes": [cat]}, "seen": seen}
    answer = client.post("/api/photos/change", json=other)
    assert answer.status_code == 409
    assert answer.json()["who"] == "ana"
    for count in (1, 3):
        undone = client.post("/api/undo", json={"key": make_key(), "brief": True}).json()
        assert undone == {"count": count, "photos": count}
    assert client.get("/api/project").json()["counts"]["done"] == 0


def test_what_is_removed_comes_back_and_its_file_stays(client: TestClient) -> None:
    ids = add_photos(client, 2)
    change(client, ids, removed=True)
    assert client.get("/api/photos/ids").json()["ids"] == []
    assert client.get("/api/photos/ids", params={"filter": "removed"}).json()["ids"] == ids
    assert len(list((client.project.folder / "photos").iterdir())) == 2
    change(client, ids[:1], removed=False)
    assert client.get("/api/photos/ids").json()["ids"] == ids[:1]


def test_filters_count_splits_and_people(client: TestClient) -> None:
    ids = add_photos(client, 3)
    change(client, ids[:2], split="test")
    client.post("/api/presence", json={"session": "a", "photo": ids[0]})
    about = client.get("/api/project").json()
    assert (about["splits"], about["people"]) == ({"test": 2, "": 1}, {"ana": 1, "": 2})
    assert client.get("/api/photos/ids", params={"split": "test", "person": "ana"}).json()["ids"] == ids[:1]


def test_a_class_is_merged_and_deleted_by_number(client: TestClient) -> None:
    ids = add_photos(client, 3)
    cat, dog = add_classes(client, "cat", "dog")
    change(client, ids, classes=[cat], state="done")
    body = {"key": make_key(), "into": dog}
    assert client.post(f"/api/classes/{cat}/retire", json=body).json()["photos"] == 3
    [left] = client.get("/api/project").json()["classes"]
    assert (left["id"], left["photos"]) == (dog, 3)
    assert client.post(f"/api/classes/{cat}/retire", json={"key": make_key(), "into": None}).status_code == 422
    acts = client.get("/api/journal").json()["acts"]
    assert (acts[0]["what"], acts[0]["name"], acts[0]["photos"]) == ("class.merge", "cat", 3)
    restored = client.post("/api/restore", json={"key": make_key(), "seq": acts[1]["seq"], "brief": True}).json()
    assert restored["photos"] == 3
    assert len(client.get("/api/project").json()["classes"]) == 2


def test_an_export_tells_first_what_is_lost_and_is_what_the_command_writes(client: TestClient, tmp_path: Path) -> None:
    ids = add_photos(client, 4)
    cat, dog = add_classes(client, "dog", "cat")
    change(client, ids[:2], classes=[cat], state="done")
    change(client, ids[2:3], classes=[dog], state="done")
    told = client.get("/api/export", params={"format": "folders"}).json()
    assert (told["photos"], told["left_out_count"]) == (3, 1)
    assert [one["name"] for one in told["classes"]] == ["cat", "dog"]  # folders have no order of their own
    assert told["losses"]
    assert "--lossy --allow-unusable" in told["command"]
    assert "--to folders" in told["command"]
    folder = tmp_path / "out"
    body = {"format": "folders", "folder": str(folder), "with_photos": True, "lossy": True}
    assert client.post("/api/export", json=body).json()["photos"] == 3
    assert client.post("/api/export", json=body).status_code == 422  # never written over
    address = client.post("/api/export/zip", json={"format": "folders", "lossy": True}).json()["address"]
    answer = client.get(f"/{address}")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["cat/2.jpg", "dog/0.jpg", "dog/1.jpg"]
        assert archive.testzip() is None
    assert lince.open(folder).count_per_class() == {"cat": 1, "dog": 2}
    assert client.get("/api/export/zip/0123").status_code == 404


@pytest.mark.parametrize(("format_name", "first"), [("yolo", 0), ("coco", 1), ("voc", None)])
def test_class_ids_are_those_in_the_exported_files(
    client: TestClient, tmp_path: Path, format_name: str, first: int | None
) -> None:
    [photo] = add_photos(client, 1, "detection")
    classes = add_classes(client, "zebra", "ant")
    shape = {"photo": photo, "class": classes[1], "kind": "box", "box": [5, 5, 20, 30]}
    target = {"kind": "shape", "id": "01890a5d-ac96-774b-bcce-b302099a8057"}
    edit = {"key": make_key(), "target": target, "before": None, "after": shape}
    client.post("/api/edits", json={"edits": [edit]}).raise_for_status()
    told = client.get("/api/export", params={"format": format_name}).json()
    expected = [None, None] if first is None else [first, first + 1]
    assert [(one["id"], one["name"]) for one in told["classes"]] == list(zip(expected, ["zebra", "ant"], strict=True))
    folder = tmp_path / "out"
    client.post("/api/export", json={"format": format_name, "folder": str(folder)}).raise_for_status()
    if format_name == "yolo":
        [text] = [path.read_text() for path in folder.rglob("*.txt") if path.stem == "0"]
        assert text.split()[0] == "1"
    if format_name == "coco":
        [document] = [json.loads(path.read_text()) for path in folder.rglob("*.json")]
        assert document["annotations"][0]["category_id"] == 2


def test_all_words_of_the_scripts_are_there_in_three_languages(client: TestClient) -> None:
    scripts = "\n".join(path.read_text("utf-8") for path in PAGE.glob("*.js") if path.name != "words.js")
    said = set(re.findall(r'\bsay\("([\w.-]+)"', scripts))
    counted = set(re.findall(r'\bsayCount\("([\w.-]+)"', scripts))
    assert len(said) > 100
    for language in LANGUAGES:
        words = client.get(f"/page/words.{language}.json").json()
        assert said <= words.keys()
        assert {f"{name}.{form}" for name in counted for form in ("one", "other")} <= words.keys()
        assert {f"format.{name}" for name in list_writable_formats()} <= words.keys()
        assert all(words.values())
