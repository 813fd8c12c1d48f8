"""Every address of the page gives the same answer on PostgreSQL as on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.studio_client import make_photo, open_client

FILTERS = ("all", "unlabelled", "draft", "done", "skipped", "flagged", "commented", "removed")
SHAPE = "01890a5d-ac96-774b-bcce-b302099a805{}"
# What differs from run to run, or between a project that is a file and one that is not.
OF_NOW = ("at", "id", "folder", "name", "language", "project", "present", "added", "command", "left_out")
CLASS = {"colour": "#0072b2", "key": "", "alive": True, "merged_into": None}


class Recorder:
    """Sends requests, and keeps what they answer but for what differs from run to run."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.answers: list[Any] = []

    def get(self, path: str) -> Any:
        return self.keep(path, self.client.get(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.keep(path, self.client.post(path, json=body))

    def keep(self, path: str, answer: Any) -> Any:
        assert answer.status_code == 200, f"{path}: {answer.text}"
        self.answers.append((path, simplify(answer.json())))
        return answer.json()

    def edit(self, key: str, kind: str, target: str, before: Any, after: Any) -> None:
        edit = {"key": key, "target": {"kind": kind, "id": target}, "before": before, "after": after}
        answer = self.post("/api/edits", {"session": "s", "edits": [edit]})
        assert answer["outcomes"][0]["status"] == "saved", answer


def simplify(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: simplify(item) for key, item in value.items() if key not in OF_NOW}
    return [simplify(item) for item in value] if isinstance(value, list) else value


def read_everything(recorder: Recorder) -> None:
    recorder.get("/api/project")
    for name in FILTERS:
        recorder.get(f"/api/photos/ids?filter={name}")
    recorder.get("/api/photos/ids?search=1&class=0")
    recorder.get("/api/photos?ids=1,2,3")
    recorder.get("/api/photos/1")
    recorder.get("/api/photos/1/history")
    recorder.get("/api/journal")
    recorder.get("/api/people")


def label(client: Any) -> list[Any]:
    """Do what people do on every page, and read every page after it."""
    recorder = Recorder(client)
    for number in range(3):
        client.post(
            f"/api/photos?name={number}.png",
            content=make_photo(number, (64, 48)),
            headers={"Content-Type": "application/octet-stream"},
        ).raise_for_status()
    recorder.post("/api/task", {"task": "detection"})
    for place, name in enumerate(("hen", "duck")):
        recorder.edit(f"class-{name}", "class", "", None, {**CLASS, "name": name, "position": place})
    for number in range(4):
        box = {"photo": 1 + number % 2, "class": number % 2, "kind": "box", "box": [number, 1, 30, 30.5]}
        recorder.edit(f"box-{number}", "shape", SHAPE.format(number), None, box)
    comment = {"photo": 2, "shape": "", "text": "why?", "who": "ana", "done": False}
    recorder.edit("comment", "comment", SHAPE.format(9), None, comment)
    recorder.post("/api/presence", {"session": "s", "photo": 1})
    recorder.post("/api/next", {"session": "s", "after": None})
    read_everything(recorder)
    for number, fields in enumerate(({"flag": "look", "state": "done"}, {"split": "test"}, {"removed": True})):
        recorder.post(
            "/api/photos/change", {"key": f"a{number}", "session": "s", "photos": [2 + number % 2], "fields": fields}
        )
    recorder.post("/api/classes/1/retire", {"key": "merge", "session": "s", "into": 0})
    read_everything(recorder)
    recorder.post("/api/undo", {"key": "undo", "session": "s", "photo": None, "brief": True})
    recorder.post("/api/redo", {"key": "redo", "session": "s", "photo": None, "brief": True})
    recorder.post("/api/undo", {"key": "undo-of-1", "session": "s", "photo": 1})
    recorder.post("/api/restore", {"key": "back", "session": "s", "photo": None, "seq": 5, "brief": True})
    read_everything(recorder)
    recorder.get("/api/export?format=coco")
    return recorder.answers


def test_both_databases_give_the_same_answers(tmp_path: Path, postgresql: Callable[[], str]) -> None:
    with open_client(tmp_path / "one") as client:
        expected = label(client)
    with open_client(tmp_path / "other", database=postgresql()) as client:
        found = label(client)
    for one, other in zip(found, expected, strict=True):
        assert one == other
