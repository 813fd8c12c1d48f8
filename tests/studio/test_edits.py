"""Edits of a project: saved once, compared with what their author saw, refused where they are no labels."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.studio.store_support import ANA, BIA, add_box, fill, make_box, make_id, open_project

from lince.studio.store import journal
from lince.studio.store.edits import SAVED, STALE, Act, ConflictError, Edit
from lince.studio.store.fields import EditRefusedError
from lince.studio.store.project import Project
from lince.studio.store.schema import events, photos, shapes
from lince.studio.store.states import Target, read_state

PHOTO = Target("photo", "1")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    database = request.getfixturevalue("postgresql")() if request.param == "postgresql" else None
    with open_project(tmp_path / "obra ñ", database=database) as opened:
        yield opened


def state_of(project: Project, target: Target) -> Any:
    with project.read() as connection:
        return read_state(connection, target)


def count(project: Project, table: sa.Table) -> int:
    with project.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_an_edit_that_is_sent_twice_is_one_edit(project: Project) -> None:
    edit = Edit("key", Target("shape", make_id(random.Random(0))), None, make_box(random.Random(0)))
    [first], [second] = project.apply_edits([edit], ANA), project.apply_edits([edit], ANA)
    assert (first.status, first.seq, first.version) == (second.status, second.seq, second.version)
    assert count(project, shapes) == 1


def test_edits_of_two_shapes_go_together_and_of_one_do_not(project: Project) -> None:
    rng = random.Random(1)
    one, other = add_box(project, rng), add_box(project, rng)
    moved = {**one.after, "box": [1, 2, 3, 4]}
    [saved] = project.apply_edits([Edit("a", one.target, one.after, moved)], BIA)
    [beside] = project.apply_edits([Edit("b", other.target, other.after, {**other.after, "class": 1})], ANA)
    [stale] = project.apply_edits([Edit("c", one.target, one.after, {**one.after, "class": 1})], ANA)
    assert (saved.status, beside.status, stale.status) == (SAVED, SAVED, STALE)
    assert (stale.who, stale.seq, stale.now["box"]) == ("bia", saved.seq, [1, 2, 3, 4])
    assert state_of(project, one.target)["class"] == 0


def test_the_version_of_a_photo_counts_its_edits(project: Project) -> None:
    rng = random.Random(2)
    for _number in range(3):
        add_box(project, rng)
    add_box(project, rng, photo_id=2)
    with project.read() as connection:
        rows = connection.execute(sa.select(photos.c.version, photos.c.shapes).order_by(photos.c.id)).all()
    assert [tuple(row) for row in rows] == [(3, 3), (1, 1), (0, 0)]


def test_one_bad_edit_takes_none_of_its_neighbours_with_it(project: Project) -> None:
    rng = random.Random(3)
    good = [Edit(make_id(rng), Target("shape", make_id(rng)), None, make_box(rng)) for _number in range(9)]
    bad = Edit("bad", Target("shape", make_id(rng)), None, {**make_box(rng), "box": [5, 5, 5, 9]})
    outcomes = project.apply_edits([*good[:4], bad, *good[4:]], ANA)
    assert isinstance(outcomes[4], EditRefusedError)
    assert outcomes[4].code == "box"
    assert [outcome.status for outcome in outcomes[:4] + outcomes[5:]] == [SAVED] * 9
    assert count(project, shapes) == 9


def test_many_threads_share_the_writer_and_lose_nothing(project: Project) -> None:
    def label(seed: int) -> None:
        rng = random.Random(seed)
        for _number in range(20):
            add_box(project, rng, photo_id=1 + seed % 3)

    threads = [threading.Thread(target=label, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(project, shapes) == 160
    with project.read() as connection:
        assert connection.execute(sa.select(sa.func.sum(photos.c.version))).scalar_one() == 160
        assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"box": [1, 2, 1, 4]}, "box"),
        ({"box": [-1, 2, 3, 4]}, "box"),
        ({"box": [1, 2, 641, 4]}, "box"),
        ({"box": [1, 2, float("nan"), 4]}, "box"),
        ({"box": [1, 2, "3", 4]}, "box"),
        ({"box": None}, "box"),
        ({"class": 7}, "class"),
        ({"class": True}, "class"),
        ({"photo": 99}, "photo"),
        ({"kind": "circle"}, "kind"),
        ({"kind": "polygon", "rings": [[[1, 1], [2, 2]]]}, "rings"),
        ({"kind": "polygon", "rings": [[[1, 1], [2, 2], [3]]]}, "rings"),
        ({"kind": "mask", "mask": ""}, "mask"),
        ({"source": "robot"}, "source"),
        ({"score": float("inf")}, "score"),
        ({"flags": 32}, "flags"),
        ({"model": "\ud800"}, "model"),
    ],
)
def test_what_is_no_shape_is_refused(project: Project, change: dict[str, Any], code: str) -> None:
    rng = random.Random(4)
    edit = Edit("key", Target("shape", make_id(rng)), None, {**make_box(rng), **change})
    [refused] = project.apply_edits([edit], ANA)
    assert isinstance(refused, EditRefusedError)
    assert refused.code == code
    assert "\n" in str(refused)
    assert count(project, shapes) == 0


@pytest.mark.parametrize(
    "target", [Target("shape", "1"), Target("photo", "x"), Target("photo", "99"), Target("x", "1")]
)
def test_what_is_no_target_is_refused(project: Project, target: Target) -> None:
    [refused] = project.apply_edits([Edit("key", target, None, {"state": "done"})], ANA)
    assert isinstance(refused, EditRefusedError)


def test_a_polygon_has_the_box_of_its_points(project: Project) -> None:
    target = Target("shape", make_id(random.Random(5)))
    given = {"photo": 1, "class": 1, "kind": "polygon", "rings": [[[10, 20], [30, 5.5], [40, 60]]], "box": [0, 0, 1, 1]}
    [outcome] = project.apply_edits([Edit("key", target, None, given)], ANA)
    assert outcome.now["box"] == [10, 5.5, 40, 60]


def test_undo_and_redo_have_no_end(project: Project) -> None:
    rng = random.Random(6)
    first, second = add_box(project, rng), add_box(project, rng)
    moved = {**second.after, "box": [1, 2, 3, 4]}
    project.apply_edits([Edit("move", second.target, second.after, moved)], ANA)
    for number in range(3):
        project.undo(f"undo {number}", ANA, 1)
    assert project.undo("undo 3", ANA, 1) == []
    assert state_of(project, first.target) is None
    for number in range(3):
        project.redo(f"redo {number}", ANA, 1)
    assert state_of(project, second.target)["box"] == [1, 2, 3, 4]
    project.undo("again", ANA, 1)
    assert state_of(project, second.target)["box"] == second.after["box"]
    assert project.undo("again", ANA, 1)[0].key == "again"
    assert state_of(project, second.target)["box"] == second.after["box"]
    add_box(project, rng)
    assert project.redo("nothing", ANA, 1) == []


def test_undo_is_a_persons_own_and_never_takes_back_what_another_did(project: Project) -> None:
    rng = random.Random(7)
    hers, his = add_box(project, rng, ANA), add_box(project, rng, BIA)
    project.undo("undo", ANA, 1)
    assert state_of(project, hers.target) is None
    assert state_of(project, his.target) is not None
    project.redo("redo", ANA, 1)
    project.apply_edits([Edit("bia", hers.target, hers.after, {**hers.after, "class": 1})], BIA)
    with pytest.raises(ConflictError, match="bia"):
        project.undo("late", ANA, 1)
    assert state_of(project, hers.target)["class"] == 1


def test_an_act_on_many_photos_is_undone_as_one(project: Project) -> None:
    new = {"classes": [], "flag": "", "removed": False, "split": "", "state": "new"}
    edits = [
        Edit(f"many:{number}", Target("photo", str(number)), new, {**new, "classes": [1], "state": "done"})
        for number in (1, 2, 3)
    ]
    project.apply_act(edits, Act("many", ANA, is_wide=True))
    assert project.undo("on the photo", ANA, 2) == []
    assert len(project.undo("all", ANA)) == 3
    assert state_of(project, PHOTO) == new


def test_nobody_joins_the_act_of_another(project: Project) -> None:
    rng = random.Random(14)
    hers = add_box(project, rng, ANA)
    target = Target("shape", make_id(rng))
    [refused] = project.apply_edits([Edit("his", target, None, make_box(rng), hers.key)], BIA)
    assert isinstance(refused, EditRefusedError)
    assert refused.code == "act"
    [joined] = project.apply_edits([Edit("more", target, None, make_box(rng), hers.key)], ANA)
    assert joined.status == SAVED
    assert len(project.undo("undo", ANA, 1)) == 2


def test_an_act_is_made_whole_or_not_at_all(project: Project) -> None:
    rng = random.Random(8)
    box = add_box(project, rng)
    edits = [
        Edit("one", Target("shape", make_id(rng)), None, make_box(rng)),
        Edit("two", box.target, {**box.after, "class": 1}, None),
    ]
    with pytest.raises(ConflictError):
        project.apply_act(edits, Act("one", BIA))
    assert count(project, shapes) == 1


def test_a_class_that_labels_use_cannot_leave(project: Project) -> None:
    rng = random.Random(9)
    box = add_box(project, rng)
    helmet = state_of(project, Target("class", "0"))
    gone = Edit("gone", Target("class", "0"), helmet, {**helmet, "alive": False, "merged_into": 1})
    [refused] = project.apply_edits([gone], ANA)
    assert isinstance(refused, EditRefusedError)
    assert refused.code == "in-use"
    moved = Edit("moved", box.target, box.after, {**box.after, "class": 1})
    project.apply_act([moved, gone], Act("merge", ANA, is_wide=True))
    assert state_of(project, box.target)["class"] == 1
    project.undo("undo", ANA)
    assert state_of(project, box.target)["class"] == 0
    assert state_of(project, Target("class", "0"))["alive"]


def test_ids_of_classes_are_never_given_twice_and_names_are_unique(project: Project) -> None:
    def add(key: str, name: str) -> Any:
        return project.apply_edits([Edit(key, Target("class", ""), None, {"name": name, "colour": "#000000"})], ANA)[0]

    assert add("a", "vest").target_id == "2"
    vest = state_of(project, Target("class", "2"))
    project.apply_edits([Edit("b", Target("class", "2"), vest, {**vest, "alive": False})], ANA)
    assert add("c", "vest").target_id == "3"
    assert isinstance(add("d", "vest"), EditRefusedError)
    [refused] = project.apply_edits([Edit("e", Target("class", "2"), {**vest, "alive": False}, vest)], ANA)
    assert isinstance(refused, EditRefusedError)


def test_restore_brings_back_any_moment_even_where_names_were_exchanged(project: Project) -> None:
    rng = random.Random(10)
    box = add_box(project, rng)
    moment = project.get_last_seq()
    with project.read() as connection:
        before = journal.read_all(connection)
    one, two = (state_of(project, Target("class", number)) for number in "01")
    renames = [
        Edit("x", Target("class", "0"), one, {**one, "name": "casco"}),
        Edit("y", Target("class", "1"), two, {**two, "name": "helmet"}),
        Edit("z", Target("class", "0"), {**one, "name": "casco"}, {**one, "name": "head"}),
    ]
    project.apply_act(renames, Act("x", ANA, is_wide=True))
    project.apply_edits([Edit("del", box.target, box.after, None)], BIA)
    add_box(project, rng, photo_id=2)
    after = project.get_last_seq()
    project.restore("back", ANA, moment)
    with project.read() as connection:
        assert journal.read_all(connection) == before
    project.restore("forth", ANA, after)
    assert state_of(project, Target("class", "1"))["name"] == "helmet"
    project.undo("undo", ANA)
    with project.read() as connection:
        assert journal.read_all(connection) == before
        assert journal.without_new_photos(journal.replay_events(connection)) == before


def test_what_comes_back_has_the_class_into_which_its_own_was_merged(project: Project) -> None:
    box = add_box(project, random.Random(12))
    moment = project.get_last_seq()
    project.apply_edits([Edit("change", box.target, box.after, {**box.after, "class": 1})], ANA)
    helmet = state_of(project, Target("class", "0"))
    project.apply_edits([Edit("m", Target("class", "0"), helmet, {**helmet, "alive": False, "merged_into": 1})], BIA)
    project.apply_edits([Edit("del", box.target, {**box.after, "class": 1}, None)], BIA)
    project.restore("back", ANA, moment, photo_id=1)
    assert state_of(project, box.target) == {**box.after, "class": 1}


def test_what_had_a_deleted_class_does_not_come_back_without_one(project: Project) -> None:
    box = add_box(project, random.Random(13))
    project.apply_edits([Edit("change", box.target, box.after, {**box.after, "class": 1})], ANA)
    helmet = state_of(project, Target("class", "0"))
    project.apply_edits([Edit("m", Target("class", "0"), helmet, {**helmet, "alive": False})], BIA)
    with pytest.raises(EditRefusedError, match="helmet"):
        project.undo("undo", ANA, 1)
    assert state_of(project, box.target)["class"] == 1


def test_the_journal_numbers_are_those_of_a_closed_and_opened_project(tmp_path: Path) -> None:
    with open_project(tmp_path) as project:
        box = add_box(project, random.Random(11))
        last = project.get_last_seq()
        identity = project.read_meta()["project"]
    with Project(tmp_path) as project:
        assert project.get_last_seq() == last
        assert project.read_meta()["project"] == identity
        assert state_of(project, box.target)["box"] == box.after["box"]
        assert count(project, events) == last


def test_fill_twice_is_refused_by_the_database(project: Project) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        fill(project)
    assert count(project, photos) == 3
