"""One division: what belongs together is in one split, look-alikes divide, ``split`` and ``train`` draw the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from tests.datasets.test_split import made
from tests.support.look_alike_sets import (
    ALTERATIONS,
    draw_scene,
    name_export,
    save_photos,
    shoot_fixed_camera,
    shoot_moving_camera,
    shoot_slow_camera,
)

import lince
from lince.cli.main import main
from lince.config import TrainConfig
from lince.datasets import open_dataset
from lince.datasets.division import DivisionOptions, divide_dataset
from lince.datasets.duplicates import search
from lince.datasets.duplicates.pose import are_versions
from lince.datasets.duplicates.time_limit import TimeLimit
from lince.datasets.group_cuts import BY_BACKGROUND, BY_LIKENESS, BY_TIME, CutInput, cut_groups
from lince.datasets.groups import find_groups
from lince.datasets.stratified_split import split_dataset
from lince.evaluation.diagnosis.leak import describe_leak_kinds
from lince.progress import SilentProgress
from lince.splits import TEST, TRAIN, VAL
from lince.tasks import get_task
from lince.training.request import TrainingRequest, assign_splits
from lince.training.run_folder import TrainingRun


def in_classes(photos: Iterable[Image.Image], naming: str = "IMG_{:04}.jpg") -> Iterator[tuple[str, Image.Image]]:
    """Yield the photos with names, in the class folders ``a`` and ``b`` in no order."""
    chosen = np.random.default_rng(3)
    for number, photo in enumerate(photos):
        yield f"{'ab'[int(chosen.integers(2))]}/{naming.format(number)}", photo


def without_order(number: int) -> str:
    """Return a name that does not count."""
    return f"{number * 2654435761 % 2**32:08x}x.jpg"


def shares(root: Path) -> list[int]:
    """Divide the photos by the default fractions and return how many are in training, validation and test."""
    dataset = lince.split(root, root.parent / "table.csv").dataset
    return [len(dataset.get_split_indices(part)) for part in (TRAIN, VAL, TEST)]


# Names and likeness


def test_names_of_explorer_are_no_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = ((f"{kind}/photo ({n}).jpg", draw_scene(n + 50 * (kind == "b"))) for kind in "ab" for n in range(1, 21))
    root = save_photos(tmp_path / "fotos", photos)
    assert find_groups(open_dataset(root)).grouped_count == 0
    assert main(["split", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sizes"] == {"train": 28, "val": 4, "test": 8, "unassigned": 0}


def test_altered_copies_of_an_export_stay_together_and_equal_names_alone_do_not(tmp_path: Path) -> None:
    copies = (
        (f"{'ab'[n % 2]}/{name_export(f'photo{n}', k)}", alter(draw_scene(n)))
        for n in range(12)
        for k, alter in enumerate(ALTERATIONS.values())
    )
    unrelated = ((f"a/{name_export('frame', 100 + n)}", draw_scene(500 + n)) for n in range(6))
    dataset = open_dataset(save_photos(tmp_path / "fotos", [*copies, *unrelated]))
    found = find_groups(dataset)
    originals = [dataset.images.get_name(row).split("/")[1].split("_jpg")[0] for row in range(len(dataset))]
    for number in range(12):
        assert len({int(i) for i, name in zip(found.ids, originals, strict=True) if name == f"photo{number}"}) == 1
    assert len(np.unique(found.ids)) == 12 + 6


@pytest.mark.parametrize("alter", ALTERATIONS.values(), ids=ALTERATIONS)
def test_versions_are_told_from_other_photos(alter) -> None:
    thumbnails = [np.asarray(draw_scene(n).convert("L").resize((64, 64))) for n in range(8)]
    altered = [np.asarray(alter(draw_scene(n)).convert("L").resize((64, 64))) for n in range(8)]
    assert all(are_versions(thumbnails[n], altered[n]) for n in range(8))
    assert not any(are_versions(thumbnails[n], altered[n - 1]) for n in range(8))


def test_turned_copies_are_found_without_their_names(tmp_path: Path) -> None:
    turned = [
        photo for n in range(10) for photo in (draw_scene(n), draw_scene(n).transpose(Image.Transpose.ROTATE_270))
    ]
    photos = [(f"{'ab'[n // 2 % 2]}/{without_order(n)}", photo) for n, photo in enumerate(turned)]
    found = find_groups(open_dataset(save_photos(tmp_path / "fotos", photos)))
    assert len(np.unique(found.ids)) == 10


@pytest.mark.parametrize("side", [8, 28])
def test_digits_do_not_chain(tmp_path: Path, side: int) -> None:
    digits = open_dataset("lince:digits")
    photos = (
        (
            f"{digits.class_ids[row]}/digit_{row}.png",
            Image.fromarray(digits.images.read_image(row)).resize((side, side)),
        )
        for row in range(300)
    )
    dataset = open_dataset(save_photos(tmp_path / "digits", photos))
    assert find_groups(dataset).grouped_count == find_groups(digits.select(range(300))).grouped_count == 0


# Look-alikes


@pytest.mark.parametrize("naming", [None, "IMG_{:04}.jpg"])
def test_a_fixed_camera_is_divided_by_what_differs(tmp_path: Path, naming: str | None) -> None:
    photos = shoot_fixed_camera(60)
    named = list(in_classes(photos, naming) if naming else ((f"a/{without_order(n)}", p) for n, p in enumerate(photos)))
    copies = [(f"b/{without_order(900 + n)}", ImageEnhance.Brightness(photos[n]).enhance(0.8)) for n in range(12)]
    root = save_photos(tmp_path / "fotos", [*named, *copies])
    dataset = open_dataset(root)
    found = find_groups(dataset)
    assert [cut.method for cut in found.cuts] == [BY_BACKGROUND]
    assert np.bincount(found.ids).max() <= 12
    rows = {dataset.images.get_name(row): row for row in range(len(dataset))}
    for n in range(12):
        assert found.ids[rows[named[n][0]]] == found.ids[rows[copies[n][0]]]
    assert np.abs(np.array(shares(root)) - 72 * np.array([0.7, 0.1, 0.2])).max() <= 3


@pytest.mark.parametrize(
    "photos", [shoot_slow_camera(80), shoot_fixed_camera(80, moves="slowly")], ids=["slow", "film"]
)
@pytest.mark.parametrize("counted", [True, False])
def test_a_chain_of_near_copies_is_cut_into_blocks(tmp_path: Path, photos: list[Image.Image], counted: bool) -> None:
    named = [
        (name if counted else f"{name[0]}/{without_order(n)}", p) for n, (name, p) in enumerate(in_classes(photos))
    ]
    root = save_photos(tmp_path / "fotos", named)
    dataset = open_dataset(root)
    found = find_groups(dataset)
    assert [cut.method for cut in found.cuts] == [BY_TIME if counted else BY_LIKENESS]
    assert 8 <= len(np.unique(found.ids)) <= 20
    assert np.abs(np.array(shares(root)) - 80 * np.array([0.7, 0.1, 0.2])).max() <= 8
    if counted:  # neighbours are parted at the ends of the blocks only
        times = np.array([int(dataset.images.get_name(row)[-8:-4]) for row in range(len(dataset))])
        assert (np.diff(found.ids[np.argsort(times)]) != 0).sum() <= 20


class CountedClock:
    """A clock that moves by a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.mark.parametrize("looks", [1, 2, 4, 10])
