"""The counts beside filters and classes are those of the photos that the filters find."""

from __future__ import annotations

import random
from pathlib import Path

from tests.studio.store_support import ANA, make_box, make_id, open_project

from lince.studio import photo_counts, photo_query
from lince.studio.photo_counts import CountCache
from lince.studio.photo_query import STATE_FILTERS, PhotoFilter
from lince.studio.store.edits import Edit
from lince.studio.store.project import Project
from lince.studio.store.states import PHOTO_STATES, Target


def label_at_random(project: Project, rng: random.Random, count: int) -> None:
    """Give photos classes, shapes, states, splits, flags and comments by chance, and remove some."""
    edits = []
    for photo in range(1, count + 1):
        state = {
            "classes": rng.choice([[], [], [0], [0, 1]]),
            "state": rng.choice(PHOTO_STATES),
            "split": rng.choice(["", "train", "test"]),
            "flag": rng.choice(["", "", "look"]),
            "removed": rng.random() < 0.2,
        }
        new = {"classes": [], "flag": "", "removed": False, "split": "", "state": "new"}
        edits.append(Edit(make_id(rng), Target("photo", str(photo)), new, state))
        for _number in range(rng.choice([0, 0, 1, 3])):
            box = make_box(rng, photo, rng.randrange(2))
            edits.append(Edit(make_id(rng), Target("shape", make_id(rng)), None, box))
        if rng.random() < 0.3:
            told = {"photo": photo, "shape": "", "text": "?", "who": "ana", "done": rng.random() < 0.5}
            edits.append(Edit(make_id(rng), Target("comment", make_id(rng)), None, told))
    project.apply_edits(edits, ANA)


def test_counts_are_those_of_the_filters(tmp_path: Path) -> None:
    with open_project(tmp_path, 120) as project:
        label_at_random(project, random.Random(0), 120)
        with project.read() as connection:
            counts = photo_counts.count_photos(connection, 1)

            def count(**wanted: object) -> int:
                return len(photo_query.list_photo_ids(connection, PhotoFilter(**wanted)))

            assert counts.states == {name: count(state=name) for name in STATE_FILTERS}
            assert min(counts.states.values()) > 0
            assert counts.splits == {name: count(split=name or "none") for name in ("", "train", "test")}
            for class_id in (0, 1):
                labels = counts.labels[class_id]
                assert 0 < max(labels.photos, labels.shape_photos) <= count(class_id=class_id)
                assert labels.shape_photos <= labels.shapes


def test_counts_are_made_again_only_after_a_change(tmp_path: Path, monkeypatch) -> None:
    made = []
    real = photo_counts.count_photos
    monkeypatch.setattr(photo_counts, "count_photos", lambda *given: made.append(1) or real(*given))
    monkeypatch.setattr(photo_counts, "_SHORT_SECONDS", 1e9)
    cache = CountCache()
    with open_project(tmp_path) as project:
        first = cache.get(project)
        assert cache.get(project) is first
        label_at_random(project, random.Random(1), 3)
        assert cache.get(project).seq > first.seq
        assert len(made) == 2
        monkeypatch.setattr(photo_counts, "_SHORT_SECONDS", 0.0)
        monkeypatch.setattr(photo_counts, "_MAX_LOAD", 1e9)  # as if counting took long
        cache = CountCache()
        old = cache.get(project)
        box = make_box(random.Random(2), 1)
        project.apply_edits(
            [Edit(make_id(random.Random(3)), Target("shape", make_id(random.Random(4))), None, box)], ANA
        )
        assert cache.get(project) is old
