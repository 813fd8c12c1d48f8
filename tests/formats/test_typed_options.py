"""Options that refusals and rejections name are typed as they stand there, and lead on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.label_samples import PHOTO, YOLO, make_coco, make_voc, write_files

from lince.cli.main import main
from lince.datasets import open_dataset
from lince.errors import LinceError

OPTION = re.compile(r"--(format|pattern|fix) ([\w{}-]+)")
LISTED = re.compile(r"^  ([\w-]+): ", re.M)  # the formats that fit, of which one is to be chosen
TABLE = "filename,class,xmin,ymin,xmax,ymax\na.png,gato,{}\n"
REFUSED: dict[str, tuple[dict[str, str | bytes], set[str]]] = {
    "one folder": ({"gatos/a.png": PHOTO, "gatos/b.png": PHOTO}, {"folders"}),
    "folders of the same folders": (
        {f"{place}/{name}/{i}.png": PHOTO for place in ("casa", "calle") for name in ("gato", "perro") for i in (1, 2)},
        {"folders"},
    ),
    "folders beside a table": (
        {"fotos_1/a.png": PHOTO, "fotos_2/b.png": PHOTO, "t.csv": "foto,peso\na.png,3\nb.png,4\n"}, {"csv", "folders"},
    ),
    "two formats": ({"a.png": PHOTO, "a.xml": make_voc("a.png"), "l.json": make_coco("a.png")}, {"voc", "coco"}),
}  # fmt: skip
REJECTED: dict[str, dict[str, str | bytes]] = {
    "order": {"a.png": PHOTO, "b.png": PHOTO, "t.csv": TABLE.format("40,20,8,10") + "b.png,gato,8,10,40,20\n"},
    "clip yolo": {"images/a.png": PHOTO, "images/b.png": PHOTO, "classes.txt": "gato\n", "labels/b.txt": YOLO,
                  "labels/a.txt": "0 0.9 0.5 0.4 0.2\n"},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_options_of_a_refusal_open_the_data(name: str, awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, expected = REFUSED[name]
    write_files(awkward, files)
    with pytest.raises(LinceError) as caught:
        open_dataset(awkward)
    said = "\n".join([caught.value.problem, caught.value.expected, caught.value.remedy])  # as on the command line
    options = [(option, value) for option, value in OPTION.findall(said)]
    if "Choose one with --format" in said:
        options = [("format", value) for value in LISTED.findall(said)]
    assert {value for _option, value in options} == expected, said
    for option, value in options:
        words = [
            "check",
            str(awkward),
            f"--{option}",
            value,
            "--out",
            str(awkward.parent / "check.html"),
            "--overwrite",
        ]
        assert main([*words, "--json"]) in (0, 1), capsys.readouterr().err  # 1: what it finds is an error of the data
        assert '"images": 0' not in capsys.readouterr().out
        assert len(open_dataset(awkward, **{option: value})) > 0


@pytest.mark.parametrize("name", REJECTED)
def test_the_repair_that_a_rejection_names_uses_the_box(name: str, awkward: Path) -> None:
    write_files(awkward, REJECTED[name])
    dataset = open_dataset(awkward)
    (fix,) = {value for item in dataset.rejected for _option, value in OPTION.findall(item.remedy)}
    assert fix == name.partition(" ")[0]
    repaired = open_dataset(awkward, fix=[fix])
    assert repaired.objects is not None
    assert (len(dataset), len(repaired), len(repaired.objects), repaired.rejected) == (1, 2, 2, ())
