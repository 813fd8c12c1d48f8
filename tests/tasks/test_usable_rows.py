"""Usable rows: which images a task can learn from, over every mixture of labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import box_photos

import lince
from lince import images, tasks
from lince.annotations import UNLABELLED, Classes, ObjectTable, StringColumn
from lince.cli.main import main
from lince.datasets import Dataset, open_dataset
from lince.datasets.image_source import FileImages
from lince.datasets.stratified_split import split_dataset
from lince.errors import AmbiguousError, DataError, LinceError, UsageError
from lince.label_sets import LabelSets
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL
from lince.tasks import find_usable_rows, get_task, list_tasks, resolve_task

SCRATCH = {"recipe": "scratch", "model": "cnn: conv 8 3, norm, pool, gap", "size": 16, "epochs": 12, "batch": 8}


def make_dataset(rows: list[tuple[int, int]], with_objects: bool, splits: list[int] | None = None) -> Dataset:
    """Return a dataset without image files; a row is (class id or -1, number of boxes)."""
    counts = [count for _class_id, count in rows]
    total = sum(counts)
    objects = ObjectTable(
        np.cumsum([0, *counts]).astype(np.int64),
        np.zeros(total, np.int32),
        np.tile(np.array([1.0, 1.0, 5.0, 5.0]), (total, 1)),
        np.zeros(total, np.uint8),
        np.zeros(total + 1, np.int64),
        np.zeros(1, np.int64),
        np.empty((0, 2)),
        StringColumn.from_strings([""] * total),
    )
    names = StringColumn.from_strings([f"{number}.png" for number in range(len(rows))])
    return Dataset(
        FileImages(Path("/nowhere"), names),
        Classes(("a", "b")),
        np.array([class_id for class_id, _count in rows], np.int32),
        np.array(splits or [UNASSIGNED] * len(rows), np.int8),
        (),
        Path("/nowhere"),
        "made",
        objects if with_objects else None,
    )


ROWS = st.lists(st.tuples(st.integers(UNLABELLED, 1), st.integers(0, 2)), min_size=1, max_size=30)


@given(rows=ROWS, with_objects=st.booleans())
def test_what_a_task_uses_has_its_label(rows: list[tuple[int, int]], with_objects: bool) -> None:
    dataset = make_dataset(rows, with_objects)
    for task in list_tasks():
        usable = task.usable_rows(dataset)
        assert usable.shape == (len(rows),)
        if not task.fits(dataset):
            with pytest.raises(UsageError, match="no labels"):
                task.select_usable(dataset)
            continue
        kept = task.select_usable(dataset)
        assert len(kept) == usable.sum()
        assert len(kept) + len(kept.rejected) == len(rows)
        assert {item.kind for item in kept.rejected} <= {"unlabelled"}
        assert all(item.reason and item.remedy for item in kept.rejected)
        assert task.usable_rows(kept).all()
    if get_task("classify").fits(dataset):
        assert (get_task("classify").select_usable(dataset).class_ids != UNLABELLED).all()
    if get_task("detect").fits(dataset):
        kept = get_task("detect").select_usable(dataset)
        assert kept.objects is not None
        assert len(kept.objects) == sum(count for _class_id, count in rows)  # no box is left out
        alone = (np.diff(kept.objects.starts) == 0) & (kept.class_ids != UNLABELLED)
        assert not alone.any()


@given(rows=ROWS, with_objects=st.booleans())
def test_exactly_one_task_is_resolved_or_the_user_is_asked(rows: list[tuple[int, int]], with_objects: bool) -> None:
    dataset = make_dataset(rows, with_objects)
    suiting = [task for task in list_tasks() if task.suits(dataset)]
    assert all(task.fits(dataset) for task in suiting)
    assert bool(suiting) == any(task.fits(dataset) for task in list_tasks())
    for task in list_tasks():
        if task.fits(dataset):
            assert resolve_task(dataset, task.name) is task
    if len(suiting) == 1:
        assert resolve_task(dataset) is suiting[0]
        return
    with pytest.raises(AmbiguousError if suiting else DataError) as caught:
        resolve_task(dataset)
    for task in suiting:
        assert f'task="{task.name}"' in str(caught.value)


SETS = st.lists(st.none() | st.sets(st.integers(0, 1)), min_size=1, max_size=30)


@given(sets=SETS, is_listed=st.booleans())
def test_of_several_classes_nothing_is_dropped(sets: list[set[int] | None], is_listed: bool) -> None:
    class_ids = np.array([min(one) if one is not None and len(one) == 1 else UNLABELLED for one in sets], np.int32)
    known = {row: one for row, one in enumerate(sets) if one is not None}
    dataset = replace(
        make_dataset([(class_id, 0) for class_id in class_ids.tolist()], with_objects=False),
        label_sets=LabelSets.from_class_ids(class_ids, known, is_listed),
    )
    task = get_task("multilabel")
    if not any(known.values()):
        assert not task.fits(dataset)
        return
    assert task.suits(dataset) == (is_listed or not get_task("classify").fits(dataset))
    kept = task.select_usable(dataset)
    assert kept.label_sets is not None
    assert [set(kept.label_sets.get_class_ids(row)) for row in range(len(kept))] == list(known.values())
    assert (kept.objects, set(kept.class_ids.tolist())) == (None, {UNLABELLED})
    assert resolve_task(kept) is task
    assert find_usable_rows(kept).all()
    if not get_task("classify").fits(dataset):
        return
    single = get_task("classify").select_usable(dataset)
    assert [single.classes.names[one] for one in single.class_ids] == ["ab"[one] for one in class_ids if one >= 0]
    told = {item.path: item.kind for item in single.rejected}
    assert {told[f"{row}.png"] for row, one in known.items() if len(one) > 1} <= {"several-classes"}
    assert (single.label_sets, len(single) + len(told)) == (None, len(sets))


@given(rows=ROWS.filter(lambda rows: len(rows) > 5), with_objects=st.booleans(), seed=st.integers(0, 5))
def test_no_split_holds_an_unlabelled_image(rows: list[tuple[int, int]], with_objects: bool, seed: int) -> None:
    dataset = make_dataset(rows, with_objects)
    if not find_usable_rows(dataset).any():
        return
    try:
        divided = split_dataset(dataset, 0.2, 0.2, seed)
    except DataError:  # too few for three splits
        return
    assert (divided.splits[~find_usable_rows(dataset)] == UNASSIGNED).all()
    assert (divided.splits[find_usable_rows(dataset)] != UNASSIGNED).all()


def write_cvat(root: Path, rows: list[tuple[str, str | None, int]], seed: int = 0) -> Path:
    """Write photos and CVAT's XML; a row is (subset, tag or none, number of boxes). Tags differ in colour."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True)
    lines = []
    for number, (subset, tag, boxes) in enumerate(rows):
        picture = rng.integers(0, 60, (24, 24, 3)).astype(np.uint8)
        # Untagged photos look like "rojo", so that training on them as the last class would change the metrics.
        picture[..., 0 if tag in ("rojo", None) else 2] += 150
        name = f"{number:03}.png"
        (root / name).write_bytes(images.encode_png(picture))
        marks = f'<tag label="{tag}" source="manual"></tag>' if tag else ""
        marks += '<box label="cosa" occluded="0" xtl="2" ytl="2" xbr="12" ybr="12" z_order="0"></box>' * boxes
        place = f' subset="{subset}"' if subset else ""
        lines.append(f'<image id="{number}" name="{name}"{place} width="24" height="24">{marks}</image>')
    labels = "".join(f"<label><name>{name}</name></label>" for name in ("rojo", "azul", "cosa"))
    text = f"<annotations><version>1.1</version><meta><job><labels>{labels}</labels></job></meta>{''.join(lines)}"
    (root / "annotations.xml").write_text(f"{text}</annotations>")
    return root