def test_after_the_time_limit_nothing_is_compared_and_what_is_undecided_stays_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "cache"))
    photos = [(f"{'ab'[n % 2]}/{n}.jpg", draw_scene(n)) for n in range(30)]
    copies = [(f"{'ab'[n % 2]}/k{n}.jpg", ImageEnhance.Brightness(draw_scene(n)).enhance(0.8)) for n in range(20)]
    turned = [(f"{'ab'[n % 2]}/t{n}.jpg", draw_scene(n).transpose(Image.Transpose.ROTATE_90)) for n in range(20, 30)]
    dataset = open_dataset(save_photos(tmp_path / "fotos", [*photos, *copies, *turned]))
    compared = list[int]()
    monkeypatch.setattr(
        search.PairComparer,
        "align",
        lambda self, pairs, align=search.PairComparer.align: compared.append(len(pairs)) or align(self, pairs),
    )
    cut_short = divide_dataset(dataset, division_options(), limit=TimeLimit(looks, CountedClock()))
    assert sum(compared) <= 32 * 2 * looks
    assert cut_short.groups.undecided_count > 0
    assert any("The time for comparing photos was over" in line for line in cut_short.describe())
    ids, splits = cut_short.groups.ids, cut_short.dataset.splits
    rows = {dataset.images.get_name(row): row for row in range(len(dataset))}
    for name, _photo in (*copies, *turned):
        original = rows[name.replace("k", "").replace("t", "")]
        assert ids[rows[name]] == ids[original]
        assert splits[rows[name]] == splits[original]
    # What was cut short is not kept as the result: the next search goes on where this one ended.
    later = divide_dataset(dataset, division_options())
    assert later.groups.undecided_count == 0
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "another"))
    assert divide_dataset(dataset, division_options()).groups.ids.tolist() == later.groups.ids.tolist()


