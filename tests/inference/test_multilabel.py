"""Multilabel prediction: all classes at or above their thresholds, or none, in every form of a result."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support import tiny_multilabel

import lince
from lince import images
from lince.annotations import Classes
from lince.cli.main import main
from lince.datasets import Dataset, open_dataset
from lince.errors import DataError, ModelError, UsageError
from lince.i18n import use_language
from lince.inference.multilabel.predictor import MultilabelPredictor
from lince.inference.multilabel.result import MultilabelResult, join_class_names
from lince.label_sets import LabelSets
from lince.notebook.result_html import render_result, render_results

SHOWN = {"none.png": (), "red.png": ("red",), "yellow.png": ("red", "green"), "white.png": ("red", "green", "blue")}


@pytest.fixture
def photos(awkward: Path) -> Path:
    """Return a folder of photos with none to three colours each."""
    folder = awkward / "fotos ñ"
    folder.mkdir()
    for number, (name, colours) in enumerate(SHOWN.items()):
        (folder / name).write_bytes(images.encode_png(tiny_multilabel.photo(*colours, seed=number)))
    return folder


@pytest.fixture
def model(awkward: Path) -> MultilabelPredictor:
    loaded = lince.load(tiny_multilabel.model_folder(awkward / "model"))
    assert isinstance(loaded, MultilabelPredictor)
    return loaded


def result(
    probabilities: tuple[float, ...], thresholds: tuple[float, ...], truth: tuple[int, ...] | None = None
) -> MultilabelResult:
    names = Classes(tuple(f"c{number}" for number in range(len(probabilities))))
    return MultilabelResult("a.png", np.array(probabilities, np.float32), thresholds, names, truth)


def test_all_classes_of_a_photo_are_said_and_none_where_there_is_none(photos: Path, model: MultilabelPredictor) -> None:
    said = {one.name: set(one.class_names) for one in model.predict_many(photos)}
    assert said == {name: set(colours) for name, colours in SHOWN.items()}


def test_each_class_has_its_own_threshold_and_the_most_probable_comes_first() -> None:
    found = result((0.6, 0.9, 0.3, 0.75), (0.7, 0.9, 0.2, 0.5))
    assert found.predicted_class_ids == [3, 2]  # 0.9 as float32 is just below 0.9
    record = found.to_dict()
    assert record["said"] == ["c3", "c2"]
    assert [one["name"] for one in record["classes"]] == ["c1", "c3", "c0", "c2"]
    assert [one["said"] for one in record["classes"]] == [False, True, False, True]
    assert all((one["probability"] >= one["threshold"]) == one["said"] for one in record["classes"])
    assert len(found.to_dict(2)["classes"]) == 2
    assert found.to_dict(1)["said"] == ["c3", "c2"]  # all that is said, however few are listed
    assert found.to_rows()[1] == {"file": "a.png", "class": "c3", "probability": 0.75, "threshold": 0.5, "said": True}


@pytest.mark.parametrize(("language", "words"), [("en", "no class"), ("es", "sin clase"), ("pt", "sem classe")])
def test_a_photo_without_any_class_is_told_so(language: str, words: str) -> None:
    with use_language(language):
        nothing = result((0.1, 0.2), (0.5, 0.5))
        assert nothing.describe() == words
        assert nothing.list_said_lines() == [words]
        assert nothing.list_written_lines(0) == (words,)
        assert words in render_result(nothing)


def test_the_truth_is_right_only_where_all_classes_are() -> None:
    assert result((0.9, 0.9), (0.5, 0.5), (0, 1)).is_correct
    partly = result((0.9, 0.1), (0.5, 0.5), (0, 1))
    assert partly.is_correct is False
    assert partly.describe().endswith("actual: c0, c1")
    assert result((0.9, 0.1), (0.5, 0.5), ()).describe().endswith("actual: no class")
    assert partly.list_true_lines() == ["actual: c0", "+ c1"]
    assert result((0.9, 0.1), (0.5, 0.5), ()).list_true_lines() == ["actual: no class"]
    assert result((0.1, 0.1), (0.5, 0.5), ()).is_correct
    assert result((0.1, 0.1), (0.5, 0.5)).is_correct is None


def test_many_said_classes_are_counted_on_a_picture_and_not_dropped_in_silence() -> None:
    lines = result((0.9,) * 7, (0.5,) * 7).list_written_lines(0)
    assert lines == ("90% c0", "90% c1", "90% c2", "90% c3", "and 3 more")
    assert len(result((0.9,) * 5, (0.5,) * 5).list_written_lines(0)) == 5


def test_a_picture_and_the_page_of_a_notebook_show_what_is_said(photos: Path, model: MultilabelPredictor) -> None:
    found = model.predict(photos / "yellow.png")
    drawn = np.asarray(found.plot())
    assert drawn.shape[2] == 3
    assert not np.array_equal(drawn, np.asarray(model.with_threshold(1.0).predict(photos / "yellow.png").plot()))
    text = render_result(found)
    assert "✓ red" in text
    assert "✓ green" in text
    assert "✓ blue" not in text
    assert "red" in render_results(model.predict(photos))


def test_thresholds_are_set_for_all_classes_or_by_name(photos: Path, model: MultilabelPredictor) -> None:
    assert model.thresholds == tiny_multilabel.THRESHOLDS
    assert model.with_threshold(0.9).thresholds == (0.9, 0.9, 0.9)
    assert model.with_threshold({"green": 0.1}).thresholds == (0.5, 0.1, 0.75)
    assert lince.predict(model, photos / "white.png", threshold=0.0).class_names != []
    assert len(lince.predict(model, photos / "none.png", threshold=0.0).class_names) == 3
    for wrong in (1.5, -0.1, float("nan"), {"green": 2.0}):
        with pytest.raises(UsageError, match="threshold"):
            model.with_threshold(wrong)
    with pytest.raises(UsageError, match="verde"):
        model.with_threshold({"verde": 0.5})


def test_a_card_without_thresholds_says_classes_from_one_half_on(awkward: Path) -> None:
    folder = tiny_multilabel.model_folder(awkward / "model", thresholds=())
    assert lince.load(folder).thresholds == (0.5, 0.5, 0.5)


def test_a_card_of_other_classes_is_refused(awkward: Path) -> None:
    folder = tiny_multilabel.model_folder(awkward / "model")
    tiny_multilabel.card(("a", "b"), (0.5, 0.5)).save(folder)
    with pytest.raises(ModelError, match="does not match"):
        lince.load(folder)


def labelled(photos: Path, shown: dict[str, tuple[str, ...]]) -> Dataset:
    """Return the photos as a dataset with their colours as label sets."""
    dataset = open_dataset(photos.parent, format="folders")
    names = ("amber", "blue", "green", "red")
    sets = {
        row: [names.index(colour) for colour in shown[dataset.images.get_name(row).rpartition("/")[2]]]
        for row in range(len(dataset))
    }
    none = np.full(len(dataset), -1, np.int32)
    return replace(dataset, classes=Classes(names), class_ids=none, label_sets=LabelSets.from_class_ids(none, sets))


def test_the_truth_comes_from_labelled_photos(photos: Path, model: MultilabelPredictor) -> None:
    dataset = labelled(photos, SHOWN)
    results = list(model.predict_many(photos, truth=dataset))
    assert [one.is_correct for one in results] == [True] * 4
    wrong = labelled(photos, {**SHOWN, "none.png": ("green",)})
    found = {one.name: one for one in model.predict_many(photos, truth=wrong)}
    assert found["none.png"].truth_names == ["green"]
    assert found["none.png"].is_correct is False
    assert found["none.png"].to_dict()["right"] is False
    with pytest.raises(DataError, match="amber"):
        list(model.predict_many(photos, truth=labelled(photos, {**SHOWN, "none.png": ("amber",)})))


def test_the_truth_of_a_copy_is_found_and_what_the_labels_do_not_say_is_told(
    photos: Path,
    model: MultilabelPredictor,
    awkward: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(awkward)
    rows = ["filename,red,green,blue", "red.png,1,0,0", "yellow.png,1,1,0", "none.png,0,0,1"]
    (photos / "labels.csv").write_text("\n".join(rows), "utf-8")
    Path("copies").mkdir()
    for name in SHOWN:
        Path("copies", name).write_bytes((photos / name).read_bytes())
    Path("copies", "red.png").write_bytes((photos / "white.png").read_bytes())  # the name of one with other content
    assert main(["predict", "model", "copies", "--labels-from", str(photos), "--json"]) == 0
    records = {one["file"]: one for one in json.loads(capsys.readouterr().out)["predictions"]}
    assert {name: one.get("right") for name, one in records.items()} == {
        "red.png": None, "yellow.png": True, "none.png": False, "white.png": None,
    }  # fmt: skip
    assert main(["predict", "model", "copies", "--labels-from", str(photos)]) == 0
    said = capsys.readouterr().out
    assert "none.png  no class  (wrong, actual: blue)" in said
    assert "1 of 2 with exactly the right classes (50.0%)" in said
    assert "does not say the classes of 2 of them" in said


def test_the_name_of_a_folder_is_no_truth(awkward: Path, model: MultilabelPredictor) -> None:
    (awkward / "red").mkdir()
    (awkward / "red" / "a.png").write_bytes(images.encode_png(tiny_multilabel.photo("red")))
    assert [one.truth for one in model.predict_many(awkward / "red")] == [None]
    for mode in ("folders", "names"):
        with pytest.raises(UsageError, match="several classes"):
            list(model.predict_many(awkward / "red", truth=mode))


def test_the_command_line_says_all_classes_and_writes_tables(
    photos: Path,
    model: MultilabelPredictor,
    awkward: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(awkward)
    assert main(["predict", "model", str(photos), "--csv", "out.csv", "--save", "answers"]) == 0
    said = capsys.readouterr().out
    lines = {line.split("  ")[0]: line for line in said.splitlines()}
    assert lines["none.png"] == "none.png  no class"
    assert "red" in lines["yellow.png"]
    assert "green" in lines["yellow.png"]
    assert "blue" not in lines["yellow.png"]
    assert "4 of 4 photos" in said
    assert "no class in 1 of them" in said
    with open("out.csv", encoding="utf-8", newline="") as stream:
        rows = {row["file"]: row for row in csv.DictReader(stream)}
    assert set(rows["white.png"]["classes"].split("|")) == {"red", "green", "blue"}
    assert rows["none.png"]["classes"] == ""
    assert float(rows["red.png"]["p:red"]) > 0.9 > 0.1 > float(rows["red.png"]["p:blue"])
    assert sorted(path.name for path in Path("answers").iterdir() if not path.name.startswith(".")) == [
        "predictions.csv", "predictions.json", "sheet.jpg",
    ]  # fmt: skip
    records = json.loads(Path("answers/predictions.json").read_text("utf-8"))["predictions"]
    assert {one["file"]: len(one["said"]) for one in records} == {name: len(shown) for name, shown in SHOWN.items()}


def test_the_command_line_takes_thresholds_and_the_most_probable_classes(
    photos: Path,
    model: MultilabelPredictor,
    awkward: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(awkward)
    photo = str(photos / "red.png")
    assert main(["predict", "model", photo, "--top", "3"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.count("(") == 2
    assert main(["predict", "model", photo, "--threshold", "1", "--threshold", "blue=0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["said"] == ["blue"]
    assert main(["predict", "model", photo, "--threshold", "2"]) == 2
    assert main(["predict", "model", photo, "--iou", "0.5"]) == 2
    assert "--iou" in capsys.readouterr().err


def test_labels_to_correct_are_written_and_read_again(
    photos: Path,
    model: MultilabelPredictor,
    awkward: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(awkward)
    assert main(["predict", "model", str(photos), "--to", "csv"]) == 0
    assert str(Path("answers", "csv")) in capsys.readouterr().out
    data = lince.open("answers/csv")
    assert data.label_sets is not None
    found = {
        data.images.read_bytes(row): {data.classes.names[one] for one in data.label_sets.get_class_ids(row)}
        for row in range(len(data))
    }
    assert found == {(photos / name).read_bytes(): set(shown) for name, shown in SHOWN.items()}
    assert main(["predict", "model", str(photos), "--to", "csv", "--save", str(photos)]) == 2
    capsys.readouterr()
    for name, words in (("voc", "does not hold several classes"), ("nothing", "--to cannot be 'nothing'")):
        assert main(["predict", "model", str(photos), "--to", name, "--save", "other"]) == 2
        assert words in capsys.readouterr().err
    assert not Path("other").exists()
    results = list(model.predict_many(photos))
    assert (lince.save_answers(results, awkward / "saved", "csv") / "csv" / "labels.csv").is_file()


def test_names_with_the_separator_stay_apart_in_a_cell() -> None:
    assert join_class_names(["a|b", "c"]) != join_class_names(["a", "b|c"])
    assert join_class_names(["a", "b"]) == "a|b"
