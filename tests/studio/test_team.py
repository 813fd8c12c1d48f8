"""Ten scripted labellers at once, over HTTP, on SQLite and on PostgreSQL: no edit is lost or made twice."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.studio.store_support import make_box, make_id, open_project
from tests.support.studio_process import RunningStudio, run_studio

from lince.studio.store import journal
from lince.studio.store.project import Project
from lince.studio.store.schema import events, shapes

LABELLERS = 10
PHOTOS = 4


class Labeller:
    """Adds, changes and removes boxes on photos that the others work on, too, and sends some edits twice."""

    def __init__(self, studio: RunningStudio, number: int, seconds: float) -> None:
        self.client = studio.enter()
        self.rng = random.Random(number)
        self.seconds = seconds
        self.saved: dict[str, int] = {}
        self.stale = 0

    def work(self) -> None:
        """Label for some seconds."""
        with closing(self.client):
            self.label_until(time.monotonic() + self.seconds)

    def label_until(self, end: float) -> None:
        """Label until a moment of ``time.monotonic``."""
        while time.monotonic() < end:
            edit = self.choose()
            answers = [self.send(edit) for _time in range(2 if self.rng.random() < 0.1 else 1)]
            assert len({(answer["status"], answer["seq"]) for answer in answers if answer["status"] == "saved"}) <= 1
            for answer in answers:
                if answer["status"] == "saved":
                    self.saved[answer["key"]] = answer["seq"]
                else:
                    assert answer["status"] == "stale", answer
                    self.stale += 1

    def choose(self) -> dict[str, Any]:
        """Return a random edit of what a photo shows now; by the time it is sent, another may have changed it."""
        photo = self.rng.randint(1, PHOTOS)
        shown = self.client.get(f"/api/photos/{photo}").json()["shapes"]
        kind = self.rng.choice(["add", "change", "remove"])
        if kind == "add" or not shown:
            target, before, after = make_id(self.rng), None, make_box(self.rng, photo)
        else:
            chosen = self.rng.choice(shown)
            target, before = chosen["id"], chosen["state"]
            after = make_box(self.rng, photo) if kind == "change" else None
        return {
            "key": make_id(self.rng),
            "target": {"kind": "shape", "id": target},
            "before": before,
            "after": after,
        }

    def send(self, edit: dict[str, Any]) -> dict[str, Any]:
        """Return what became of an edit."""
        answer = self.client.post("/api/edits", json={"session": str(self.rng.random()), "edits": [edit]})
        assert answer.status_code == 200, answer.text
        outcome: dict[str, Any] = answer.json()["outcomes"][0]
        return outcome


def label_together(folder: Path, seconds: float, *options: str) -> list[Labeller]:
    with run_studio(folder, *options) as studio:
        labellers = [Labeller(studio, number, seconds) for number in range(LABELLERS)]
        threads = [threading.Thread(target=one.work) for one in labellers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check_news(studio, sum(len(one.saved) for one in labellers))
    return labellers


def check_news(studio: RunningStudio, count: int) -> None:
    """The stream of news has every edit once, and goes on where it was broken off."""
    with closing(studio.enter()) as client:
        first = read_numbers(client, 0, count // 2)
        rest = read_numbers(client, first[-1], count - len(first) + 2)
    numbers = first + rest
    assert numbers == sorted(set(numbers))
    assert len(numbers) == count + 2  # and two classes


def read_numbers(client: httpx.Client, after: int, count: int) -> list[int]:
    numbers: list[int] = []
    with client.stream("GET", "/events", headers={"Last-Event-ID": str(after)}) as response:
        for line in response.iter_lines():
            if line.startswith("id: "):
                numbers.append(int(line[4:]))
            if len(numbers) == count:
                break
    return numbers


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_ten_labellers_lose_and_double_nothing(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    database = request.getfixturevalue("postgresql")() if kind == "postgresql" else None
    open_project(tmp_path, PHOTOS, database).close()
    labellers = label_together(tmp_path, 8.0, *(["--db", database] if database else []))
    with Project(tmp_path, database) as project, project.read() as connection:
        rows = connection.execute(sa.select(events).where(events.c.target == "shape").order_by(events.c.seq)).all()
        assert {row.key: row.seq for row in rows} == {key: seq for one in labellers for key, seq in one.saved.items()}
        assert sum(len(one.saved) for one in labellers) == len(rows)
        assert max(Counter(row.key for row in rows).values()) == 1
        alive = {row.target_id for row in rows} & set(connection.execute(sa.select(shapes.c.id)).scalars())
        last = {row.target_id: row.after for row in rows}
        assert alive == {target for target, after in last.items() if after is not None}
        assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)
    assert sum(one.stale for one in labellers) > 0, "the labellers never met"
