"""Acts on the project: fields of many photos, classes merged and deleted; undone as one, and replayed to the state."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.studio.store_support import ANA, BIA, add_box, make_box, make_id, open_project

from lince.studio import event_stream
from lince.studio.store import journal, journal_list, label_moves, wide_acts
from lince.studio.store.bulk import change_many
from lince.studio.store.edits import Act, Author, ConflictError, Edit
from lince.studio.store.fields import EditRefusedError
from lince.studio.store.project import Project
from lince.studio.store.schema import events, photos, shapes
from lince.studio.store.states import Target, read_state

REST = {"rings": [], "mask": "", "flags": 0, "source": "person", "model": '"class":1,"flags":', "score": None, "z": 0}


def change(
    project: Project, ids: list[int], fields: dict, key: str = "act", author: Author = ANA, seen: int | None = None
):
    act = Act(key, author, is_wide=True)
    return project.write(lambda connection: wide_acts.change_photos(connection, ids, fields, act, seen))


def retire(project: Project, class_id: int, into: int | None, key: str = "retire"):
    act = Act(key, ANA, is_wide=True)
    return project.write(lambda connection: wide_acts.retire_class(connection, class_id, into, act))


def read_photo(project: Project, photo_id: int) -> dict:
    with project.read() as connection:
        state = read_state(connection, Target("photo", str(photo_id)))
    assert state
    return state


def require_replay(project: Project) -> None:
    """The journal replays to the present state, and the counters are those of the rows."""
    with project.read() as connection:
        assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)
        counted = sa.select(sa.func.count()).where(shapes.c.photo_id == photos.c.id).scalar_subquery()
        for stated, real in connection.execute(sa.select(photos.c.shapes, counted)):
            assert stated == real


def test_a_class_for_a_selection_is_one_act(tmp_path: Path) -> None:
    with open_project(tmp_path, 5) as project:
        assert change(project, [1, 2, 4], {"classes": [1], "state": "done"})[:2] == (0, 3)
        assert [read_photo(project, number)["classes"] for number in range(1, 6)] == [[1], [1], [], [1], []]
        assert read_photo(project, 1)["state"] == "done"
        require_replay(project)
        assert change(project, [1, 2, 4], {"classes": [1]}, "again").photos == 0  # they have it already
        project.undo("undo", ANA)
        assert all(read_photo(project, number)["classes"] == [] for number in range(1, 6))
        project.redo("redo", ANA)
        assert read_photo(project, 4) == {"classes": [1], "flag": "", "removed": False, "split": "", "state": "done"}
        require_replay(project)


def test_an_act_that_is_sent_again_is_made_once(tmp_path: Path) -> None:
    with open_project(tmp_path) as project:
        first = change(project, [1, 2], {"flag": "look"})
        assert change(project, [1, 2], {"flag": "look"}) == first
        assert retire(project, 0, 1) == retire(project, 0, 1)
        require_replay(project)


def test_what_somebody_else_changed_since_is_not_overwritten(tmp_path: Path) -> None:
    with open_project(tmp_path) as project:
        seen = project.get_last_seq()
        change(project, [2], {"classes": [0]}, "of bia", BIA)
        with pytest.raises(ConflictError, match="bia"):
            change(project, [1, 2, 3], {"classes": [1]}, seen=seen)
        assert [read_photo(project, number)["classes"] for number in (1, 2, 3)] == [[], [0], []]
        change(project, [1, 3], {"classes": [1]}, "other photos", seen=seen)
        change(project, [1, 3], {"classes": [0]}, "own act is no conflict", seen=seen)
        assert read_photo(project, 3)["classes"] == [0]


@pytest.mark.parametrize(
    ("ids", "fields"),
    [
        ([1], {"classes": [9]}),
        ([1], {"state": "odd"}),
        ([1], {"name": "x"}),
        ([1, 99], {"flag": "x"}),
        ([1], {"split": 3}),
    ],
)
def test_what_is_no_state_is_refused_as_a_whole(tmp_path: Path, ids: list[int], fields: dict) -> None:
    with open_project(tmp_path) as project:
        before = project.get_last_seq()
        with pytest.raises(EditRefusedError):
            change(project, ids, fields)
        assert project.get_last_seq() == before


@pytest.mark.parametrize("into", [1, None])
def test_a_class_is_retired_with_its_labels_and_comes_back(tmp_path: Path, into: int | None) -> None:
    rng = random.Random(0)
    with open_project(tmp_path) as project:
        boxes = [add_box(project, rng, photo_id=1 + number % 3) for number in range(7)]
        other = Edit(make_id(rng), Target("shape", make_id(rng)), None, make_box(rng, 1, 1))
        project.apply_edits([other], ANA)
        change(project, [2, 3], {"classes": [0], "state": "done"}, "first")
        change(project, [3], {"classes": [0, 1], "state": "done"}, "both")
        assert retire(project, 0, into)[:2] == (7, 2)
        with project.read() as connection:
            left = [read_state(connection, edit.target) for edit in boxes]
            tombstone = read_state(connection, Target("class", "0"))
            assert read_state(connection, other.target)
        assert tombstone
        assert (tombstone["alive"], tombstone["merged_into"]) == (False, into)
        assert [state and state["class"] for state in left] == [into] * 7
        assert read_photo(project, 2)["classes"] == ([] if into is None else [into])
        assert read_photo(project, 2)["state"] == ("new" if into is None else "done")
        assert read_photo(project, 3)["classes"] == [1]
        require_replay(project)
        project.undo("undo", ANA)
        with project.read() as connection:
            assert [read_state(connection, edit.target) for edit in boxes] == [edit.after for edit in boxes]
        assert read_photo(project, 3)["classes"] == [0, 1]
        require_replay(project)
        project.redo("redo", ANA)
        require_replay(project)


@pytest.mark.parametrize(("class_id", "into"), [(9, 1), (0, 9), (0, 0)])
def test_a_class_that_is_not_there_is_refused(tmp_path: Path, class_id: int, into: int) -> None:
    with open_project(tmp_path) as project, pytest.raises(EditRefusedError):
        retire(project, class_id, into)


def test_a_merged_class_is_followed_when_an_earlier_state_comes_back(tmp_path: Path) -> None:
    rng = random.Random(0)
    with open_project(tmp_path) as project:
        box = add_box(project, rng)
        project.apply_edits([Edit(make_id(rng), box.target, box.after, None)], ANA)
        retire(project, 0, 1)
        project.undo("undo", ANA, 1)
        with project.read() as connection:
            state = read_state(connection, box.target)
        assert state
        assert state["class"] == 1


def test_the_journal_is_listed_by_acts(tmp_path: Path) -> None:
    rng = random.Random(0)
    with open_project(tmp_path) as project:
        add_box(project, rng, photo_id=2)
        change(project, [1, 2, 3], {"split": "test"}, "split")
        retire(project, 0, 1)
        project.undo("undo", ANA)
        with project.read() as connection:
            acts = journal_list.list_acts(connection)
            older = journal_list.list_acts(connection, acts[1].first, 2)
        assert [act.what for act in acts] == ["undo", "class.merge", "photo.split", "shape.add", "class.add"]
        assert [act.name for act in acts] == ["helmet", "helmet", "", "1.jpg", "helmet"]
        assert [act.photos for act in acts] == [1, 1, 3, 1, 0]
        assert list(older) == list(acts[2:4])
        moment = acts[3].seq
        project.restore("restore", ANA, moment)
        with project.read() as connection:
            assert journal.read_all(connection) == journal.without_new_photos(journal.replay_events(connection, moment))


def move_one_by_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wide_acts, "move_shapes", lambda _connection, _class_id, _into, _act, first: first)
    patch.setattr(journal, "has_many_shapes", lambda _connection, _condition: False)


def run_wide_acts(folder: Path, database: str | None = None) -> tuple[list[object], journal.States]:
    """Merge, undo, redo, undo, delete and undo a class of 200 shapes, restore; return the journal and the state."""
    rng = random.Random(3)
    with open_project(folder, 5, database) as project:
        edits = [
            Edit("", Target("shape", make_id(rng)), None, {**make_box(rng, 1 + number % 5, number % 2), **REST})
            for number in range(400)
        ]
        project.write(lambda connection: change_many(connection, edits, Act("import", ANA, True, "import")))
        middle = project.get_last_seq() - 150  # the last shapes are not there yet
        for key, into in (("merge", 0), ("delete", None)):
            act = Act(key, ANA, is_wide=True)
            project.write(lambda connection, act=act, into=into: wide_acts.retire_class(connection, 1, into, act))
            project.undo(f"{key} undone", ANA)
            project.redo(f"{key} redone", ANA)
            project.undo(f"{key} undone again", ANA)
        project.restore("restored", ANA, middle)
        project.undo("restored undone", ANA)
        with project.read() as connection:
            state = journal.read_all(connection)
            assert journal.without_new_photos(journal.replay_events(connection)) == state
            columns = ("key", "act", "photo_id", "version", "kind", "target", "target_id", "before", "after", "undoes")
            rows = connection.execute(sa.select(*(events.c[name] for name in columns), events.c.who, events.c.wide))
            counts = sa.select(photos.c.id, photos.c.version, photos.c.shapes).order_by(photos.c.id)
            # In which order the events of an act come does not matter; their keys and versions follow from it.
            kept = sorted(
                (row.act, row.target, row.target_id, row.before or "", row.after or "", row.kind) for row in rows
            )
            return [kept, connection.execute(counts).all()], state


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_shapes_at_once_leave_what_one_by_one_leaves(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue("postgresql") if kind == "postgresql" else lambda: None
    monkeypatch.setattr(label_moves, "_MANY", 1)
    monkeypatch.setattr(label_moves, "_MANY_BACK", 1)
    at_once = run_wide_acts(tmp_path / "one", database())
    move_one_by_one(monkeypatch)
    assert run_wide_acts(tmp_path / "other", database()) == at_once


def test_shapes_that_somebody_changed_since_stop_the_undo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_moves, "_MANY", 1)
    monkeypatch.setattr(label_moves, "_MANY_BACK", 1)
    with open_project(tmp_path) as project:
        box = add_box(project, random.Random(0))
        act = Act("merge", ANA, is_wide=True)
        project.write(lambda connection: wide_acts.retire_class(connection, 0, 1, act))
        moved = {**box.after, "class": 1}
        [changed] = project.apply_edits([Edit("bia's", box.target, moved, {**moved, "flags": 1})], BIA)
        assert changed.status == "saved"
        with pytest.raises(ConflictError, match="bia"):
            project.undo("undo", ANA)


@pytest.mark.parametrize("is_many", [True, False])
def test_shapes_of_a_class_that_was_merged_since_come_back_with_the_living_one(
    tmp_path: Path, is_many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_moves, "_MANY_BACK", 1 if is_many else 1000)
    rng = random.Random(0)
    with open_project(tmp_path) as project:
        boxes = [add_box(project, rng, photo_id=1 + number % 2) for number in range(5)]
        edits = [Edit(f"gone:{place}", box.target, box.after, None) for place, box in enumerate(boxes)]
        project.apply_act(edits, Act("gone", ANA, is_wide=True))
        act = Act("merge", BIA, is_wide=True)
        project.write(lambda connection: wide_acts.retire_class(connection, 0, 1, act))
        assert len(project.undo("undo", ANA)) == 5
        with project.read() as connection:
            found = [read_state(connection, box.target) for box in boxes]
        assert found == [{**box.after, "class": 1} for box in boxes]
        require_replay(project)
        project.redo("redo", ANA)
        act = Act("delete", BIA, is_wide=True)
        project.write(lambda connection: wide_acts.retire_class(connection, 1, None, act))
        before = project.get_last_seq()
        with pytest.raises(EditRefusedError, match="deleted since"):
            project.undo("again", ANA)
        assert project.get_last_seq() == before
        require_replay(project)


def test_a_wide_act_is_one_message_to_the_pages(tmp_path: Path) -> None:
    with open_project(tmp_path, 120) as project:
        first = project.get_last_seq()
        act = Act("flag", ANA, is_wide=True)
        project.write(lambda connection: wide_acts.change_photos(connection, range(1, 121), {"flag": "look"}, act))
        box = add_box(project, random.Random(0))
        news = event_stream._read_news(project, first)
        assert [name for name, _row in news] == ["wide", "edit"]
        assert news[0][1]["photos"] == list(range(1, 121))
        assert news[0][1]["seq"] == first + 120
        assert news[1][1]["target_id"] == box.target.id
        middle = event_stream._read_news(project, first + 60)
        assert [name for name, _row in middle] == ["wide", "edit"], "a page that lost the connection hears of it, too"
