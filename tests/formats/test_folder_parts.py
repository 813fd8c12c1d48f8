"""Parts of the data are no classes: words of three languages, affixes and nesting; and classes that are called so."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lince import images
from lince.errors import AmbiguousError, UsageError
from lince.formats.format_detector import open_table
from lince.splits import TEST, TRAIN, UNASSIGNED, VAL, infer_part_splits, infer_split_from_folders, parse_split_name

PHOTO = images.encode_png(np.zeros((2, 3, 3), np.uint8))
# One word for each split, as one person would use them together.
LANGUAGES = [
    {TRAIN: "train", VAL: "val", TEST: "test"},
    {TRAIN: "training", VAL: "validation", TEST: "testing"},
    {TRAIN: "train", VAL: "valid", TEST: "test"},
    {TRAIN: "entrenamiento", VAL: "validación", TEST: "prueba"},
    {TRAIN: "entrenamiento", VAL: "validacion", TEST: "pruebas"},
    {TRAIN: "treino", VAL: "validação", TEST: "teste"},
    {TRAIN: "treinamento", VAL: "validacao", TEST: "teste"},
]
AFFIXES = ["{}", "{}_set", "{}set", "seg_{}", "{}_images", "{} fotos", "{}2017", "imágenes de {}", "flores_{}", "{}-1"]
NESTING = ["{part}", "{part}/{part}", "{part}/images", "Dataset/{part}", "archive/Dataset/{part}", "x/{part}/{part}"]
CASES = [str.lower, str.upper, str.title]
CLASSES = [("gato", "perro"), ("0", "1"), ("daisy", "test strip"), ("bus", "train"), ("ñandú", "ajolote", "cóndor")]


def photos(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(PHOTO)
    return root


@settings(max_examples=120)
@given(
    st.sampled_from(LANGUAGES),
    st.sampled_from(AFFIXES),
    st.sampled_from(NESTING),
    st.sampled_from(CASES),
    st.sampled_from(CLASSES),
    st.sampled_from(["NFC", "NFD"]),
    st.sets(st.sampled_from([TRAIN, VAL, TEST]), min_size=2),
)
def test_parts_are_read_as_parts(words, affix, nesting, change_case, classes, form, splits) -> None:  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory() as folder:
        expected = []
        for split in splits:
            part = unicodedata.normalize(form, change_case(affix.format(words[split])))
            for name in classes:
                photos(Path(folder), f"{nesting.format(part=part)}/{name}/a.png")
                expected.append((name, split))
        table = open_table(Path(folder))
        found = [
            (table.classes.names[i], split) for i, split in zip(table.class_ids, table.splits.tolist(), strict=True)
        ]
        assert table.format == "folders"
        assert sorted(found) == sorted(expected)
        assert table.rejected == ()


@pytest.mark.parametrize("names", [("bus", "train", "car"), ("test", "placebo"), ("Train", "tram"), ("dev", "ops")])
def test_a_class_may_be_called_like_a_part(awkward: Path, names: tuple[str, ...]) -> None:
    table = open_table(photos(awkward, *(f"{name}/{i}.png" for name in names for i in range(2))))
    assert set(table.classes.names) == set(names)
    assert set(table.splits.tolist()) == {UNASSIGNED}


@pytest.mark.parametrize(
    "names",
    [
        ("train", "test"), ("train_images", "eval_images"), ("entrenamiento", "prueba"), ("training_set", "test_set"),
        ("seg_train", "seg_test", "seg_pred"), ("flores_treino", "flores_teste"), ("train/train", "test/test"),
        ("box_train", "box_test", "query"), ("fold_1", "fold_2"), ("train", "val", "extra"),
    ],
)  # fmt: skip
def test_parts_without_classes_are_no_classes(awkward: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="no labels"):
        open_table(photos(awkward, *(f"{name}/IMG_{i}.png" for name in names for i in range(3))))


def test_photos_of_a_part_without_classes_are_told(awkward: Path) -> None:
    photos(awkward, "seg_train/seg_train/sea/1.png", "seg_train/seg_train/street/1.png", "seg_test/seg_test/sea/2.png")
    table = open_table(photos(awkward, "seg_pred/seg_pred/7.png", "seg_pred/seg_pred/8.png"))
    assert (len(table.names), table.classes.names) == (3, ("sea", "street"))
    assert [(item.path, item.kind) for item in table.rejected] == [
        ("seg_pred/seg_pred/7.png", "unlabelled"), ("seg_pred/seg_pred/8.png", "unlabelled"),
    ]  # fmt: skip


def test_folders_that_all_hold_the_same_folders_are_asked_about(awkward: Path) -> None:
    photos(awkward, *(f"{site}/{name}/1.png" for site in ("norte", "sur") for name in ("gato", "perro")))
    with pytest.raises(AmbiguousError, match=r"norte, sur .*: gato, perro") as caught:
        open_table(awkward)
    assert "--format folders" in caught.value.remedy
    assert open_table(awkward, "folders").classes.names == ("norte", "sur")


@pytest.mark.parametrize("inner", [("gtFine", "leftImg8bit"), ("train",), ("Anno", "Img/img")])
def test_sets_of_whole_data_are_no_classes(awkward: Path, inner: tuple[str, ...]) -> None:
    photos(awkward, *(f"{name}/{folder}/{name}.png" for name in ("caras", "calles") for folder in inner))
    with pytest.raises(AmbiguousError, match="all contain the same folders"):
        open_table(awkward)


@pytest.mark.parametrize(
    "names",
    [
        ("RGB", "Depth"), ("RGBLeft", "GTLeft", "DepthLeft"), ("color", "depth", "normals"), ("input", "target"),
        ("original", "grayscale", "segmented"),
    ],
)  # fmt: skip
def test_layers_of_the_same_photos_are_no_classes(awkward: Path, names: tuple[str, ...]) -> None:
    photos(awkward, *(f"{name}/{number:04}.png" for name in names for number in range(4)))
    with pytest.raises(UsageError):
        open_table(awkward)
    photos(awkward, *(f"train/{name}/{number:04}.png" for name in names for number in range(4)))
    with pytest.raises(UsageError):
        open_table(awkward / "train")


@pytest.mark.parametrize(
    "names",
    [
        ("with_mask", "without_mask"), ("mask", "no_mask"), ("Mask", "Non Mask"), ("label_0", "label_1"),
        ("mask_weared_incorrect", "with_mask", "without_mask"), ("con_mascarilla", "sin_mascarilla"),
        ("face_mask", "no_face_mask"), ("white_label", "red_label"), ("mascara", "sem_máscara"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("parts", [("",), ("train/", "test/")])
@pytest.mark.parametrize("naming", ["{number}.png", "{name}{number}.png"])
def test_classes_may_be_called_like_masks_and_labels(
    awkward: Path, names: tuple[str, ...], parts: tuple[str, ...], naming: str
) -> None:
    table = open_table(photos(awkward, *(
        f"{part}{name}/{naming.format(name=name, number=number)}"
        for part in parts for name in names for number in range(3)
    )))  # fmt: skip
    assert (table.format, set(table.classes.names)) == ("folders", set(names))
    assert (len(table.names), table.rejected) == (3 * len(names) * len(parts), ())


def test_numbered_folds_are_parts_with_the_classes_inside(awkward: Path) -> None:
    table = open_table(photos(awkward, *(f"fold_{i}/{name}/1.png" for i in range(3) for name in ("gato", "perro"))))
    assert (table.classes.names, set(table.splits.tolist()), len(table.names)) == (("gato", "perro"), {UNASSIGNED}, 6)


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("notes.csv", "foto,observacion\n1.png,sano\n2.png,enfermo\n", "notes.csv: a table"),
        ("det.json", '[{"name": "1.png", "labels": []}]', "BDD100K"),
        ("out.manifest", '{"source-ref": "s3://bucket/1.png"}', "SageMaker"),
        ("pose.json", '[{"img_paths": "1.png", "joints": [[1, 2]]}, {"img_paths": "2.png"}]', "pose.json: a JSON file"),
        ("faces/all.txt", "ds0/img/1.png\n1\n4 5 6 7 0 0 0\nds1/img/2.png\n0\n", "all.txt: a text file"),
        ("boxes.txt", "1.png 4 5 6 7 3\n2.png 1 2 3 4 0\n", "boxes.txt: a text file"),
    ],
)
def test_labels_beside_folders_are_asked_about(awkward: Path, path: str, content: str, said: str) -> None:
    photos(awkward, "ds0/img/1.png", "ds1/img/2.png")
    (awkward / path).parent.mkdir(exist_ok=True)
    (awkward / path).write_text(content, encoding="utf-8")
    with pytest.raises(AmbiguousError, match=said) as caught:
        open_table(awkward)
    assert "--format folders" in caught.value.remedy
    assert open_table(awkward, "folders").classes.names == ("ds0", "ds1")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("train.txt", "ds0/1.png\nds1/2.png\n"), ("labels.txt", "ds0\nds1\n"),
        ("list.txt", "ds0/1.png 0\nds1/2.png 1\n"),
        ("README.txt", "The photo 1.png was taken in 2019, 2.png in 2020.\n"),
        ("classes.json", '{"0": "ds0", "1": "ds1"}'),
        ("sizes.json", '{"ds0": 1, "ds1": 1}'),
    ],
)  # fmt: skip
def test_lists_of_photos_and_classes_beside_folders_are_no_labels(awkward: Path, path: str, content: str) -> None:
    photos(awkward, "ds0/1.png", "ds1/2.png")
    (awkward / path).write_text(content, encoding="utf-8")
    assert open_table(awkward).classes.names == ("ds0", "ds1")


@pytest.mark.parametrize(
    ("path", "content", "format_name"),
    [
        (
            "ds0/ann/1.png.json",
            '{"objects": [{"classTitle": "cat", "points": {"exterior": [[0, 0], [1, 0], [1, 1]]}}]}',
            "supervisely",
        ),
        ("ds0/label_2/1.txt", f"Car 0.00 0 -1.57 0.00 0.00 1.00 2.00{' 1.5' * 7}\n", "kitti"),
        ("via.json", '{"1.png6501": {"filename": "1.png", "regions": []}}', "via"),
    ],
)
def test_labels_of_tools_win_over_the_folders_beside_them(
    awkward: Path, path: str, content: str, format_name: str
) -> None:
    photos(awkward, "ds0/img/1.png", "ds1/img/2.png")
    (awkward / path).parent.mkdir(exist_ok=True)
    (awkward / path).write_text(content, encoding="utf-8")
    table = open_table(awkward)
    assert (table.format, list(table.names)) == (format_name, ["ds0/img/1.png"])


def test_written_labels_win_over_folders(awkward: Path) -> None:
    photos(awkward, "doc/logo.png", "runs/plot.png", "images/1.png")
    (awkward / "labels").mkdir()
    (awkward / "labels/1.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (awkward / "classes.txt").write_text("cat\n")
    table = open_table(awkward)
    assert (table.format, list(table.names)) == ("yolo", ["images/1.png"])


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Train", TRAIN), ("TESTING", TEST), ("valid_images", VAL), ("trainset", TRAIN), ("TrainImages", TRAIN),
        ("conjunto de prueba", TEST), ("dados_treino", TRAIN), ("val2017", VAL), ("pred", UNASSIGNED),
        ("trainannot", TRAIN), ("test_masks", TEST), ("fold_2", UNASSIGNED), ("train_val", None), ("gato", None),
        ("trainer", None), ("contest", None), ("flores_train", None), ("", None),
        ("2017", None),
    ],
)  # fmt: skip
def test_names_of_parts(name: str, split: int | None) -> None:
    assert parse_split_name(name) == split


def test_names_that_differ_by_the_part_alone() -> None:
    assert infer_part_splits(["flores_train", "flores_test"]) == {"flores_train": TRAIN, "flores_test": TEST}
    assert infer_part_splits(["flores_train", "hojas_test"]) == {}


def test_whole_words_count_before_words_with_affixes() -> None:
    assert infer_split_from_folders("training_data/val/a.png") == VAL
    assert infer_split_from_folders("images/train2017/a.png") == TRAIN
