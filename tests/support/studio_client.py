"""A studio within the test's own process, with a client that has its cookie."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from lince.studio.event_stream import EventHub
from lince.studio.passwords import hash_password
from lince.studio.people_book import PeopleBook
from lince.studio.sessions import Sessions
from lince.studio.store.people import save_person
from lince.studio.store.project import Project
from lince.studio.studio_app import create_app

HOST = "127.0.0.1:8765"
_numbers = itertools.count()


@contextmanager
def open_client(
    folder: Path, address: str = "127.0.0.1", has_cookie: bool = True, database: str | None = None
) -> Iterator[TestClient]:
    """Yield a client of the project in ``folder`` at ``address``; ``client.sessions`` are the studio's sessions."""
    events = EventHub()
    sessions = Sessions(8765, "ana", b"s" * 32)
    with Project(folder, database, events.notify, shows_newer=True) as project:
        app = create_app(project, events, sessions)
        with TestClient(app, base_url=f"http://{HOST}", client=(address, 50000)) as client:
            client.sessions = sessions
            client.project = project
            if has_cookie:
                client.get("/", params={"token": sessions.token})
            yield client


PASSWORD = "the cow jumps over the moon"
PEOPLE = {"olga": "owner", "rui": "reviewer", "ana": "labeller", "leo": "reader"}


@contextmanager
def open_team(folder: Path, address: str = "192.0.2.7") -> Iterator[TestClient]:
    """Yield a client of a studio that others reach, before anybody has signed in; ``PEOPLE`` have ``PASSWORD``."""
    events = EventHub()
    hashed = hash_password(PASSWORD)
    with Project(folder, notify=events.notify) as project:
        for name, role in PEOPLE.items():
            project.write(lambda connection, name=name, role=role: save_person(connection, name, role, hashed))
        sessions = Sessions(8765, "nobody", b"s" * 32, people=PeopleBook(project))
        app = create_app(project, events, sessions, ("labels.example.org",))
        with TestClient(app, base_url="http://192.0.2.1:8765", client=(address, 50000)) as client:
            client.sessions = sessions
            client.project = project
            yield client


def sign_in(client: TestClient, name: str, password: str = PASSWORD) -> int:
    """Sign in as the page does, and return the status of the answer."""
    client.cookies.clear()
    return client.post("/api/enter", json={"name": name, "password": password}).status_code


def make_key() -> str:
    """Return a key that no other act of the tests has."""
    return f"key-{next(_numbers)}"


def make_photo(seed: int = 0, size: tuple[int, int] = (60, 40), kind: str = "JPEG") -> bytes:
    """Return a photo of its own content: width and height in pixels, encoded."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def upload(client: TestClient, name: str, data: bytes) -> dict:
    """Add a photo as the page does, and return the answer."""
    answer = client.post(
        "/api/photos", params={"name": name}, content=data, headers={"Content-Type": "application/octet-stream"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def send_file(client: TestClient, data: bytes, piece: int = 1000) -> str:
    """Send a file in pieces, as the page does, and return its number."""
    number = client.post("/api/uploads", json={"size": len(data)}).json()["id"]
    for offset in range(0, len(data), piece):
        answer = client.post(
            f"/api/uploads/{number}",
            params={"offset": offset},
            content=data[offset : offset + piece],
            headers={"Content-Type": "application/octet-stream"},
        )
        assert answer.status_code == 200, answer.text
    return number


def add_classes(client: TestClient, *names: str) -> list[int]:
    """Add classes, and return their ids."""
    edits = [
        {
            "key": make_key(),
            "target": {"kind": "class", "id": ""},
            "before": None,
            "after": {"name": name, "colour": "#e67800", "position": place, "key": str(place + 1)},
        }
        for place, name in enumerate(names)
    ]
    answer = client.post("/api/act", json={"key": make_key(), "edits": edits})
    assert answer.status_code == 200, answer.text
    return [int(outcome["id"]) for outcome in answer.json()["outcomes"]]
