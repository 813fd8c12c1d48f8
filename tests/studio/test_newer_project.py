"""A project of a newer lince is shown and not changed; one whose tables this lince cannot read is refused."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.studio.store_support import ANA, add_box, open_project
from tests.support.studio_browser import open_chromium, open_page
from tests.support.studio_client import make_photo, open_client
from tests.support.studio_process import run_studio

from lince.formats.lince_project import FILE_NAME
from lince.studio.roles import ANYBODY, READER, list_route_roles
from lince.studio.store.database import NewerProjectError
from lince.studio.store.edits import Edit
from lince.studio.store.project import Project, ReadOnlyError
from lince.studio.store.states import Target

NEWER = (
    "UPDATE alembic_version SET version_num = '0999'",
    "UPDATE meta SET value = '9.1' WHERE key = 'lince'",
    "ALTER TABLE shapes ADD COLUMN angle FLOAT",
    "CREATE TABLE moons (id INTEGER)",
)


def make_newer(project: Project) -> None:
    """Change a project, which is closed then, as a later lince might."""
    with project.engine.begin() as connection:
        for statement in NEWER:
            connection.execute(sa.text(statement))
    project.close()


def read_file(folder: Path) -> bytes:
    return (folder / FILE_NAME).read_bytes()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_it_is_read_and_nothing_is_written(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    database = request.getfixturevalue("postgresql")() if kind == "postgresql" else None
    make_newer(open_project(tmp_path, 3, database))
    before = read_file(tmp_path) if database is None else b""
    with pytest.raises(NewerProjectError):
        Project(tmp_path, database)
    with Project(tmp_path, database, shows_newer=True) as project:
        assert project.newer == "9.1"
        assert project.read_meta()["lince"] == "9.1"
        with pytest.raises(ReadOnlyError, match=r"install lince 9\.1"):
            project.write(lambda connection: connection.execute(sa.text("DELETE FROM photos")))
        with pytest.raises(ReadOnlyError):
            project.apply_edits([Edit("key", Target("photo", "1"), None, {"state": "done"})], ANA)
        with pytest.raises(sa.exc.DBAPIError), project.read() as connection:
            connection.execute(sa.text("DELETE FROM photos"))  # the database itself refuses it as well
        with project.read() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM photos")).scalar_one() == 3
    assert database or read_file(tmp_path) == before


def test_one_that_lacks_what_this_lince_reads_is_refused(tmp_path: Path) -> None:
    make_newer(open_project(tmp_path))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("ALTER TABLE shapes RENAME COLUMN x0 TO left_side")
        connection.commit()
    before = read_file(tmp_path)
    with pytest.raises(NewerProjectError, match="newer"):
        Project(tmp_path, shows_newer=True)
    assert read_file(tmp_path) == before


def test_the_version_that_wrote_last_is_kept(tmp_path: Path) -> None:
    project = open_project(tmp_path)
    with project.engine.begin() as connection:
        connection.execute(sa.text("UPDATE meta SET value = '0.0.1' WHERE key = 'lince'"))
    project.close()
    with Project(tmp_path) as project:
        assert project.read_meta()["lince"] not in ("", "0.0.1")


def test_every_address_that_changes_something_says_why_it_does_not(tmp_path: Path) -> None:
    project = open_project(tmp_path)
    add_box(project, random.Random(0))
    make_newer(project)
    with open_client(tmp_path) as client:
        about = client.get("/api/project").json()
        assert (about["newer"], about["role"]) == ("9.1", "reader")
        assert client.get("/api/photos/1").status_code == 200
        assert client.post("/api/presence", json={"session": "s", "photo": 1}).status_code == 200
        bodies = {"/api/edits": {"session": "s", "edits": []}}
        paths = [
            path
            for (method, path), role in list_route_roles(client.app).items()
            if role not in (ANYBODY, READER) and method == "POST"
        ]
        assert len(paths) > 10
        for path in paths:
            answer = client.post(path.replace("{class_id}", "0").replace("{number}", "x"), json=bodies.get(path, {}))
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "read-only"), path
            assert "9.1" in answer.json()["error"]["message"]


def test_the_page_shows_it_and_says_what_to_do(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    sync_api.expect.set_options(timeout=30_000)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        (photos / f"{number}.jpg").write_bytes(make_photo(number, (320, 240)))
    folder = tmp_path / "project"
    with run_studio(folder, "--photos", photos) as studio, closing(studio.enter()) as client:
        client.post("/api/task", json={"task": "detection"})
    make_newer(Project(folder))
    before = read_file(folder)
    with (
        open_chromium() as browser,
        run_studio(folder, "--photos", photos) as studio,
        open_page(browser, studio.address) as page,
    ):
        sync_api.expect(page.get_by_text("To go on labelling, install lince 9.1 or a later one")).to_be_visible()
        sync_api.expect(page.get_by_role("gridcell")).to_have_count(3)
        page.get_by_role("gridcell").first.focus()
        page.keyboard.press("s")
        sync_api.expect(page.locator(".notice.error")).to_contain_text("lince 9.1")
        page.goto(f"{studio.url}/#/photo/1")
        sync_api.expect(page.locator(".annotate-frame img")).to_be_visible()
        page.keyboard.press("Shift+F")
        sync_api.expect(page.get_by_role("dialog")).to_contain_text("lince 9.1")
    assert read_file(folder) == before
