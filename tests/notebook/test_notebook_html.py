"""What notebooks show: HTML without scripts and stylesheets, escaped, in the user's language, small, with pictures."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")
from tests.support import box_photos, tiny_classifier, tiny_detector, tiny_multilabel

import lince
from lince import images
from lince.annotations import UNLABELLED, Classes
from lince.datasets import Dataset
from lince.display import NotebookDisplay
from lince.i18n import use_language
from lince.inference.result import MAX_SHOWN
from lince.label_sets import LabelSets
from lince.notebook.picture import MAX_PICTURE_BYTES, PICTURE_SIDE, make_picture
from lince.training.run_folder import TrainingRun

HOSTILE = "<img src=x onerror=alert(1)>"
MAX_BYTES = 700_000  # of the HTML of one object


def photo(colour: tuple[int, int, int], height: int = 40, width: int = 60) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return class folders of coloured photos, one of them red though it is called blue."""
    root = tmp_path_factory.mktemp("niño ç")
    colours = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}
    for name, colour in colours.items():
        (root / name).mkdir()
        for number in range(4):
            pixels = photo(colour) + np.uint8(number)
            (root / name / f"{number}.png").write_bytes(images.encode_png(pixels))
    (root / "blue" / "wrong.png").write_bytes(images.encode_png(photo((210, 10, 10))))
    return root


