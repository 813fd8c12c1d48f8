"""A project under hostile conditions: no right to write, two studios at once, a clock that jumps, a database that
restarts."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.studio.store_support import ANA, add_box, make_box, make_id, open_project
from tests.support.studio_process import ROOT, run_studio

from lince.studio.store import bulk, journal, leases
from lince.studio.store import edits as edits_module
from lince.studio.store.edits import Edit
from lince.studio.store.project import Project
from lince.studio.store.schema import events
from lince.studio.store.states import Target
from lince.studio.store.writer import NotSavedError

OPEN = "from pathlib import Path; from lince.studio.store.project import Project; Project(Path({folder!r}))"


@pytest.mark.skipif(os.name == "nt", reason="users and permissions as POSIX has them")
def test_a_project_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    open_project(tmp_path / "project").close()
    folder = Path(shutil.copytree(tmp_path / "project", Path("/tmp") / f"lince-{random.random()}"))
    try:
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        command = [sys.executable, "-c", OPEN.format(folder=str(folder))]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LINCE_LANG": "en"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **user)
        assert done.returncode != 0
        assert "The project cannot be written" in done.stderr
        assert "permissions" in done.stderr
        assert "backups" not in done.stderr.splitlines()[-1]
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(folder)


def test_a_second_studio_for_the_same_project_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lince", "studio", str(tmp_path / "farm"), "--json", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LINCE_LANG": "en"}
    with run_studio(tmp_path / "farm") as studio:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
        assert done.returncode != 0
        assert "Another lince studio has the project" in done.stderr
        assert str(studio.process.pid) in done.stderr
        studio.kill()
    with run_studio(tmp_path / "farm"):
        pass  # a studio that was killed holds nothing


def test_a_clock_that_was_wrong_keeps_no_photo_from_others(tmp_path: Path) -> None:
    with open_project(tmp_path, 1) as project:
        assert project.write(lambda connection: leases.take_next(connection, "ana", now=2e9)) == 1
        now = 1.9e9  # three years earlier
        assert project.write(lambda connection: leases.take_next(connection, "bia", now=now)) == 1
        assert not project.write(lambda connection: leases.renew_lease(connection, "ana", 1, now=now + 1))
        assert project.write(lambda connection: leases.renew_lease(connection, "ana", 1, now=now + 601))


def test_a_clock_that_jumps_back_changes_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)

    class Backwards(edits_module.datetime):
        hour = 23

        @classmethod
        def now(cls, zone: object = None) -> Backwards:
            cls.hour -= 1
            return cls(2026, 1, 1, cls.hour, tzinfo=zone)

    monkeypatch.setattr(edits_module, "datetime", Backwards)
    monkeypatch.setattr(bulk, "datetime", Backwards)
    with open_project(tmp_path) as project:
        first = add_box(project, rng)
        middle = project.get_last_seq()
        moved = {**first.after, "flags": 1}
        project.apply_edits([Edit("change", first.target, first.after, moved)], ANA)
        project.undo("undo", ANA, 1)
        project.redo("redo", ANA, 1)
        with project.read() as connection:
            times = connection.execute(sa.select(events.c.at).order_by(events.c.seq)).scalars().all()
            assert times[-3:] == sorted(times[-3:], reverse=True)
            assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)
        project.restore("back", ANA, middle)
        with project.read() as connection:
            wanted = journal.without_new_photos(journal.replay_events(connection, middle))
            assert journal.read_all(connection) == wanted


def test_a_database_that_drops_all_connections_loses_and_doubles_nothing(
    tmp_path: Path, postgresql: Callable[[], str]
) -> None:
    address, rng = postgresql(), random.Random(0)
    with open_project(tmp_path, 3, address) as project, Project(tmp_path / "other", address) as other:
        sent = []
        for number in range(30):
            if number % 5 == 2:
                end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                with other.engine.connect() as connection:
                    connection.exec_driver_sql(end + " AND datname = current_database()")
            edit = Edit(make_id(rng), Target("shape", make_id(rng)), None, make_box(rng))
            for _attempt in range(3):  # as the page does
                [outcome] = project.apply_edits([edit], ANA)
                if not isinstance(outcome, NotSavedError):
                    break
            assert outcome.status == "saved", outcome
            sent.append((edit.key, outcome.seq))
        with project.read() as connection:
            rows = connection.execute(
                sa.select(events.c.key, events.c.seq).where(events.c.target == "shape").order_by(events.c.seq)
            ).all()
            assert [tuple(row) for row in rows] == sent
            assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)
