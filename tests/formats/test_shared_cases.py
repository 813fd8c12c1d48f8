"""The small inputs in ../shared/cases/data, which other tools and people wrote: read right, or refused with reason."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.followed_remedies import PHOTO, follow_remedies, list_losses
from tests.support.label_samples import make_coco

from lince.cli.main import main
from lince.datasets import Dataset, open_dataset
from lince.errors import LinceError
from lince.splits import SPLITS as SPLIT_NUMBERS

# (images, objects, rejected kinds) of what is read; a text of what is refused, with what is said.
READ: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "b06_wheat": (4, 4, ("assumed",)),
    "b08_center": (4, 4, ()),
    "f01_via": (3, 3, ()),
    "f03_sly": (3, 3, ()),
    "f04_datum": (3, 3, ()),
    "f05_kitti": (3, 3, ()),
    "f08_hf": (3, 3, ()),
    "f12_rfclasses": (8, 0, ()),
    "g01_fastai": (6, 0, ("unlabelled",)),
    "g02_kerasyolo": (6, 12, ()),
    "g06": (9, 9, ()),
    "i03_mpo": (9, 0, ("unsupported", "unusable")),
    "i08_nested": (8, 0, ()),
    "i09_nested2": (12, 0, ()),
    "i12_es": (18, 0, ()),
    "k01_strids": (3, 3, ()),
    "k06_rf": (6, 6, ()),
    "k15_kp": (3, 3, ("reduced",)),
    "k19_dupcat": (3, 3, ()),
    "k25_2017": (2, 2, ("other-labels",)),
    "l02_kinds": (3, 15, ("empty", "no-class", "row")),
    "n01_yolo_nfd": (3, 3, ()),
    "n04_coco_case": (3, 3, ("assumed",)),
    "n06_emptylabel": (2, 2, ("lost", "no-class")),
    "n07_utf16y": (3, 3, ()),
    "n10_kp": (3, 3, ("reduced",)),
    "n12_es": (4, 0, ()),
    "n14_partly": (199, 199, ("lost", "number")),
    "n16_lsyolo": (3, 3, ()),
    "s03_types": (3, 3, ("row",)),
    "s04_csv": (3, 3, ()),
    "t01_es": (4, 0, ()),
    "t05_imageid": (4, 0, ()),
    "t07_level": (4, 0, ()),
    "t08_noext2": (4, 0, ()),
    "t09_train": (4, 0, ()),
    "t11_multi": (6, 0, ()),
    "t13_two": (3, 0, ("double", "several-classes")),
    "t17_win": (4, 0, ()),
    "t19_case": (4, 0, ("assumed",)),
    "t21_onehot": (4, 0, ()),
    "t22_nan": (4, 0, ("no-class",)),
    "w01_cassava": (6, 0, ("other-labels", "unlabelled")),
    "w01_cassava/train.csv": (6, 0, ("unlabelled",)),
    "w03_kitti2": (3, 3, ("unlabelled",)),
    "w05_intel": (12, 0, ("unlabelled",)),
    "w08_csvmissing": (6, 0, ("no-image",)),
    "w09_csvextra": (4, 0, ("unlabelled",)),
    "w10_heic": (6, 0, ("unsupported",)),
    "x01_quote": (19, 0, ("row", "unlabelled")),
    "x14_splits": (6, 0, ()),
    "x15_stray": (3, 3, ("other-labels",)),
    "y10_pose": (3, 3, ("overlap", "reduced")),
    "y13_dota": (3, 3, ()),
    "y25_sameval": (4, 8, ("overlap",)),
    "z03_sjis/j.zip": (8, 0, ()),
    "z05_zipin": (3, 3, ()),
}
# Photos or, where there are any, boxes by class; the first box; photos for training, validation and test.
COUNTS: dict[str, dict[str, int]] = {
    "b06_wheat": {"object": 4},
    "b08_center": {"gato": 4},
    "f01_via": {"cat": 3},
    "f03_sly": {"cat": 3},
    "f04_datum": {"cat": 3},
    "f05_kitti": {"Car": 3},
    "f08_hf": {"0": 3},
    "f12_rfclasses": {"cat": 4, "dog": 4},
    "g01_fastai": {"0": 3, "1": 3},
    "g02_kerasyolo": {"cat": 6, "dog": 6},
    "g06": {"head": 6, "helmet": 3},
    "i03_mpo": {"gato": 5, "perro": 4},
    "i08_nested": {"gato": 4, "perro": 4},
    "i09_nested2": {"gato": 6, "perro": 6},
    "i12_es": {"gato": 9, "perro": 9},
    "k01_strids": {"cat": 2, "dog": 1},
    "k06_rf": {"head": 4, "helmet": 2},
    "k15_kp": {"cat": 2, "dog": 1},
    "k19_dupcat": {"cat": 2, "dog": 1},
    "k25_2017": {"c": 2},
    "l02_kinds": {"cat": 15},
    "n01_yolo_nfd": {"c": 3},
    "n04_coco_case": {"c": 3},
    "n06_emptylabel": {"cat": 2},
    "n07_utf16y": {"cat": 3},
    "n10_kp": {"person": 3},
    "n12_es": {"gato": 2, "perro": 2},
    "n14_partly": {"cat": 199},
    "n16_lsyolo": {"cat": 3},
    "s03_types": {"cat": 3},
    "s04_csv": {"cat": 3},
    "t01_es": {"gato": 2, "perro": 2},
    "t05_imageid": {"0": 2, "1": 2},
    "t07_level": {"0": 2, "1": 1, "2": 1},
    "t08_noext2": {"gato": 2, "perro": 2},
    "t09_train": {"gato": 2, "perro": 2},
    "t11_multi": {"cat": 2, "dog": 2},
    "t13_two": {"gato": 2, "perro": 1},
    "t17_win": {"gato": 2, "perro": 2},
    "t19_case": {"gato": 2, "perro": 2},
    "t21_onehot": {"cat": 2, "dog": 2},
    "t22_nan": {"gato": 2, "perro": 2},
    "w01_cassava": {"0": 3, "1": 3},
    "w01_cassava/train.csv": {"0": 3, "1": 3},
    "w03_kitti2": {"Car": 3},
    "w05_intel": {"sea": 6, "street": 6},
    "w08_csvmissing": {"gato": 3, "perro": 3},
    "w09_csvextra": {"gato": 2, "perro": 2},
    "w10_heic": {"gato": 3, "perro": 3},
    "x01_quote": {"gato": 10, "perro": 9},
    "x14_splits": {"gato": 3, "perro": 3},
    "x15_stray": {"c": 3},
    "y10_pose": {"cat": 3},
    "y13_dota": {"plane": 3},
    "y25_sameval": {"cat": 4, "dog": 4},
    "z03_sjis/j.zip": {"ソ犬": 4, "猫": 4},
    "z05_zipin": {"class_0": 3},
}
FIRST_BOXES = {
    "b06_wheat": (10.0, 20.0, 40.0, 60.0),
    "b08_center": (60.0, 45.0, 100.0, 75.0),
    "f01_via": (10.0, 20.0, 40.0, 60.0),
    "f03_sly": (10.0, 20.0, 40.0, 60.0),
    "f04_datum": (1.0, 2.0, 31.0, 42.0),
    "f05_kitti": (10.0, 20.0, 40.0, 60.0),
    "f08_hf": (10.0, 20.0, 40.0, 60.0),
    "g02_kerasyolo": (10.0, 20.0, 40.0, 60.0),
    "g06": (10.0, 20.0, 40.0, 60.0),
    "k01_strids": (10.0, 20.0, 40.0, 60.0),
    "k06_rf": (10.0, 20.0, 40.0, 60.0),
    "k15_kp": (10.0, 20.0, 40.0, 60.0),
    "k19_dupcat": (10.0, 20.0, 40.0, 60.0),
    "k25_2017": (1.0, 1.0, 21.0, 21.0),
    "l02_kinds": (10.0, 20.0, 40.0, 60.0),
    "n01_yolo_nfd": (64.0, 48.0, 96.0, 72.0),
    "n04_coco_case": (1.0, 2.0, 31.0, 42.0),
    "n06_emptylabel": (10.0, 20.0, 40.0, 60.0),
    "n07_utf16y": (64.0, 48.0, 96.0, 72.0),
    "n10_kp": (1.0, 2.0, 31.0, 42.0),
    "n14_partly": (25.6, 19.2, 38.4, 28.8),
    "n16_lsyolo": (64.0, 48.0, 96.0, 72.0),
    "s03_types": (64.0, 48.0, 96.0, 72.0),
    "s04_csv": (1.6, 2.4, 49.6, 50.4),
    "w03_kitti2": (10.0, 20.0, 40.0, 60.0),
    "x15_stray": (64.0, 48.0, 96.0, 72.0),
    "y10_pose": (60.0, 45.0, 100.0, 75.0),
    "y13_dota": (10.0, 10.0, 50.0, 40.0),
    "y25_sameval": (60.0, 45.0, 100.0, 75.0),
    "z05_zipin": (64.0, 48.0, 96.0, 72.0),
}
SPLITS = {
    "b06_wheat": (4, 0, 0),
    "f08_hf": (3, 0, 0),
    "f12_rfclasses": (4, 4, 0),
    "g02_kerasyolo": (3, 3, 0),
    "g06": (3, 3, 3),
    "i09_nested2": (8, 0, 4),
    "i12_es": (6, 6, 6),
    "k06_rf": (3, 3, 0),
    "k25_2017": (1, 1, 0),
    "n07_utf16y": (3, 0, 0),
    "n14_partly": (199, 0, 0),
    "w03_kitti2": (3, 0, 0),
    "w05_intel": (6, 0, 6),
    "y10_pose": (3, 0, 0),
    "y25_sameval": (4, 0, 0),
}


@dataclass(frozen=True)
class Refused:
    """What is said of a case: place and reason, and the remedy; what it tells to do; photos and objects after that."""

    said: str
    remedy: str
    do: Callable[[Path], object]
    opened: tuple[int, int]


def change_json(name: str, change: Callable[[Any], Any]) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text(json.dumps(change(json.loads((root / name).read_text("utf-8")))))


def change_text(pattern: str, before: str, after: str) -> Callable[[Path], object]:
    return lambda root: [path.write_text(path.read_text().replace(before, after)) for path in root.glob(pattern)]


def name_classes(document: Any) -> Any:
    return {**document, "annotations": [{**one, "category_id": 1} for one in document["annotations"]]}


def remove_annotations(document: Any) -> Any:
    return {**document, "annotations": []}


def give_photos(root: Path) -> None:
    for path in (root / "labels").glob("*.txt"):
        (root / f"{path.stem}.jpg").write_bytes(PHOTO)


def turn_into_coco(root: Path) -> None:
    """Write what BDD100K's own program makes of its labels."""
    frames = json.loads((root / "det_train.json").read_text())
    boxes = [(i, one["box2d"]) for i, frame in enumerate(frames) for one in frame["labels"]]
    annotations = [
        {"id": i, "image_id": image, "category_id": 1, "bbox": [b["x1"], b["y1"], b["x2"] - b["x1"], b["y2"] - b["y1"]]}
        for i, (image, b) in enumerate(boxes)
    ]
    photos = [{"id": i, "file_name": frame["name"]} for i, frame in enumerate(frames)]
    document = {"images": photos, "categories": [{"id": 1, "name": "car"}], "annotations": annotations}
    (root / "coco.json").write_text(json.dumps(document))