@pytest.mark.parametrize(("share", "is_cut_short"), [(0.9, True), (0.0, False)])
def test_a_training_compares_photos_within_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, is_cut_short: bool
) -> None:
    """Where most of the budget is gone before, as on a busy machine, nothing is compared, and this is told."""
    monkeypatch.setenv("LINCE_CACHE", str(tmp_path / "cache"))
    dataset = open_dataset(save_photos(tmp_path / "fotos", in_classes(shoot_fixed_camera(40))))
    budget, told = 10_000.0, ToldLines()
    config = TrainConfig(recipe="scratch", budget=budget)
    request = TrainingRequest(
        dataset, config, get_task("classify"), progress=told, started_at=time.monotonic() - share * budget
    )
    run = TrainingRun(tmp_path)
    division = assign_splits(request, run, dataset, [str(row) for row in range(len(dataset))])
    assert bool(division.groups.undecided_count) == is_cut_short
    assert any("The time for comparing photos was over" in line for line in told.lines) == is_cut_short
    sizes = [len(division.dataset.get_split_indices(part)) for part in (TRAIN, VAL, TEST)]
    assert min(sizes) > 0


class ToldLines(SilentProgress):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def show_message(self, text: str) -> None:
        self.lines.append(text)


def test_films_stay_whole_where_there_are_enough(tmp_path: Path) -> None:
    films = (
        (f"{'ab'[film % 2]}/film{film}_{n:03}.jpg", photo)
        for film in range(6)
        for n, photo in enumerate(shoot_slow_camera(12, film))
    )
    dataset = open_dataset(save_photos(tmp_path / "fotos", films))
    divided = lince.split(dataset, tmp_path / "t.csv").dataset
    by_film: dict[str, set[int]] = {}
    for row in range(len(dataset)):
        by_film.setdefault(dataset.images.get_name(row).split("_")[0], set()).add(int(divided.splits[row]))
    assert all(len(parts) == 1 for parts in by_film.values())
    assert set.union(*by_film.values()) == {TRAIN, VAL, TEST}


def test_one_film_for_each_class_is_cut_so_that_every_split_has_every_class(tmp_path: Path) -> None:
    films = ((f"{kind}/v_{n:03}.jpg", p) for k, kind in enumerate("ab") for n, p in enumerate(shoot_slow_camera(40, k)))
    divided = lince.split(save_photos(tmp_path / "fotos", films), tmp_path / "t.csv").dataset
    for part in (TRAIN, VAL, TEST):
        assert set(divided.class_ids[divided.splits == part].tolist()) == {0, 1}


def count_separated(dataset: lince.Dataset, splits: np.ndarray) -> int:
    """Return how many successive frames, by the numbers at the ends of their names, are in two splits."""
    rows = sorted(range(len(dataset)), key=lambda row: dataset.images.get_name(row).rpartition("/")[2])
    return int(np.count_nonzero(np.diff(splits[rows])))