@pytest.fixture(scope="module")
def objects(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return one object of each kind that shows itself, without training anything."""
    place = tmp_path_factory.mktemp("models")
    boxes = box_photos.yolo(place / "boxes", {"train": 4, "test": 3})
    colours, squares = tiny_classifier.model_folder(place / "c"), tiny_detector.model_folder(place / "d")
    dataset, marked = lince.open(folder), lince.open(boxes)
    scene = tiny_detector.scene([(0, 1, 1), (1, 5, 4)])
    classifier, detector = lince.load(colours), lince.load(squares)
    names = Classes(tiny_detector.NAMES)
    several = tiny_multilabel.model_folder(place / "m")
    return {
        "dataset": dataset,
        "boxes": marked,
        "check": lince.check(boxes),
        "classified": classifier.predict(folder / "red" / "0.png"),
        "detected": detector.predict(scene),
        "many": classifier.predict(folder),
        "many detected": detector.predict([scene] * 3),
        "evaluation": lince.evaluate(colours, dataset),
        "several": lince.load(several).predict(tiny_multilabel.photo("red", "green")),
        "several evaluation": lince.evaluate(several, _list_colours(dataset)),
        "detector": lince.evaluate(squares, replace(marked, classes=names)),
        "similar": lince.similar(colours, folder / "red" / "0.png", folder),
    }


KINDS = ("dataset", "boxes", "check", "classified", "detected", "many", "many detected", "several", "evaluation",
         "several evaluation", "detector", "similar")  # fmt: skip


def _list_colours(dataset: Dataset) -> Dataset:
    """Return ``dataset`` with sets of classes: the class of the folder, and two for the first photo."""
    sets = LabelSets.from_class_ids(dataset.class_ids, {0: [0, 1]})
    return replace(dataset, class_ids=np.full_like(dataset.class_ids, UNLABELLED), label_sets=sets)


def pictures_of(html: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [images.decode_image(base64.b64decode(text)) for text in found]


@pytest.mark.parametrize("kind", KINDS)
def test_it_shows_itself_with_bounded_pictures_and_without_scripts(objects: dict[str, Any], kind: str) -> None:
    html = objects[kind]._repr_html_()
    assert html
    assert len(html) < MAX_BYTES
    assert not re.search(r"<script|<style|<link|javascript:|\son\w+=|https?://", html)
    shown = pictures_of(html)
    assert html.count("<img") == len(shown)
    assert kind == "check" or shown
    assert len(shown) <= 24
    assert max((max(picture.shape) for picture in shown), default=0) <= 520
    opened, closed = (
        len(re.findall(pattern, html)) for pattern in (r"<(?:div|table|td|th|tr)\b", r"</(?:div|table|td|th|tr)>")
    )
    assert opened == closed


@pytest.mark.parametrize("kind", KINDS)
def test_no_colour_of_its_own_hides_text_in_a_dark_notebook(objects: dict[str, Any], kind: str) -> None:
    html = objects[kind]._repr_html_()
    texts = re.findall(r"[^-]color:([^;\"]+)", html)
    assert set(texts) <= {"inherit", "#d2452b", "#c77700", "#2f7fd0", "#2e9158"}
    grounds = set(re.findall(r"background:([^;\"]+)", html))
    assert grounds <= {"none", "#2f7fd0", "rgba(128,128,128,.22)"}


@pytest.mark.parametrize("kind", KINDS)
def test_its_text_is_short(objects: dict[str, Any], kind: str) -> None:
    text = repr(objects[kind])
    assert len(text) < 1500
    assert "array(" not in text


@pytest.mark.parametrize(("code", "word"), [("es", "Conjunto de datos"), ("pt", "Conjunto de dados")])
def test_it_speaks_the_language_of_the_user(objects: dict[str, Any], code: str, word: str) -> None:
    with use_language(code):
        assert word in objects["dataset"]._repr_html_()
        assert "clase" in repr(objects["dataset"]) or "classe" in repr(objects["dataset"])
    assert "Dataset" in objects["dataset"]._repr_html_()


def test_names_are_escaped(objects: dict[str, Any]) -> None:
    dataset = objects["dataset"]
    hostile = replace(dataset, classes=Classes((HOSTILE, "green", "red")), root=Path(HOSTILE))
    html = hostile._repr_html_()
    assert HOSTILE not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 2


def test_the_dataset_tells_its_counts_and_what_was_left_out(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(images.encode_png(photo((9, 9, 9))))
    (tmp_path / "a" / "notes.docx").write_text("x")
    html = lince.open(tmp_path)._repr_html_()
    assert "notes.docx" in html
    assert re.search(r">a</th><td[^>]*>1</td>", html)


def test_photos_are_upright(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture = Image.fromarray(photo((0, 200, 0), 40, 80))
        exif = picture.getexif()
        exif[0x0112] = 6  # to be turned by a quarter
        picture.save(tmp_path / name / "1.jpg", exif=exif)
    (first, _second) = pictures_of(lince.open(tmp_path)._repr_html_())
    assert first.shape[0] == 2 * first.shape[1]


def test_boxes_are_drawn_where_they_were_found(objects: dict[str, Any]) -> None:
    (picture,) = pictures_of(objects["detected"]._repr_html_())
    plain = objects["detected"].source
    assert picture.shape[0] > plain.shape[0]
    assert "rojo ñ" in objects["detected"]._repr_html_()


def test_an_evaluation_shows_its_errors(objects: dict[str, Any]) -> None:
    html = objects["evaluation"]._repr_html_()
    assert "blue/wrong.png" in html
    assert "actual: blue" in html
    assert html.index("wrong.png") < html.index("Correct predictions")
    assert "AP50" in objects["detector"]._repr_html_()


def test_a_multilabel_evaluation_shows_its_classes_and_errors(objects: dict[str, Any]) -> None:
    html = objects["several evaluation"]._repr_html_()
    assert "mAP" in html
    assert ">AP<" in html
    assert "blue/wrong.png" in html
    assert "actual: blue, green" in html  # the first photo was given two
    assert html.index("wrong.png") < html.index("Correct predictions")
    assert "red 9" in objects["several"]._repr_html_()


def test_a_list_shows_the_first_and_names_what_could_not_be_read(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    model = lince.load(tiny_classifier.model_folder(tmp_path / "model"))
    results = model.predict([*[photo((200, 0, 0))] * (MAX_SHOWN + 5), broken])
    html = results._repr_html_()
    assert len(pictures_of(html)) == MAX_SHOWN
    assert "broken.png" in html
    assert "could not be read: 1" in repr(results)


def test_a_photo_that_is_gone_leaves_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(images.encode_png(photo((200, 0, 0))))
    result = lince.predict(tiny_classifier.model_folder(tmp_path / "model"), path)
    path.unlink()
    html = result._repr_html_()
    assert not pictures_of(html)
    assert "red" in html


def test_noise_stays_within_its_bytes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    picture = make_picture(noise)
    assert len(base64.b64decode(picture.uri.partition(",")[2])) <= MAX_PICTURE_BYTES
    assert max(picture.width, picture.height) <= PICTURE_SIDE


def test_an_unfinished_run_says_how_to_go_on(tmp_path: Path) -> None:
    html = TrainingRun(tmp_path / "run")._repr_html_()
    assert "lince.resume(" in html


def test_what_cannot_be_shown_leaves_the_text() -> None:
    class Gone(NotebookDisplay):
        def render_notebook_html(self) -> str:
            raise FileNotFoundError("gone")

    assert Gone()._repr_html_() is None


def test_it_opens_in_the_browser_outside_of_notebooks(
    objects: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = objects["dataset"].show()
    assert opened == [path.as_uri()]
    assert objects["dataset"]._repr_html_() in path.read_text("utf-8")