def save_as_csv(root: Path) -> None:
    names = sorted(path.name for path in (root / "images").iterdir())
    (root / "labels.csv").write_text("filename,class\n" + "".join(f"{name},{name[1]}\n" for name in names))


def label_again(root: Path) -> None:
    """Export the tasks again, with what is a result in them."""
    tasks = [one for one in json.loads((root / "t.json").read_text()) if isinstance(one, dict) and one.get("data")]
    tasks = [task for task in tasks if isinstance(task["data"]["image"], str)]
    value = {"x": 1, "y": 1, "width": 50, "height": 5, "rectanglelabels": ["c"]}
    result = {"type": "rectanglelabels", "original_width": 160, "original_height": 120, "value": value}
    (root / "t.json").write_text(json.dumps([{**task, "annotations": [{"result": [result]}]} for task in tasks]))


def export_again(root: Path) -> None:
    (root / "a.json").write_text(make_coco("a0.jpg"))
    for name in ("a1.jpg", "a2.jpg"):
        (root / "images" / name).unlink()


REFUSED = {
    "f10_bdd": Refused(
        r"det_train\.json: .*BDD100K", "bdd100k.label.to_coco -m det -i det_train.json -o coco.json",
        turn_into_coco, (3, 3),
    ),
    "k02_viacoco": Refused(
        r"annotations\.json#/annotations/0/category_id: nothing instead of an id", "correct it, or export it again",
        change_json("annotations.json", name_classes), (3, 3),
    ),
    "k09_nan": Refused(
        r"annotations\.json#/annotations/0: a coordinate is not a number", "correct or remove it",
        change_json("annotations.json", remove_annotations), (3, 0),
    ),
    "n11_comma": Refused(
        r"annotations\.json: 2:35", "correct it there", change_text("annotations.json", "},]", "}]"), (1, 1)
    ),
    "n17_lsnoimg": Refused(r"labels/0fdb2620-foto\.txt: its photo is missing", "add it", give_photos, (3, 3)),
    "t25_xlsx": Refused(r"labels\.xlsx: a spreadsheet", "save it as CSV", save_as_csv, (4, 0)),
    "v02_comma": Refused(
        r"a0\.xml:2: a coordinate is not a number: 10,5", "correct", change_text("*.xml", "10,5", "10.5"), (3, 3)
    ),
    "x05_deep": Refused(
        r"a\.json: is nested too deeply", "export it again",
        export_again, (1, 1),
    ),
    "x17_ls": Refused(
        r"t\.json#/0/annotations/0/result/1: nothing instead of a result", "export it again", label_again, (2, 2)
    ),
    "y01_commas": Refused(
        r"labels/a0\.txt:1: numbers separated by commas.*YOLO has spaces between them", "correct",
        change_text("labels/*.txt", ",", " "), (3, 6),
    ),
}  # fmt: skip
SECONDS = 60  # for one case: a limit against hanging, not a measure