def test_frames_of_a_moving_camera_stay_with_their_neighbours(tmp_path: Path) -> None:
    """No two of them look alike when they are laid on each other, but time orders them."""
    photos = shoot_moving_camera(120)
    dataset = open_dataset(save_photos(tmp_path / "film", in_classes(photos, "frame_{:04}.jpg")))
    division = divide_dataset(dataset, division_options())
    apart = count_separated(dataset, division.dataset.splits)
    assert 2 <= apart <= 25  # 55 or so by chance
    assert main(["check", str(tmp_path / "film"), "--out", str(tmp_path / "page.html")]) in (0, 1)


def test_a_moving_camera_without_order_in_the_names_is_no_film(tmp_path: Path) -> None:
    photos = shoot_moving_camera(60)
    order = np.random.default_rng(2).permutation(60)
    dataset = open_dataset(save_photos(tmp_path / "x", in_classes([photos[i] for i in order], "frame_{:04}.jpg")))
    assert find_groups(dataset).grouped_count <= 10


def test_photos_sorted_by_what_they_show_are_no_film(tmp_path: Path) -> None:
    """Ten photos of each of six scenes of other colours: near to each other, but not nearer to the next one."""
    photos = [
        Image.blend(draw_scene(seed), draw_scene(1000 + 10 * seed + n), 0.6) for seed in range(6) for n in range(10)
    ]
    dataset = open_dataset(save_photos(tmp_path / "x", in_classes(photos, "frame_{:04}.jpg")))
    found = find_groups(dataset)
    assert np.bincount(found.ids).max() <= 10


