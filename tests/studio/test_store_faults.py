"""A project under faults: killed in the middle, a full disk, files that are damaged, foreign or newer."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.studio.store_support import ANA, add_box, make_box, make_id, open_project

from lince.formats.lince_project import FILE_NAME
from lince.studio.store import backup, database, journal
from lince.studio.store.database import ProjectBrokenError
from lince.studio.store.edits import Edit
from lince.studio.store.project import Project
from lince.studio.store.schema import events, metadata, shapes
from lince.studio.store.states import Target
from lince.studio.store.writer import NotSavedError

# Four people label without a pause; each acknowledged edit is printed at once.
LABELLER = """
import json, os, random, sys, threading
from pathlib import Path
from lince.studio.store.edits import Author, Edit
from lince.studio.store.project import Project
from lince.studio.store.states import Target
from tests.studio.store_support import make_box, make_id

project = Project(Path(sys.argv[1]))
seed = int(sys.argv[2])

def label(person):
    rng = random.Random(f"{seed} {person}")
    while True:
        edit = Edit(make_id(rng), Target("shape", make_id(rng)), None, make_box(rng, 1 + person % 3))
        [outcome] = project.apply_edits([edit], Author(str(person)))
        os.write(1, (json.dumps([edit.key, edit.target.id, outcome.seq]) + "\\n").encode())

for person in range(4):
    threading.Thread(target=label, args=(person,), daemon=True).start()
threading.Event().wait()
"""


def label_until_killed(folder: Path, seed: int) -> list[list[object]]:
    """Return the acknowledged edits (key, shape, seq) of a labeller that is killed after a random time."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    command = [sys.executable, "-c", LABELLER, str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
    lines = (first + rest).split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


def check_after_kill(folder: Path, acknowledged: list[list[object]]) -> int:
    """Check that all acknowledged edits are in the file once, and that it is whole; return how many it has."""
    with Project(folder) as project, project.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        seqs = {row.key: row.seq for row in connection.execute(sa.select(events))}
        kept = set(connection.execute(sa.select(shapes.c.id)).scalars())
        assert all(seqs[key] == seq and shape in kept for key, shape, seq in acknowledged)
        assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)
        return len(seqs)


@pytest.mark.parametrize("count", [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_killed_at_any_moment_no_acknowledged_edit_is_lost_or_doubled(tmp_path: Path, count: int) -> None:
    open_project(tmp_path).close()
    acknowledged: list[list[object]] = []
    for seed in range(count):
        acknowledged += label_until_killed(tmp_path, seed)
        check_after_kill(tmp_path, acknowledged)
    assert len(acknowledged) >= 2 * count
    keys = [key for key, _shape, _seq in acknowledged]
    assert len(set(keys)) == len(keys)


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    rng = random.Random(0)
    with open_project(tmp_path) as project:
        box = add_box(project, rng)
        pages = project.write(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        project.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}"))
        big = {**make_box(rng), "kind": "mask", "mask": "x" * 50_000}
        edit = Edit("big", Target("shape", make_id(rng)), None, big)
        [refused] = project.apply_edits([edit], ANA)
        assert isinstance(refused, NotSavedError)
        assert "full" in refused.problem
        with project.read() as connection:
            assert connection.execute(sa.select(shapes.c.id)).scalars().all() == [box.target.id]
        project.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1000000"))
        [saved] = project.apply_edits([edit], ANA)
        assert saved.status == "saved"
    with Project(tmp_path) as project, project.read() as connection:
        assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)


def test_news_that_cannot_be_told_stop_no_edit(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("the pages are gone")

    with Project(tmp_path, notify=fail) as project:
        assert project.write(lambda connection: 1) == 1
        assert project.write(lambda connection: 2) == 2


def test_a_closed_project_takes_no_edit(tmp_path: Path) -> None:
    project = open_project(tmp_path)
    project.close()
    with pytest.raises(NotSavedError):
        project.write(lambda connection: None)


@pytest.mark.parametrize("content", [b"text, not a project" * 10, b"SQLite format 3\0" + b"\0" * 100])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ProjectBrokenError, match="lince studio"):
        Project(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    open_project(tmp_path).close()
    content = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(content[: len(content) // 2])
    with pytest.raises(ProjectBrokenError, match="backups"):
        Project(tmp_path)


def test_a_newer_project_is_refused_and_not_changed(tmp_path: Path) -> None:
    open_project(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(ProjectBrokenError, match="newer"):
        Project(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_new_project_has_the_schema_of_its_migrations(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from lince.studio.store import migration

    engine = database.open_sqlite(tmp_path / "migrated.lince")
    migration.upgrade_tables(engine, None, None)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    open_project(tmp_path / "new").close()

    def read_layout(path: Path) -> list[str]:
        with sqlite3.connect(path) as connection:
            rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT LIKE '%alembic%'").fetchall()
        connection.close()
        return sorted(sorted(sql.replace(",", " , ").split()) for (sql,) in rows)

    assert read_layout(tmp_path / "migrated.lince") == read_layout(tmp_path / "new" / FILE_NAME)


def test_copies_are_whole_and_the_old_ones_go(tmp_path: Path) -> None:
    with open_project(tmp_path) as project:
        box = add_box(project, random.Random(1))
        folder = tmp_path / backup.FOLDER
        folder.mkdir()
        for day in range(1, 21):
            for hour in (8, 20):
                (folder / f"project-2026-01-{day:02d}-{hour:02d}0000.lince").write_bytes(b"old")
        copy = backup.copy_database(tmp_path / FILE_NAME, folder)
        backup.prune_copies(folder)
        kept = sorted(path.name for path in folder.iterdir())
    assert len(kept) == 24
    assert copy.name in kept
    (tmp_path / "again").mkdir()
    copy.rename(tmp_path / "again" / FILE_NAME)
    with Project(tmp_path / "again") as project, project.read() as connection:
        assert connection.execute(sa.select(shapes.c.id)).scalars().all() == [box.target.id]
