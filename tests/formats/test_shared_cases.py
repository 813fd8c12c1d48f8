"""The small inputs in ../shared/cases/data, which other tools and people wrote: read right, or refused with reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from lince.datasets import open_dataset
from lince.errors import LinceError

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
    "t11_multi": (4, 0, ("several-classes",)),
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
CLASSES = {
    "i12_es": ("gato", "perro"),
    "w05_intel": ("sea", "street"),
    "b06_wheat": ("object",),
    "f12_rfclasses": ("cat", "dog"),
    "g02_kerasyolo": ("cat", "dog"),
    "g06": ("head", "helmet"),
    "k06_rf": ("head", "helmet"),
    "n06_emptylabel": ("cat",),
    "s04_csv": ("cat",),
    "t21_onehot": ("cat", "dog"),
    "t22_nan": ("gato", "perro"),
    "w01_cassava": ("0", "1"),
    "z03_sjis/j.zip": ("ソ犬", "猫"),
}
# Of formats that lince does not read: where readers are added, a case moves to the dictionary above.
REFUSED = {
    "f10_bdd": r"det_train\.json: .*BDD100K",
    "k02_viacoco": r"annotations\.json#/annotations/0/category_id",
    "k09_nan": r"annotations\.json#/annotations/0: a coordinate is not a number",
    "n11_comma": r"annotations\.json: 2:35",
    "n17_lsnoimg": r"its photo is missing",
    "t25_xlsx": r"labels\.xlsx: a spreadsheet \(save it as CSV\)",
    "v02_comma": r"a0\.xml:2: a coordinate is not a number: 10,5",
    "x05_deep": r"a\.json: is nested too deeply",
    "x17_ls": r"t\.json#/0/annotations/0/result/1: nothing instead of a result",
    "y01_commas": r"labels/a0\.txt:1: numbers separated by commas",
}


@pytest.fixture
def cases(shared: Path) -> Path:
    folder = shared / "cases" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/cases/data beside this checkout")
    return folder


@pytest.mark.parametrize("name", READ)
def test_a_case_is_read_with_every_row_named(cases: Path, name: str) -> None:
    dataset = open_dataset(cases / name)
    found = (len(dataset), 0 if dataset.objects is None else len(dataset.objects))
    assert (*found, tuple(sorted({item.kind for item in dataset.rejected}))) == READ[name]
    assert dataset.classes.names == CLASSES.get(name, dataset.classes.names)


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_with_place_and_reason(cases: Path, name: str) -> None:
    with pytest.raises(LinceError, match=REFUSED[name]):
        open_dataset(cases / name)


def test_every_case_is_looked_at(cases: Path) -> None:
    looked_at = {name.partition("/")[0] for name in (*READ, *REFUSED)}
    assert looked_at == {folder.name for folder in cases.iterdir()}