def test_untagged_photos_of_a_classifier_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    tags = ["rojo", "azul"]
    rows = [("Train", tags[number % 2], 0) for number in range(20)] + [("Train", None, 0)] * 28
    rows += [("Validation", tags[number % 2], 0) for number in range(4)]
    rows += [("Test", tags[number % 2], 0) for number in range(8)]
    data = write_cvat(tmp_path / "datos", rows)
    options = [word for key, value in SCRATCH.items() for word in (f"--{key}", str(value))]
    assert main(["train", str(data), "--out", str(tmp_path / "run"), *options]) == 0
    said = capsys.readouterr()
    assert "28 images without a label" in said.out + said.err
    assert "used 32 photos; left out: 28" in said.out + said.err
    report = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
    assert report["data"]["splits"] == {"train": 20, "val": 4, "test": 8}
    assert report["data"]["left_out"] == 28
    assert report["test"]["accuracy"]["value"] == 1.0
    names = [row.split(",")[0] for row in (tmp_path / "run" / "split.csv").read_text("utf-8").splitlines()[1:]]
    assert len(names) == 32


def test_boxes_and_tags_are_asked_about(tmp_path: Path) -> None:
    data = write_cvat(tmp_path / "datos", [("", "rojo" if number < 8 else None, 2) for number in range(30)])
    with pytest.raises(AmbiguousError) as caught:
        lince.train(data, out=tmp_path / "run", recipe="scratch")
    assert "8 images for image classification" in str(caught.value)
    assert "30 images for object detection" in str(caught.value)
    assert 'task="classify" or task="detect"' in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_one_tag_among_boxed_photos_is_no_classifier(tmp_path: Path) -> None:
    data = write_cvat(tmp_path / "datos", [("", "rojo" if number == 3 else None, 2) for number in range(30)])
    with pytest.raises(AmbiguousError, match="task="):
        lince.train(data, out=tmp_path / "run", recipe="scratch")
    assert len(get_task("detect").select_usable(open_dataset(data))) == 30
    pytest.importorskip("torch")  # without it that is said first
    with pytest.raises(LinceError, match=r"images form only|Number of classes"):
        lince.train(data, task="classify", out=tmp_path / "run", **SCRATCH)


