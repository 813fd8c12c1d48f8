"""Random edits, stale saves, undo, redo, merges and restores by two people: the journal always replays to the state."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.studio.store_support import ANA, BIA, make_box, make_id, open_project

from lince.errors import LinceError
from lince.studio.store import journal, label_moves, wide_acts
from lince.studio.store.edits import STALE, Act, Author, Edit, Outcome
from lince.studio.store.schema import events, photos, shapes
from lince.studio.store.states import NEW_PHOTO, State, Target, parse_text, read_state

PEOPLE = st.sampled_from([ANA, BIA])
PHOTOS = st.integers(1, 3)
CLASSES = st.integers(0, 3)


class Labelling(RuleBasedStateMachine):
    """A project under two people; ``seen`` are states that a page may still show, current or stale."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.project = open_project(Path(self.folder.name))
        self.rng = random.Random(0)
        self.seen: list[tuple[Target, State]] = []
        self.count = 0

    def teardown(self) -> None:
        self.project.close()
        self.folder.cleanup()

    def key(self) -> str:
        self.count += 1
        return f"key {self.count}"

    def states(self) -> journal.States:
        with self.project.read() as connection:
            return journal.read_all(connection)

    def send(self, edit: Edit, author: Author) -> None:
        before = self.states()
        [outcome] = self.project.apply_edits([edit], author)
        after = self.states()
        if not isinstance(outcome, Outcome) or outcome.status == STALE:
            assert after == before
            return
        changed = {target for target in before | after if before.get(target) != after.get(target)}
        assert changed <= {Target(edit.target.kind, outcome.target_id)}
        [again] = self.project.apply_edits([edit], author)
        assert isinstance(again, Outcome)
        assert again.seq == outcome.seq
        assert self.states() == after
        if outcome.now is not None and edit.target.kind == "shape":
            self.seen.append((edit.target, outcome.now))

    @rule(author=PEOPLE, photo_id=PHOTOS, class_id=CLASSES)
    def add_box(self, author: Author, photo_id: int, class_id: int) -> None:
        target = Target("shape", make_id(self.rng))
        self.send(Edit(self.key(), target, None, make_box(self.rng, photo_id, class_id)), author)

    @rule(author=PEOPLE, place=st.integers(0, 50), class_id=CLASSES)
    def change_what_was_seen(self, author: Author, place: int, class_id: int) -> None:
        if self.seen:
            target, state = self.seen[place % len(self.seen)]
            after = make_box(self.rng, state["photo"], class_id)
            self.send(Edit(self.key(), target, state, after), author)

    @rule(author=PEOPLE, place=st.integers(0, 50))
    def remove_what_was_seen(self, author: Author, place: int) -> None:
        if self.seen:
            target, state = self.seen[place % len(self.seen)]
            self.send(Edit(self.key(), target, state, None), author)

    @rule(author=PEOPLE, photo_id=PHOTOS, class_id=CLASSES, state=st.sampled_from(["done", "skipped", "draft"]))
    def label_photo(self, author: Author, photo_id: int, class_id: int, state: str) -> None:
        target = Target("photo", str(photo_id))
        now = parse_text(self.states().get(target)) or NEW_PHOTO
        self.send(Edit(self.key(), target, now, {**now, "classes": [class_id], "state": state}), author)

    @rule(author=PEOPLE, name=st.sampled_from(["helmet", "head", "vest"]))
    def add_class(self, author: Author, name: str) -> None:
        self.send(Edit(self.key(), Target("class", ""), None, {"name": name, "colour": "#000000"}), author)

    @rule(author=PEOPLE, class_id=CLASSES, name=st.sampled_from(["helmet", "head", "vest"]), alive=st.booleans())
    def change_class(self, author: Author, class_id: int, name: str, alive: bool) -> None:
        target = Target("class", str(class_id))
        now = parse_text(self.states().get(target))
        if now is not None:
            self.send(Edit(self.key(), target, now, {**now, "name": name, "alive": alive}), author)

    @rule(author=PEOPLE, source=CLASSES, goal=CLASSES)
    def merge(self, author: Author, source: int, goal: int) -> None:
        states = {target: parse_text(text) or {} for target, text in self.states().items()}
        target = Target("class", str(source))
        if source == goal or target not in states or Target("class", str(goal)) not in states:
            return
        key = self.key()
        edits = [
            Edit(f"{key} {place}", one, state, {**state, "class": goal})
            for place, (one, state) in enumerate(states.items())
            if one.kind == "shape" and state["class"] == source
        ]
        edits += [
            Edit(f"{key} {one.id}", one, state, {**state, "classes": sorted({*state["classes"], goal} - {source})})
            for one, state in states.items()
            if one.kind == "photo" and source in state["classes"]
        ]
        edits.append(Edit(key, target, states[target], {**states[target], "alive": False, "merged_into": goal}))
        self.attempt(lambda: self.project.apply_act(edits, Act(key, author, is_wide=True)))

    @rule(author=PEOPLE, source=CLASSES, goal=st.none() | CLASSES)
    def retire(self, author: Author, source: int, goal: int | None) -> None:
        """As ``merge``, in a few statements for all shapes, as the page does; or without another class."""
        key = self.key()
        act = Act(key, author, is_wide=True)
        self.attempt(
            lambda: self.project.write(lambda connection: wide_acts.retire_class(connection, source, goal, act))
        )

    @rule(author=PEOPLE, photo_id=st.none() | PHOTOS, redo=st.booleans())
    def undo(self, author: Author, photo_id: int | None, redo: bool) -> None:
        key = self.key()
        act = self.project.redo if redo else self.project.undo
        self.attempt(lambda: act(key, author, photo_id))

    @rule(author=PEOPLE, back=st.integers(0, 20))
    def restore(self, author: Author, back: int) -> None:
        seq = max(2, self.project.get_last_seq() - back)
        with self.project.read() as connection:
            wanted = journal.without_new_photos(journal.replay_events(connection, seq))
        key = self.key()
        if self.attempt(lambda: self.project.restore(key, author, seq)):
            # Classes that were made since stay, and are not alive.
            now = {one: text for one, text in self.states().items() if one in wanted or one.kind != "class"}
            assert now == wanted

    def attempt(self, act: object) -> bool:
        """Whether an act was made; one that is refused leaves everything as it was."""
        before = self.states()
        try:
            act()  # type: ignore[operator]
        except LinceError:
            assert self.states() == before
            return False
        return True

    @invariant()
    def the_journal_replays_to_the_state(self) -> None:
        with self.project.read() as connection:
            assert journal.without_new_photos(journal.replay_events(connection)) == journal.read_all(connection)

    @invariant()
    def counts_are_those_of_the_rows(self) -> None:
        count = sa.select(sa.func.count()).where(shapes.c.photo_id == photos.c.id).scalar_subquery()
        edits = sa.select(sa.func.count()).where(events.c.photo_id == photos.c.id).scalar_subquery()
        with self.project.read() as connection:
            for row in connection.execute(sa.select(photos.c.shapes, count, photos.c.version, edits)):
                assert (row[0], row[2]) == (row[1], row[3])

    @invariant()
    def every_label_has_a_living_class(self) -> None:
        states = {target: parse_text(text) or {} for target, text in self.states().items()}
        living = {int(target.id) for target, state in states.items() if target.kind == "class" and state["alive"]}
        for target, state in states.items():
            used = {state["class"]} if target.kind == "shape" else set(state.get("classes", []))
            assert used <= living

    @invariant()
    def undone_and_redone_is_as_before(self) -> None:
        if self.count % 7 == 0:
            before = self.states()
            key = self.key()
            if self.attempt(lambda: self.project.undo(f"u {key}", ANA, 1)):
                self.attempt(lambda: self.project.redo(f"r {key}", ANA, 1))
                with self.project.read() as connection:
                    assert read_state(connection, Target("photo", "1")) is not None
                assert self.states() == before


@pytest.fixture(autouse=True, scope="module")
def _move_few_shapes_as_many() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_moves, "_MANY", 1)
        patch.setattr(label_moves, "_MANY_BACK", 2)
        yield


TestLabelling = Labelling.TestCase
TestLabelling.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
