"""Projects with photos and classes for the tests of the studio's store."""

from __future__ import annotations

import random
from pathlib import Path

import sqlalchemy as sa

from lince.studio.store.edits import Act, Author, Edit
from lince.studio.store.project import Project
from lince.studio.store.schema import photos
from lince.studio.store.states import State, Target

SIZE = (640, 480)  # width and height of every photo
ANA, BIA = Author("ana", "tab 1"), Author("bia", "tab 2")


def fill(project: Project, photo_count: int = 3, class_names: tuple[str, ...] = ("helmet", "head")) -> None:
    """Add photos without files, and classes with the ids 0, 1 and so on."""
    rows = [
        {
            "root": "",
            "path": f"{number}.jpg",
            "digest": f"{number:032x}",
            "width": SIZE[0],
            "height": SIZE[1],
            "orientation": 1,
            "bytes": 1000,
            "added": "2026-01-01T00:00:00+00:00",
        }
        for number in range(photo_count)
    ]
    project.write(lambda connection: connection.execute(sa.insert(photos), rows))
    edits = [
        Edit(f"class-{name}", Target("class", ""), None, {"name": name, "colour": "#e67800", "position": place})
        for place, name in enumerate(class_names)
    ]
    project.apply_act(edits, Act("classes", Author("owner"), is_wide=True))


def make_id(rng: random.Random) -> str:
    """Return the id of a shape or edit as the page makes it: a UUID of version 7."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def make_box(rng: random.Random, photo_id: int = 1, class_id: int = 0) -> State:
    """Return the state of a random box, as a page sends it."""
    left, top = rng.randrange(0, 600), rng.randrange(0, 440)
    box = [left, top, left + rng.randrange(1, 40) + 0.5, top + rng.randrange(1, 40)]
    return {"photo": photo_id, "class": class_id, "kind": "box", "box": box}


def add_box(project: Project, rng: random.Random, author: Author = ANA, photo_id: int = 1) -> Edit:
    """Add a random box and return its edit, with the state as it was saved."""
    edit = Edit(make_id(rng), Target("shape", make_id(rng)), None, make_box(rng, photo_id))
    [outcome] = project.apply_edits([edit], author)
    return Edit(edit.key, edit.target, None, outcome.now)


def open_project(folder: Path, photo_count: int = 3, database: str | None = None) -> Project:
    """Return a new project with photos and two classes."""
    project = Project(folder, database)
    fill(project, photo_count)
    return project