def test_no_leak_is_drawn_beside_a_given_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Copies of given validation photos stay in training, where they were: they are in no test that is drawn."""
    photos = [(f"train/{'ab'[n % 2]}/{n}.jpg", draw_scene(n)) for n in range(30)]
    photos += [(f"val/{'ab'[n % 2]}/c{n}.jpg", ImageEnhance.Brightness(draw_scene(n)).enhance(0.8)) for n in range(12)]
    root = save_photos(tmp_path / "fotos", photos)
    assert main(["split", str(root), str(tmp_path / "t.csv")]) == 0
    said = capsys.readouterr().out
    assert "12 training images are copies or frames of what the validation split that came with the data shows" in said
    assert "test split that came" not in said
    division = divide_dataset(open_dataset(root), division_options())
    names = [division.dataset.images.get_name(row) for row in np.flatnonzero(division.dataset.splits == TEST)]
    assert names
    assert not {int(name.rpartition("/")[2].removesuffix(".jpg")) for name in names} & set(range(12))
    assert not len(division.leaking_test_rows)


def test_photos_of_no_split_follow_their_copies_in_a_given_one(tmp_path: Path) -> None:
    root = save_photos(tmp_path / "fotos", in_classes(draw_scene(n % 30) for n in range(60)))
    dataset = open_dataset(root)
    numbers = np.array([int(dataset.images.get_name(row)[-8:-4]) for row in range(60)])
    splits = np.where(numbers < 6, TEST, np.where(numbers < 12, VAL, -1)).astype(np.int8)
    drawn = divide_dataset(replace(dataset, splits=splits), division_options()).dataset.splits
    assert all(drawn[numbers == number + 30] == drawn[numbers == number] for number in range(30))


def test_versions_of_an_export_that_do_not_look_alike_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [
        (f"{'ab'[n % 2]}/{name_export(f'photo{n}', k)}", draw_scene(100 * n + k)) for n in range(10) for k in (0, 1)
    ]
    root = save_photos(tmp_path / "fotos", photos)
    assert main(["split", str(root), str(tmp_path / "t.csv")]) == 0
    said = capsys.readouterr().out
    assert "20 photos, such as a/photo0_jpg.rf." in said
    assert "--group '{group}.rf.{id}'" in said
    assert main(["split", str(root), str(tmp_path / "u.csv"), "--group", "{group}.rf.{id}"]) == 0
    assert "not all of these look alike" not in capsys.readouterr().out


def test_what_was_cut_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = save_photos(tmp_path / "fotos", in_classes(shoot_slow_camera(40)))
    assert main(["split", str(root)]) == 0
    assert "cut into 8 blocks in the order of their numbers" in capsys.readouterr().out
    assert main(["split", str(root), "--ignore-existing-split", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cuts"] == [{"images": 40, "groups": 8, "by": "time"}]


def test_grouping_does_not_depend_on_the_order_of_the_files_or_the_name_of_the_folder(tmp_path: Path) -> None:
    photos = [*in_classes(shoot_fixed_camera(30)), *in_classes(shoot_slow_camera(30, 4), "drift{:03}.jpg")]
    dataset, moved = (open_dataset(save_photos(tmp_path / name, photos)) for name in ("x", "otra carpeta"))
    order = np.random.default_rng(0).permutation(len(dataset))
    options = DivisionOptions(0.1, 0.2, 4)
    expected = divide_dataset(dataset, options).dataset.splits
    assert divide_dataset(moved, options).dataset.splits.tolist() == expected.tolist()
    assert divide_dataset(dataset.select(order), options).dataset.splits.tolist() == expected[order].tolist()


# Invariants


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_groups_stay_whole_and_every_split_gets_some(data: st.DataObject) -> None:
    count = data.draw(st.integers(6, 120))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    class_ids = rng.integers(0, data.draw(st.integers(1, 4)), count).tolist()
    ids = rng.integers(0, data.draw(st.integers(3, count)), count)
    ids[:3] = [0, 1, 2]
    dataset = made(class_ids)
    found = split_dataset(dataset, 0.1, 0.2, 5, ids)
    assert all(len(np.unique(found.splits[ids == number])) == 1 for number in ids)
    assert set(found.splits.tolist()) == {TRAIN, VAL, TEST}
    for class_id in set(class_ids):
        held = [ids[(found.splits == part) & (found.class_ids == class_id)] for part in (TRAIN, VAL, TEST)]
        of_class = ids[found.class_ids == class_id]
        single = np.array([(ids == number).sum() == 1 for number in of_class])
        if single.sum() >= max(12, 0.8 * len(of_class)):
            assert all(len(rows) for rows in held)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_group_that_can_be_cut_is_cut_and_units_stay_whole(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 80))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    units = rng.integers(0, data.draw(st.integers(1, count)), count)
    inputs = CutInput(
        units,
        np.where(rng.random((2, count)) < data.draw(st.floats(0, 1)), np.arange(count), -1),
        rng.integers(0, 256, (count, 64, 64), dtype=np.uint8),
        np.eye(2, dtype=np.int64)[rng.integers(0, 2, count)],
    )
    ids, cuts = cut_groups(inputs, np.zeros(count, np.int64), 3)
    assert all(len(np.unique(ids[units == unit])) == 1 for unit in units)
    assert len(np.unique(ids)) >= min(3, len(np.unique(units)))
    assert bool(cuts) == (len(np.unique(units)) > 1)
    again, _cuts = cut_groups(inputs, np.zeros(count, np.int64), 3)
    assert again.tolist() == ids.tolist()


# The division of train


@pytest.mark.parametrize("task", ["classify", "detect"])
def test_train_draws_the_split_of_split(tmp_path: Path, task: str) -> None:
    photos = [
        (f"{'ab'[n % 2]}/{name_export(f'p{n}', k)}", alter(draw_scene(n)))
        for n in range(20)
        for k, alter in enumerate(list(ALTERATIONS.values())[:3])
    ]
    root = save_photos(tmp_path / "fotos", photos)
    (root / "a" / "broken.jpg").write_bytes((root / photos[0][0]).read_bytes()[:700])
    if task == "detect":
        rows = "".join(f"{name},{name[0]},10,10,40,50\n" for name, _photo in [*photos, ("a/broken.jpg", None)])
        (root / "boxes.csv").write_text("file,class,left,top,right,bottom\n" + rows, "utf-8")
        root = root / "boxes.csv"
    dataset = lince.open(root)
    expected = lince.split(dataset, tmp_path / "t.csv", seed=3)
    names = [dataset.images.get_name(row) for row in range(len(dataset))]
    usable = dataset.select([row for row, name in enumerate(names) if name != "a/broken.jpg"])
    run = TrainingRun(tmp_path)
    request = TrainingRequest(usable, TrainConfig(seed=3), get_task(task))
    drawn = assign_splits(request, run, usable, [f"{row:032x}" for row in range(len(usable))])
    split_of_name = dict(zip(names, expected.dataset.splits.tolist(), strict=True))
    assert split_of_name.pop("a/broken.jpg") == -1
    assert drawn.dataset.splits.tolist() == [split_of_name[name] for name in map(usable.images.get_name, range(60))]
    for number in range(20):
        parts = {part for name, part in split_of_name.items() if name[2:].startswith(f"p{number}_")}
        assert len(parts) == 1


def test_a_started_run_keeps_its_split(tmp_path: Path) -> None:
    dataset = open_dataset(save_photos(tmp_path / "fotos", in_classes(draw_scene(n) for n in range(20))))
    run, keys = TrainingRun(tmp_path), [f"{row:032x}" for row in range(20)]
    started = assign_splits(TrainingRequest(dataset, TrainConfig(seed=1), get_task("classify")), run, dataset, keys)
    resumed = assign_splits(TrainingRequest(dataset, TrainConfig(seed=2), get_task("classify")), run, dataset, keys)
    assert resumed.dataset.splits.tolist() == started.dataset.splits.tolist()


def test_leaking_test_images_are_those_with_a_copy_outside(tmp_path: Path) -> None:
    photos = [(f"train/{'ab'[n % 2]}/{n}.jpg", draw_scene(n)) for n in range(20)]
    photos += [(f"test/{'ab'[n % 2]}/t{n}.jpg", ImageEnhance.Brightness(draw_scene(n)).enhance(0.8)) for n in (2, 5)]
    photos += [(f"test/{'ab'[n % 2]}/t{n}.jpg", draw_scene(n)) for n in range(40, 46)]
    dataset = open_dataset(save_photos(tmp_path / "fotos", photos))
    division = divide_dataset(dataset, DivisionOptions(0.1, 0.2, 0))
    names = sorted(dataset.images.get_name(int(row)) for row in division.leaking_test_rows)
    assert names == ["test/a/t2.jpg", "test/b/t5.jpg"]
    assert not len(
        divide_dataset(replace(dataset, splits=dataset.splits * 0 - 1), division_options()).leaking_test_rows
    )


def test_leaks_are_counted_by_what_they_are(tmp_path: Path) -> None:
    photos = [(f"train/{'ab'[n % 2]}/{n}.jpg", draw_scene(n)) for n in range(20)]
    photos += [(f"test/{'ab'[n % 2]}/same{n}.jpg", draw_scene(n)) for n in (1, 2, 3)]
    photos += [(f"test/{'ab'[n % 2]}/dark{n}.jpg", ImageEnhance.Brightness(draw_scene(n)).enhance(0.8)) for n in (5, 6)]
    photos += [(f"test/{'ab'[n % 2]}/new{n}.jpg", draw_scene(n)) for n in range(40, 46)]
    film = list(shoot_moving_camera(16))
    photos += [(f"{'train' if n % 2 else 'test'}/a/frame_{n:04}.jpg", photo) for n, photo in enumerate(film)]
    dataset = open_dataset(save_photos(tmp_path / "fotos", photos))
    division = divide_dataset(dataset, DivisionOptions(0.1, 0.2, 0))
    counts = division.count_leaks()
    assert sum(counts.values()) == len(division.leaking_test_rows) == 13
    assert counts == {"copies": 3, "near_copies": 2, "frames": 8}
    assert describe_leak_kinds(counts) == "3 copies, 2 near copies, 8 frames of the same film"


def division_options() -> DivisionOptions:
    """Return the defaults."""
    return DivisionOptions(0.1, 0.2, 0)
