"""A project as a format: what was imported comes out again, to every format, and what is not labelled is told."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image
from tests.studio.store_support import ANA, make_box, make_id
from tests.support import sample_datasets

from lince.annotations import StringColumn
from lince.cli.main import main
from lince.datasets import Dataset, open_dataset
from lince.datasets.conversion import ConvertOptions, convert_dataset, list_writable_formats
from lince.datasets.conversion_loss import adapt_to_format
from lince.datasets.image_source import FileImages
from lince.errors import DataError
from lince.formats import FORMATS, Capability
from lince.formats.lince_project import FILE_NAME
from lince.studio import photo_intake
from lince.studio.label_import import get_task, import_dataset
from lince.studio.store.edits import Act, Edit
from lince.studio.store.project import Project
from lince.studio.store.states import NEW_PHOTO, Target

HELD = FORMATS["project"].capabilities & ~Capability.LABELS


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> FileImages:
    return sample_datasets.write_photos(tmp_path_factory.mktemp("photos") / "niño ç")


def import_to(folder: Path, dataset: Dataset) -> Dataset:
    """Return ``dataset`` after it went through a project in ``folder``."""
    with Project(folder) as project:
        project.set_task(get_task(dataset))
        done = import_dataset(project, dataset, Act("import", ANA, is_wide=True, kind="import"))
        again = import_dataset(project, dataset, Act("again", ANA, is_wide=True, kind="import"))
    assert done.photos == len(dataset)
    assert (again.photos, again.classes, again.labels, again.kept) == (0, 0, 0, len(dataset))
    return open_dataset(folder)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=sample_datasets.draw_plans(HELD))
def test_what_is_imported_comes_out_again(plan: sample_datasets.DatasetPlan, photos: FileImages) -> None:
    made = sample_datasets.build_dataset(plan, photos)
    with tempfile.TemporaryDirectory() as folder:
        found = import_to(Path(folder) / "Área de Trabalho", made)
        sample_datasets.require_same(found, with_full_paths(made), 1e-12)


def with_full_paths(dataset: Dataset) -> Dataset:
    """Return ``dataset`` with the full paths of its photos as names, as linked photos have them."""
    source = dataset.images
    assert isinstance(source, FileImages)
    names = [str(source.get_path(row).resolve()) for row in range(len(dataset))]
    return replace(dataset, images=replace(source, names=StringColumn.from_strings(names)))


@pytest.mark.parametrize("name", list_writable_formats())
def test_every_format_takes_what_it_can_hold(name: str, photos: FileImages, tmp_path: Path) -> None:
    holds = FORMATS[name].capabilities & FORMATS["project"].capabilities
    if not holds & sample_datasets.SHAPES:
        pytest.skip("holds no shapes")
    import numpy as np

    plan = sample_datasets.make_plan(np.random.default_rng(0), holds & ~Capability.LABELS, True, 31)
    made = sample_datasets.build_dataset(plan, photos)
    found = import_to(tmp_path / "project", made)
    convert_dataset(found, tmp_path / "out", name, ConvertOptions(lossy=True, allow_unusable=True))
    back = open_dataset(tmp_path / "out", format=name)
    adapted, _losses = adapt_to_format(found, FORMATS[name])
    assert len(back) == len(adapted)
    assert len(back.objects or ()) == len(adapted.objects or ())
    assert back.count_per_class() == adapted.count_per_class()


def make_photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (64, 48), (number * 20, 90, 90)).save(folder / f"{number}.png")
    return folder


def label(project: Project, task: str) -> None:
    """Give the first photo two labels, skip the second, remove the third, say of the fourth that it is done."""
    rng = random.Random(0)
    project.set_task(task)
    edits = [Edit("class", Target("class", ""), None, {"name": "ñandú", "colour": "#000000"})]
    if task == "detection":
        for number in range(2):
            box = {**make_box(rng), "box": [1 + number, 2, 30.25, 40]}
            edits.append(Edit(f"box {number}", Target("shape", make_id(rng)), None, box))
    else:
        edits.append(Edit("label", Target("photo", "1"), NEW_PHOTO, {**NEW_PHOTO, "classes": [0], "state": "done"}))
    for number, change in ((2, {"state": "skipped"}), (3, {"removed": True}), (4, {"state": "done"})):
        edits.append(Edit(f"p{number}", Target("photo", str(number)), NEW_PHOTO, {**NEW_PHOTO, **change}))
    for outcome in project.apply_edits(edits, ANA):
        assert not isinstance(outcome, Exception), outcome


@pytest.mark.parametrize(("task", "used"), [("detection", ["0.png", "3.png"]), ("classification", ["0.png"])])
def test_labelled_photos_are_used_and_all_others_are_told(tmp_path: Path, task: str, used: list[str]) -> None:
    folder = make_photos(tmp_path / "photos", 5)
    with Project(tmp_path / "farm") as project:
        intake = photo_intake.link_folder(project, folder)
        assert (intake.added, intake.known, intake.rejected) == (5, 0, ())
        label(project, task)
        # What is not yet moved from the write-ahead log to the file is read too.
        found = open_dataset(tmp_path / "farm")
    assert [Path(found.images.get_name(row)).name for row in range(len(found))] == used
    assert len(found) + len(found.rejected) == 5
    assert {item.kind for item in found.rejected} == {"unlabelled"}
    assert found.classes.names == ("ñandú",)
    if task == "detection":
        assert found.objects is not None
        assert found.objects.boxes.tolist() == [[1, 2, 30.25, 40], [2, 2, 30.25, 40]]
        assert found.objects.starts.tolist() == [0, 2, 2]


def test_the_order_of_the_classes_is_the_one_that_is_shown(tmp_path: Path) -> None:
    with Project(tmp_path) as project:
        project.set_task("classification")
        for place, name in ((2, "c"), (0, "a"), (1, "b")):
            state = {"name": name, "colour": "#000000", "position": place}
            project.apply_edits([Edit(name, Target("class", ""), None, state)], ANA)
        folder = make_photos(tmp_path / "photos", 1)
        photo_intake.link_folder(project, folder)
        state = {**NEW_PHOTO, "classes": [0], "state": "done"}
        project.apply_edits([Edit("label", Target("photo", "1"), NEW_PHOTO, state)], ANA)
    found = open_dataset(tmp_path / FILE_NAME)
    assert found.classes.names == ("a", "b", "c")
    assert found.class_ids.tolist() == [2]


def test_a_photo_whose_file_is_gone_is_told(tmp_path: Path) -> None:
    folder = make_photos(tmp_path / "photos", 5)
    with Project(tmp_path / "farm") as project:
        photo_intake.link_folder(project, folder)
        label(project, "detection")
    (folder / "0.png").unlink()
    found = open_dataset(tmp_path / "farm")
    assert [item.kind for item in found.rejected if "0.png" in item.path] == ["no-image"]


def test_a_project_is_read_where_nothing_can_be_written_and_from_a_zip(tmp_path: Path) -> None:
    with Project(tmp_path / "farm") as project:
        photo_intake.add_upload(project, "a b.png", (make_photos(tmp_path / "photos", 1) / "0.png").read_bytes())
        project.set_task("classification")
        project.apply_edits([Edit("c", Target("class", ""), None, {"name": "x", "colour": "#000000"})], ANA)
        state = {**NEW_PHOTO, "classes": [0], "state": "done"}
        project.apply_edits([Edit("label", Target("photo", "1"), NEW_PHOTO, state)], ANA)
    shutil.make_archive(str(tmp_path / "farm"), "zip", tmp_path / "farm")
    for path in (tmp_path / "farm", tmp_path / "farm.zip"):
        assert open_dataset(path).images.get_name(0) == "photos/a b.png"


def test_a_damaged_or_newer_project_is_refused_in_words(tmp_path: Path) -> None:
    import sqlite3

    with Project(tmp_path) as project:
        project.set_task("detection")
    content = (tmp_path / FILE_NAME).read_bytes()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DataError, match="newer"):
        open_dataset(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(content[:5000])
    with pytest.raises(DataError, match="backups"):
        open_dataset(tmp_path)


def test_commands_open_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_photos(tmp_path / "photos", 5)
    with Project(tmp_path / "farm") as project:
        photo_intake.link_folder(project, folder)
        label(project, "detection")
    assert main(["convert", str(tmp_path / "farm"), str(tmp_path / "coco"), "--to", "coco"]) == 0
    assert len(open_dataset(tmp_path / "coco")) == 2
    assert main(["check", str(tmp_path / "farm"), "--out", str(tmp_path / "check.html")]) in (0, 1)
    assert "not labelled yet" in capsys.readouterr().out


def test_uploads_get_safe_names_and_are_taken_once(tmp_path: Path) -> None:
    data = (make_photos(tmp_path / "photos", 2) / "0.png").read_bytes()
    other = (tmp_path / "photos" / "1.png").read_bytes()
    with Project(tmp_path / "farm") as project:
        assert photo_intake.add_upload(project, "../../C:\\evil\\cañón?.png", data).added == 1
        assert photo_intake.add_upload(project, "same.png", data).known == 1
        assert photo_intake.add_upload(project, "cañón?.png", other).added == 1
        refused = photo_intake.add_upload(project, "text.png", b"not a photo")
        names = sorted(path.name for path in project.photo_folder.iterdir())
    assert names == ["cañón_-2.png", "cañón_.png"]
    assert (refused.added, len(refused.rejected)) == (0, 1)


def test_images_without_files_are_copied_to_the_project(tmp_path: Path) -> None:
    digits = open_dataset("lince:digits").select(range(40))
    with Project(tmp_path) as project:
        project.set_task("classification")
        done = import_dataset(project, digits, Act("i", ANA, is_wide=True))
        assert (done.photos, done.labels, done.rejected) == (40, 40, ())
    back = open_dataset(tmp_path)
    assert back.count_per_class() == digits.count_per_class()
    assert (back.images.read_image(0) == digits.images.read_image(0)).all()
