"""PostgreSQL is stopped and started under people who label: nothing that was acknowledged is lost, and they go on."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from tests.studio.store_support import make_box, make_id, open_project
from tests.support import postgresql_server
from tests.support.postgresql_server import PostgresqlServer
from tests.support.studio_browser import open_chromium, open_page
from tests.support.studio_client import make_photo
from tests.support.studio_process import RunningStudio, run_studio

from lince.studio.store import journal
from lince.studio.store.project import Project
from lince.studio.store.schema import events, shapes

pytestmark = pytest.mark.timeout(180)
PATIENCE_S = 60.0


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    """A server of its own, since it is stopped."""
    if not (postgresql_server.is_available() and find_spec("pg8000")):
        pytest.skip("PostgreSQL is not installed")
    with postgresql_server.run_server() as one:
        yield one


class PatientLabeller:
    """Adds boxes one after the other; one that is not acknowledged is sent again with its key, as the page does."""

    def __init__(self, studio: RunningStudio, seed: int) -> None:
        self.client = studio.enter()
        self.rng = random.Random(seed)
        self.saved: dict[str, str] = {}  # the shape of each acknowledged edit
        self.troubles: Counter[int] = Counter()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self) -> None:
        with closing(self.client):
            while not self.is_over.is_set():
                shape, key = make_id(self.rng), make_id(self.rng)
                after = make_box(self.rng, self.rng.randint(1, 3))
                edit = {"key": key, "target": {"kind": "shape", "id": shape}, "before": None, "after": after}
                if self.send_until_saved(edit):
                    self.saved[key] = shape

    def send_until_saved(self, edit: dict[str, object]) -> bool:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            answer = self.client.post("/api/edits", json={"session": "s", "edits": [edit]})
            if answer.status_code == 200:
                return bool(answer.json()["outcomes"][0]["status"] == "saved")
            self.troubles[answer.status_code] += 1
            time.sleep(0.05)
        return False

    def wait_for(self, count: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while len(self.saved) < count and time.monotonic() < end:
            time.sleep(0.02)
        assert len(self.saved) >= count, "the labeller did not go on"


def test_what_was_acknowledged_stays_when_the_database_stops(
    tmp_path: Path, server: PostgresqlServer, chance: random.Random
) -> None:
    database = postgresql_server.create_database(server)
    open_project(tmp_path, 3, database).close()
    with run_studio(tmp_path, "--db", database) as studio:
        labellers = [PatientLabeller(studio, seed) for seed in range(3)]
        try:
            for mode in ("fast", "immediate", "immediate"):
                for one in labellers:
                    one.wait_for(len(one.saved) + 3)
                time.sleep(chance.uniform(0, 0.3))
                server.stop(mode)
                time.sleep(chance.uniform(0, 0.5))
                with httpx.Client(base_url=studio.url, trust_env=False) as stranger:
                    assert stranger.get("/healthz").status_code == 200
                server.start()
            for one in labellers:
                one.wait_for(len(one.saved) + 3)
        finally:
            for one in labellers:
                one.is_over.set()
            for one in labellers:
                one.thread.join(PATIENCE_S)
    troubles = sum((one.troubles for one in labellers), Counter())
    assert set(troubles) == {503}, "the page tries again at 503, and only there"
    with Project(tmp_path, database) as project, project.read() as connection:
        keys = Counter(connection.execute(sa.select(events.c.key).where(events.c.target == "shape")).scalars())
        found = set(connection.execute(sa.select(shapes.c.id)).scalars())
        assert keys == Counter([key for one in labellers for key in one.saved])
        assert found == {shape for one in labellers for shape in one.saved.values()}
        assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_the_page_goes_on_by_itself(tmp_path: Path, server: PostgresqlServer, mode: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    expect = sync_api.expect
    expect.set_options(timeout=30_000)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        (photos / f"{number}.jpg").write_bytes(make_photo(number, (320, 240)))
    database = postgresql_server.create_database(server)
    folder = tmp_path / "project"
    with open_chromium() as browser, run_studio(folder, "--db", database, "--photos", photos) as studio:
        with closing(studio.enter()) as client:
            client.post("/api/task", json={"task": "classification"}).raise_for_status()
            state = {"name": "hen", "colour": "#0072b2", "key": "1", "alive": True, "position": 0, "merged_into": None}
            edit = {"key": "hen", "target": {"kind": "class", "id": ""}, "before": None, "after": state}
            client.post("/api/edits", json={"session": "s", "edits": [edit]}).raise_for_status()
        with open_page(browser, studio.address, locale="en") as page:
            expect(page.get_by_role("gridcell").nth(3)).not_to_have_attribute("aria-label", "Loading…")
            page.get_by_role("gridcell").first.focus()
            page.keyboard.press("1")
            expect(page.get_by_text("saved", exact=True)).to_be_visible(timeout=30_000)
            server.stop(mode)
            page.keyboard.press("1")
            page.keyboard.press("1")
            expect(page.get_by_text("not saved: 2", exact=True)).to_be_visible(timeout=30_000)
            server.start()
            expect(page.get_by_text("saved", exact=True)).to_be_visible(timeout=30_000)
            page.keyboard.press("1")
            expect(page.get_by_text("saved", exact=True)).to_be_visible(timeout=30_000)
            page.reload()
            for number in range(4):
                expect(page.get_by_role("gridcell").nth(number)).to_have_attribute(
                    "aria-label", f"{number}.jpg, hen, done"
                )