def test_evaluating_leaves_unlabelled_photos_out(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rows = [("", ("rojo", "azul")[number % 2], 0) for number in range(24)]
    run = lince.train(write_cvat(tmp_path / "datos", rows), out=tmp_path / "run", **SCRATCH)
    mixed = write_cvat(tmp_path / "otros", [*rows[:8], *[("", None, 0)] * 4], seed=5)
    result = lince.evaluate(run.folder, mixed)
    assert result.metrics.count == 8
    assert result.summary == "used 8 photos; left out: 4"
    tested = write_cvat(
        tmp_path / "más", [*[("Test", tag, 0) for _s, tag, _n in rows[:8]], *[("Test", None, 0)] * 4], seed=9
    )
    assert lince.evaluate(run.folder, tested).metrics.count == 8
    with pytest.raises(UsageError, match="no labels for image classification"):
        lince.evaluate(run.folder, box_photos.yolo(tmp_path / "cajas", {"test": 3}))


def test_a_photo_with_a_class_alone_is_no_negative_of_a_detector() -> None:
    dataset = make_dataset([(UNLABELLED, 2), (UNLABELLED, 0), (0, 0), (0, 1)], with_objects=True)
    assert get_task("detect").usable_rows(dataset).tolist() == [True, True, False, True]
    kept = get_task("detect").select_usable(dataset)
    assert [item.path for item in kept.rejected] == ["2.png"]
    assert get_task("detect").describe_unlabelled(kept).startswith("Skipped 1 images")


def test_a_split_that_was_given_does_not_make_an_image_usable() -> None:
    dataset = make_dataset([(0, 0), (1, 0), (UNLABELLED, 0)], with_objects=False, splits=[TRAIN, TEST, VAL])
    assert tasks.resolve_task(dataset).select_usable(dataset).splits.tolist() == [TRAIN, TEST]


def test_labels_of_the_other_task_leave_the_dataset_too(tmp_path: Path) -> None:
    rows = [("", ("rojo", "azul")[number % 2], 1) for number in range(6)] + [("", None, 0)] * 2
    dataset = open_dataset(write_cvat(tmp_path / "datos", rows))
    classified = get_task("classify").select_usable(dataset)
    assert classified.classes.names == ("rojo", "azul")
    assert classified.objects is None
    assert classified.count_per_class() == {"azul": 3, "rojo": 3}
    assert classified.summarise() == "used 6 photos; left out: 2"
    detected = get_task("detect").select_usable(dataset)
    assert detected.classes.names == ("cosa",)
    assert (detected.class_ids == UNLABELLED).all()
    assert detected.count_per_class() == {"cosa": 6}


def test_evaluating_never_falls_back_to_training_photos(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rows = [("Train", ("rojo", "azul")[number % 2], 0) for number in range(24)]
    run = lince.train(write_cvat(tmp_path / "datos", rows), out=tmp_path / "run", **SCRATCH)
    untested = write_cvat(tmp_path / "otros", [*rows, *[("Test", None, 0)] * 4])
    with pytest.raises(DataError, match="None of the 4 test images"):
        lince.evaluate(run.folder, untested)


def test_an_export_is_validated_on_labelled_photos_alone(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rows = [("", ("rojo", "azul")[number % 2], 0) for number in range(24)]
    run = lince.train(write_cvat(tmp_path / "datos", rows), out=tmp_path / "run", **SCRATCH)
    mixed = write_cvat(tmp_path / "otros", [*rows[:8], *[("", None, 0)] * 8], seed=1)
    done = lince.export(run.folder, data=mixed, out=tmp_path / "export")
    assert done.validation is not None
    assert done.validation.count == 8


def test_a_rejected_choice_leaves_no_run_behind(tmp_path: Path) -> None:
    data = write_cvat(tmp_path / "datos", [("", ("rojo", "azul")[number % 2], 0) for number in range(24)])
    with pytest.raises(UsageError, match="monitor cannot be 'val_map50'"):
        lince.train(data, out=tmp_path / "run", monitor="val_map50", **SCRATCH)
    assert not (tmp_path / "run").exists()
    pytest.importorskip("torch")  # without it that is said first
    with pytest.raises(LinceError, match="yolox-nano"):
        lince.train(data, out=tmp_path / "run", recipe="scratch", model="yolox-nano")
    assert not (tmp_path / "run").exists()


def test_a_run_of_before_the_option_goes_on_with_its_task(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    data = write_cvat(tmp_path / "datos", [("", ("rojo", "azul")[number % 2], 1) for number in range(24)])
    run = lince.train(data, task="classify", out=tmp_path / "run", **SCRATCH)
    config = (run.folder / "config.toml").read_text("utf-8")
    (run.folder / "config.toml").write_text(config.replace('task = "classify"\n', ""), "utf-8")
    (run.folder / "report.json").unlink()
    assert lince.resume(run.folder).report["task"] == "classify"


@given(rows=ROWS.filter(lambda rows: len(rows) > 5))
def test_a_given_split_of_unlabelled_images_does_not_count_as_given(rows: list[tuple[int, int]]) -> None:
    splits = [TEST if class_id == UNLABELLED else UNASSIGNED for class_id, _count in rows]
    dataset = make_dataset(rows, with_objects=False, splits=splits)
    if (dataset.class_ids != UNLABELLED).sum() < 6:
        return
    divided = split_dataset(dataset, 0.0, 0.3, 0)
    assert ((divided.splits == TEST) & (divided.class_ids != UNLABELLED)).any()