@pytest.fixture
def cases(shared: Path) -> Path:
    folder = shared / "cases" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/cases/data beside this checkout")
    return folder


@pytest.fixture
def no_hang() -> Iterator[None]:
    """Fail where a test takes more than a minute; only where the system has such alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_arguments: object) -> None:
        pytest.fail(f"no answer in {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def describe(dataset: Dataset) -> tuple[int, int, tuple[str, ...]]:
    objects = 0 if dataset.objects is None else len(dataset.objects)
    return len(dataset), objects, tuple(sorted({item.kind for item in dataset.rejected}))


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("name", READ)
def test_a_case_is_read_with_every_row_named(cases: Path, name: str) -> None:
    dataset = open_dataset(cases / name)
    assert describe(dataset) == READ[name]
    ids = dataset.class_ids if dataset.objects is None else dataset.objects.class_ids
    assert Counter(dataset.classes.names[i] for i in ids if i >= 0) == COUNTS[name]
    if name in FIRST_BOXES:
        assert dataset.objects is not None
        np.testing.assert_allclose(dataset.objects.boxes[0], FIRST_BOXES[name], atol=1e-3)
    assert tuple(int((dataset.splits == part).sum()) for part in SPLIT_NUMBERS.values()) == SPLITS.get(name, (0, 0, 0))


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("name", [name for name in READ if "/" not in name])
def test_a_case_is_read_whole_when_the_remedies_are_followed(cases: Path, name: str, tmp_path: Path) -> None:
    before = open_dataset(cases / name)
    losses = list_losses(before.rejected)
    if not losses:
        pytest.skip("nothing is lost")
    root = Path(shutil.copytree(cases / name, tmp_path / "set"))
    after = before
    for _turn in range(3):  # a row without a class that is removed leaves a photo without a row
        follow_remedies(root, after.rejected)
        after = open_dataset(root)
    assert list_losses(after.rejected) == []
    assert len(after) >= len(before)
    assert len(after.objects or ()) >= len(before.objects or ())


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_with_place_and_reason_and_opens_as_it_says(cases: Path, name: str, tmp_path: Path) -> None:
    root = Path(shutil.copytree(cases / name, tmp_path / "set"))
    with pytest.raises(LinceError, match=REFUSED[name].said) as caught:
        open_dataset(root)
    assert REFUSED[name].remedy in str(caught.value)
    REFUSED[name].do(root)
    dataset = open_dataset(root)
    assert describe(dataset)[:2] == REFUSED[name].opened
    assert not [item for item in list_losses(dataset.rejected) if item.kind != "unlabelled"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("name", [*READ, *REFUSED])
def test_every_command_answers(cases: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = {
        "check": ["--out", "c.html"], "show": ["--out", "s.png"], "augment": ["--out", "a.png"],
        "convert": [str(tmp_path / "out"), "--to", "folders", "--allow-unusable"], "split": [str(tmp_path / "s.csv")],
    }  # fmt: skip
    for verb, rest in commands.items():
        words = [
            verb,
            str(cases / name),
            *(str(tmp_path / word) if "." in word and "/" not in word else word for word in rest),
        ]
        code = main(words)
        assert code in ((0, 1, 2) if name in READ else (2,)), (verb, capsys.readouterr().err)
        assert "Traceback" not in capsys.readouterr().err


def test_every_case_is_looked_at(cases: Path) -> None:
    looked_at = {name.partition("/")[0] for name in (*READ, *REFUSED)}
    assert looked_at == {folder.name for folder in cases.iterdir()}
    assert COUNTS.keys() == READ.keys()
