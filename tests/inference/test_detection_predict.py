"""Detection prediction: equals preparation, network and decoding for any photo, and is saved without loss."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.support import tiny_classifier, tiny_detector

import lince
from lince import images
from lince.annotations import Classes, Detections, RejectedItem, get_class_colour
from lince.cli import threshold_options
from lince.cli.main import main
from lince.errors import DataError, ImageError, ModelError, UsageError
from lince.formats import FORMATS, Capability
from lince.inference import drawing
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.classification import predictor
from lince.inference.detection import results_folder
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.detection.result import DetectionResult
from lince.inference.detection.tables import count_by_class
from lince.inference.save import save_answers
from lince.model_card import NETWORK_FILE, ModelCard
from lince.postprocess import DetectionFilter, get_decoder
from lince.preprocess import PreprocessSpec, preprocess_images

SQUARES = [(0, 1, 2), (1, 5, 0), (0, 7, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detector.model_folder(tmp_path_factory.mktemp("model ñ"))


@pytest.fixture(scope="module")
def model(folder: Path) -> DetectionPredictor:
    loaded = lince.load(folder)
    assert isinstance(loaded, DetectionPredictor)
    return loaded


@pytest.fixture
def photos(awkward: Path) -> Path:
    """Return two folders with photos of the same names, one empty photo, one broken, and one text file."""
    folder = awkward / "fotos ñ"
    for number, part in enumerate(("día 1", "día 2")):
        (folder / part).mkdir(parents=True)
        (folder / part / "calle.png").write_bytes(images.encode_png(tiny_detector.scene(SQUARES[number:], 96, 128)))
    (folder / "día 1" / "calle.jpg").write_bytes(images.encode_jpeg(tiny_detector.scene(SQUARES[:1], 400, 400), 98))
    (folder / "día 1" / "nada.png").write_bytes(images.encode_png(tiny_detector.scene([])))
    whole = (folder / "día 1" / "calle.png").read_bytes()
    (folder / "día 2" / "broken.png").write_bytes(whole[: len(whole) // 2])
    (folder / "día 2" / "notes.txt").write_text("no photo")
    return folder


def bare(model: DetectionPredictor, path: Path) -> Detections:
    """Return the result of preparation, network and decoding, called one by one."""
    card = model.card
    kind, spec = get_decoder(card.decoder), card.preprocess
    batch = preprocess_images([images.read_image(path, (spec.height, spec.width))], spec)
    outputs = OnnxRuntimeBackend(model.backend.path).run(batch, kind.outputs)
    return kind.decode(
        [output[0] for output in outputs], images.read_size(path.read_bytes()), spec, card.detection_filter
    )


def same(one: Detections, other: Detections) -> None:
    assert one.class_ids.tolist() == other.class_ids.tolist()
    np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def boxes(squares: Sequence[tuple[int, int, int]], side: float) -> list[tuple[int, list[float]]]:
    return sorted((number, [x * side, y * side, (x + 1) * side, (y + 1) * side]) for number, x, y in squares)


def told(detections: Detections, to: float = 1.0) -> list[tuple[int, list[float]]]:
    rows = zip(detections.class_ids.tolist(), (np.rint(detections.boxes / to) * to).tolist(), strict=True)
    return sorted(rows)


# Predictions.


def test_a_photo_is_answered_as_by_preparation_network_and_decoding(model: DetectionPredictor, photos: Path) -> None:
    path = photos / "día 1" / "calle.png"
    one = model.predict(path)
    same(one.detections, bare(model, path))
    assert told(one.detections) == boxes([square for square in SQUARES if square[2] < 6], 16)
    assert (one.path, one.size, one.counts()) == (str(path), (96, 128), {"rojo ñ": 1, "azul": 1})
    assert one.detections.scores.min() > 0.9
    for other in (path.read_bytes(), images.read_image(path)):
        again = model.predict(other)
        same(again.detections, one.detections)
        assert (again.name, again.path, again.size) == ("", None, (96, 128))


def test_large_jpegs_give_boxes_in_pixels_of_the_whole(model: DetectionPredictor, awkward: Path) -> None:
    path = awkward / "grande.jpg"
    path.write_bytes(images.encode_jpeg(tiny_detector.scene(SQUARES, 1001, 1001), 98))
    one = model.predict(path)
    assert one.size == (1001, 1001)
    same(one.detections, bare(model, path))
    expected = boxes(SQUARES, 125)
    for (number, box), (truth, place) in zip(told(one.detections), expected, strict=True):
        assert number == truth
        np.testing.assert_allclose(box, place, atol=1.5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_gives_boxes_in_the_upright_one(
    model: DetectionPredictor, awkward: Path, orientation: int
) -> None:
    upright = tiny_detector.scene(SQUARES[:2], 320, 512)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.swapaxes(0, 1),
        6: np.rot90(upright), 7: upright[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(awkward / "turned.jpg", quality=98, exif=exif)
    one = model.predict(awkward / "turned.jpg")
    assert one.size == (320, 512)
    assert told(one.detections) == boxes(SQUARES[:2], 64)
    crop = results_folder.crop_image(images.read_image(awkward / "turned.jpg"), one.detections.boxes[0].tolist())
    assert crop.shape == (64, 64, 3)
    assert crop[..., 1].mean() < 30


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (7, 3)])
@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA", "1"])
def test_odd_photos_are_predicted_and_drawn(
    model: DetectionPredictor, awkward: Path, size: tuple[int, int], kind: str
) -> None:
    (awkward / "in").mkdir()
    Image.new(kind, size[::-1]).save(awkward / "in" / "odd.png")
    [one] = model.with_threshold(0.0).predict_many(awkward / "in")
    assert isinstance(one, DetectionResult)
    assert one.size == size
    assert len(one.detections) > 0, "black is hardly green"
    assert (one.detections.boxes >= 0).all()
    assert (one.detections.boxes <= [*size[::-1], *size[::-1]]).all()
    saved = results_folder.save_detections([one], awkward / "out")
    assert images.read_image(saved.folder / "pictures" / "odd.jpg").shape == (*size, 3)


def test_images_of_any_sizes_are_found_together_and_alone(model: DetectionPredictor) -> None:
    several = [tiny_detector.scene(SQUARES[number % 3 :], 64 + 8 * number, 128, number) for number in range(7)]
    together = model.detect(several)
    assert [told(one) for one in together] == [told(model.detect([image])[0]) for image in several]
    assert model.detect([]) == []
    turned = several[1][:, ::-1]  # not contiguous in memory
    assert told(model.detect([turned])[0]) == told(model.detect([turned.copy()])[0])


@pytest.mark.parametrize("array", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_arrays_that_are_no_image_are_refused(model: DetectionPredictor, array: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="is not an image"):
        model.detect([array])


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_many_photos_keep_their_order_and_lose_none(model: DetectionPredictor, photos: Path, batch: int) -> None:
    answers = list(model.predict_many(photos, batch=batch))
    names = [one.path if isinstance(one, RejectedItem) else one.name for one in answers]
    assert names == [
        "día 1/calle.jpg", "día 1/calle.png", "día 1/nada.png", "día 2/broken.png", "día 2/calle.png", "día 2/notes.txt"
    ]  # fmt: skip
    assert [isinstance(one, RejectedItem) for one in answers] == [False, False, False, True, False, True]
    for one in answers:
        if isinstance(one, DetectionResult):
            same(one.detections, bare(model, Path(one.path or "")))
    assert answers[2].counts() == {}


@pytest.mark.parametrize("batch", [1, 3])
def test_networks_of_a_fixed_batch_answer_alike(model: DetectionPredictor, tmp_path: Path, batch: int) -> None:
    fixed = lince.load(tiny_detector.model_folder(tmp_path, batch))
    several = [tiny_detector.scene(SQUARES[number % 3 :], seed=number) for number in range(5)]
    for one, other in zip(fixed.detect(several), model.detect(several), strict=True):
        same(one, other)


def test_memory_stays_bounded(folder: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, looked = lince.load(folder), []
    look = model.prepare_or_reject
    monkeypatch.setattr(model, "prepare_or_reject", lambda photo: looked.append(photo) or look(photo))
    answers = model.predict_many([photos / "día 1" / f"calle.{end}" for end in ("jpg", "png")] + [photos], batch=1)
    next(answers)
    assert len(looked) <= 3
    answers.close()
    assert list(answers) == []


def test_an_empty_source_is_refused(model: DetectionPredictor, awkward: Path) -> None:
    (awkward / "empty").mkdir()
    with pytest.raises(DataError, match="no photo"):
        model.predict_many(awkward / "empty")
    with pytest.raises(ImageError, match="does not exist"):
        model.predict(awkward / "none.jpg")


# Thresholds.


def test_thresholds_over_those_of_the_card(model: DetectionPredictor) -> None:
    image = tiny_detector.scene(SQUARES)
    sure = float(model.detect([image])[0].scores.min())
    assert len(model.with_threshold(sure + 1e-6).detect([image])[0]) < len(SQUARES)
    assert told(model.with_threshold({"rojo ñ": 1.0}).detect([image])[0]) == boxes(SQUARES[1:2], 8)
    assert model.card.detection_filter == DetectionFilter()
    both = threshold_options.apply_thresholds(model, ["0.9", "azul=0.4"]).card.detection_filter.score_threshold
    assert both == pytest.approx((0.9, 0.4))
    for wrong in (["1.5"], ["nan"], ["azul=-1"], ["verde=0.3"], ["azul"], ["=0.3"], [""]):
        with pytest.raises(UsageError):
            threshold_options.apply_thresholds(model, wrong)


@given(st.lists(st.one_of(st.text(max_size=12), st.from_regex(r"(azul=)?[0-9.e-]{1,6}", fullmatch=True)), max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_words_are_thresholds_or_a_usage_error(model: DetectionPredictor, words: list[str]) -> None:
    try:
        threshold = threshold_options.apply_thresholds(model, words).card.detection_filter.score_threshold
    except UsageError:
        return
    numbers = threshold if isinstance(threshold, tuple) else (threshold,)
    assert all(0 <= number <= 1 for number in numbers)


# Models that cannot be used.


@pytest.mark.parametrize(
    "card",
    [
        tiny_detector.card(("rojo", "azul", "verde")),
        tiny_detector.card(spec=PreprocessSpec(32, 64, "corner", mean=(0.0,) * 3, std=(1.0,) * 3)),
        tiny_detector.card(keeping=DetectionFilter((0.2, 0.3, 0.4))),
    ],
    ids=["classes", "size", "thresholds"],
)
@pytest.mark.parametrize("declared", [True, False])
def test_a_network_that_does_not_belong_to_its_card(tmp_path: Path, card: ModelCard, declared: bool) -> None:
    tiny_detector.model_folder(tmp_path, declared=declared)
    card.save(tmp_path)
    with pytest.raises(ModelError, match="does not match its model card"):
        lince.load(tmp_path).detect([tiny_detector.scene([])])


def test_models_of_another_task(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'detect'"):
        predictor.load_classifier(folder)
    classifier = tiny_classifier.model_folder(tmp_path)
    assert isinstance(lince.load(classifier), predictor.ClassificationPredictor)
    with pytest.raises(ModelError, match="'classify'"):
        DetectionPredictor(ModelCard.load(classifier), OnnxRuntimeBackend(classifier / NETWORK_FILE))
    tiny_detector.card(spec=PreprocessSpec(16, 16)).save(classifier)
    with pytest.raises(ModelError, match="does not match"):
        lince.load(classifier)


# Saved results.


@pytest.fixture
def answers(model: DetectionPredictor, photos: Path) -> list[DetectionResult | RejectedItem]:
    return list(model.predict_many(photos))


def test_everything_found_is_kept(answers: list[DetectionResult | RejectedItem], awkward: Path) -> None:
    out = lince.save_answers(answers, awkward / "salida")
    pictures = {path.name: images.read_image(path) for path in (out / "pictures").iterdir()}
    assert sorted(pictures) == ["día 1-calle-2.jpg", "día 1-calle.jpg", "día 2-calle.jpg", "nada.jpg"]
    rows = list(csv.DictReader((out / "detections.csv").read_text("utf-8").splitlines()))
    record = json.loads((out / "detections.json").read_text("utf-8"))
    looked = {one.name: one for one in answers if isinstance(one, DetectionResult)}
    assert [row["file"] for row in rows] == [one.name for one in looked.values() for _box in one.detections.scores]
    assert record["counts"] == {"rojo ñ": 2, "azul": 2}
    assert [photo["file"] for photo in record["photos"]] == list(looked)
    assert [item["file"] for item in record["rejected"]] == ["día 2/broken.png", "día 2/notes.txt"]
    crops = sorted(path.relative_to(out).as_posix() for path in (out / "crops").rglob("*.jpg"))
    assert crops == sorted(row["crop"] for row in rows)
    for row in rows:
        box = [float(row[side]) for side in ("left", "top", "right", "bottom")]
        crop = images.read_image(out / row["crop"])
        assert (
            crop.shape[:2]
            == results_folder.crop_image(images.read_image(Path(looked[row["file"]].path)), box).shape[:2]
        )
        assert row["class"] == out.joinpath(row["crop"]).parent.name
        assert crop[..., 0 if row["class"] == "rojo ñ" else 2].mean() > 200
    assert images.read_image(out / "sheet.jpg").shape[1] > 1000
    assert not list(out.rglob("*.part"))


def test_a_folder_that_is_taken_is_left_alone(answers: list[DetectionResult | RejectedItem], awkward: Path) -> None:
    (awkward / "out").mkdir()
    (awkward / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        results_folder.save_detections(answers, awkward / "out")
    assert [path.name for path in (awkward / "out").iterdir()] == ["mine.txt"]


def test_a_full_disk_or_a_vanished_photo_leaves_nothing_half_written(
    answers: list[DetectionResult | RejectedItem], awkward: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(image: NDArray[np.uint8], quality: int = 90) -> bytes:
        calls.append(quality)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        return images.encode_png(image)

    with monkeypatch.context() as patched:
        patched.setattr(images, "encode_jpeg", full)
        with pytest.raises(OSError, match="No space left"):
            results_folder.save_detections(answers, awkward / "out")
    (photos / "día 2" / "calle.png").write_bytes(images.encode_png(tiny_detector.scene([])))
    with pytest.raises(DataError, match="has changed"):
        results_folder.save_detections(answers, awkward / "out")
    (photos / "día 2" / "calle.png").unlink()
    with pytest.raises(ImageError, match="does not exist"):
        results_folder.save_detections(answers, awkward / "out")
    assert [path.name for path in awkward.iterdir()] == [photos.name]


def test_class_names_become_folders_of_their_own() -> None:
    names = ["a/b", "a_b", "A_B", "..", "", "v1.0", "v1.1", "con:dos", "x" * 300, "x" * 301, "ñ"]
    folders = results_folder.make_class_folder_names(names)
    assert len({name.casefold() for name in folders}) == len(names)
    assert all(name and not set(name) & set('/\\:<>"|?*') and name.strip(". ") == name for name in folders)
    assert folders[5:7] + folders[-1:] == ["v1.0", "v1.1", "ñ"]


def test_photos_of_one_name_do_not_overwrite_each_other(model: DetectionPredictor, awkward: Path) -> None:
    places = ["a/x.png", "b/x.png", "a/X.jpg", "b/c/x.png", "a_1.png", "a.png", "y" * 200 + ".png"]
    for place in places:
        (awkward / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        (awkward / "in" / place).write_bytes(images.encode_png(tiny_detector.scene(SQUARES)))
    out = results_folder.save_detections(list(model.predict_many(awkward / "in")), awkward / "out").folder
    assert len({path.name.casefold() for path in (out / "pictures").iterdir()}) == len(places)
    assert len(list((out / "crops").rglob("*.jpg"))) == len(places) * len(SQUARES)


def test_arrays_are_in_the_tables_alone(model: DetectionPredictor, awkward: Path) -> None:
    out = results_folder.save_detections(
        [model.predict(tiny_detector.scene(SQUARES))], awkward / "out", label_format="yolo"
    ).folder
    assert sorted(path.name for path in out.iterdir()) == ["detections.csv", "detections.json"]
    assert len((out / "detections.csv").read_text().splitlines()) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_names_that_are_not_text_are_kept(model: DetectionPredictor, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with open(os.fsencode(tmp_path) + b"/in/ca\xf1a.png", "wb") as stream:
        stream.write(images.encode_png(tiny_detector.scene(SQUARES)))
    saved = results_folder.save_detections(list(model.predict_many(tmp_path / "in")), tmp_path / "out", "yolo")
    assert [path.name for path in (saved.folder / "pictures").iterdir()] == ["ca_xf1a.jpg"]
    assert len(lince.open(saved.folder / "yolo").objects) == len(SQUARES)


def test_a_classifier_has_no_boxes_to_write(tmp_path: Path) -> None:
    answer = lince.load(tiny_classifier.model_folder(tmp_path / "c")).predict(tiny_classifier.photo("red"))
    with pytest.raises(UsageError, match="no boxes"):
        save_answers([answer], tmp_path / "out", "yolo")
    assert (save_answers([answer], tmp_path / "out") / "predictions.csv").is_file()


def test_predicting_does_not_load_what_writes_labels() -> None:
    code = "import sys, lince.cli.predict\nprint([name for name in ('lince.formats', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("to", FORMATS.list_writable(boxes_only=True))
def test_what_was_found_comes_back_from_every_format(
    answers: list[DetectionResult | RejectedItem], awkward: Path, to: str
) -> None:
    saved = results_folder.save_detections(answers, awkward / "out", to)
    back = lince.open(saved.folder / to)
    expected = [one for one in answers if isinstance(one, DetectionResult)]
    assert bool(saved.losses) == (Capability.CLASSES not in FORMATS[to].capabilities)
    assert len(back) == len(expected)
    assert not back.rejected
    assert back.classes.names == (
        tiny_detector.NAMES if Capability.CLASSES in FORMATS[to].capabilities else tuple(sorted(tiny_detector.NAMES))
    )

    def rows(boxes: NDArray[np.float64], names: list[str]) -> list[tuple[str, list[float]]]:
        return sorted((name, np.round(box, 2).tolist()) for name, box in zip(names, boxes, strict=True))

    found_again = []
    for row in range(len(back)):
        span = back.objects.slice_of_image(row)
        names = [back.classes.names[number] for number in back.objects.class_ids[span]]
        size = back.images.read_image(row).shape[:2]
        found_again.append((size, rows(back.objects.boxes[span], names)))
    truth = []
    for one in expected:
        names = [one.classes.names[number] for number in one.detections.class_ids]
        truth.append((one.size, rows(one.detections.boxes, names)))
    assert [(size, len(marks)) for size, marks in sorted(found_again)] == [(s, len(m)) for s, m in sorted(truth)]
    for (_size, ours), (_same, theirs) in zip(sorted(found_again), sorted(truth), strict=True):
        for (name, box), (called, place) in zip(ours, theirs, strict=True):
            assert name == called
            np.testing.assert_allclose(box, place, atol=0.011)


# Drawing.


def test_a_picture_with_boxes_keeps_the_photo_and_its_size() -> None:
    photo = tiny_detector.scene([], 200, 300)
    before = photo.copy()
    ours = Detections(
        np.array([[20.0, 60, 120, 150], [140, 60, 290, 190.4], [0, 0, 300, 200]]),
        np.array([0, 1, 8], np.int32),
        np.array([0.9, 0.8, 0.7], np.float32),
    )
    shown = drawing.draw_detections(photo, ours, Classes(tuple("abcdefghi")))
    assert (photo == before).all()
    assert shown.shape == photo.shape
    assert (shown[100, 20] == get_class_colour(0)).all()
    assert (shown[100, 289] == get_class_colour(1)).all()
    assert (shown[90:140, 40:100] == photo[90:140, 40:100]).all()
    names = drawing.draw_detections(photo, ours, Classes(tuple("ábcdefghi")))
    assert (names != shown).any(), "accents are drawn"
    assert (drawing.draw_detections(photo, ours, Classes(tuple("abcdefghi")), ["1", "2", "3"]) != shown).any()


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.lists(st.tuples(*[st.floats(0, 90)] * 4, st.text(max_size=30)), max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_any_boxes_are_drawn_on_any_picture(
    height: int, width: int, rows: list[tuple[float, float, float, float, str]]
) -> None:
    sides = np.array([row[:4] for row in rows]).reshape(-1, 4)
    ours = Detections(np.sort(sides.reshape(-1, 2, 2), axis=1).reshape(-1, 4), np.zeros(len(rows), np.int32),
                      np.linspace(1, 0, len(rows), dtype=np.float32))  # fmt: skip
    shown = drawing.draw_detections(
        tiny_detector.scene([], height, width), ours, Classes(("x",)), [row[4] for row in rows]
    )
    assert shown.shape == (height, width, 3)


def test_names_stand_inside_the_picture_and_apart() -> None:
    corners = np.array([[280, 0, 299, 20], [285, 2, 299, 30], [0, 190, 30, 199], [100, 100, 150, 150]])
    tags = drawing._place_labels(tiny_detector.scene([], 200, 300), corners, ["a long name 90%"] * 4, 12)
    for left, top, right, bottom in tags:
        assert left >= 0 <= top
        assert right <= 300
        assert bottom <= 200
    for number, one in enumerate(tags):
        for other in tags[number + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


# The command line.


def test_the_command_says_what_is_on_each_photo(
    folder: Path, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    assert main(["predict", str(folder), photos.name]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[:4] == [
        "día 1/calle.jpg  1 rojo ñ 100%",
        "día 1/calle.png  1 rojo ñ 100%, 1 azul 100%",
        "día 1/nada.png  no objects",
        "día 2/calle.png  1 azul 100%",
    ]
    counted = "4 of 5 photos processed (files that are no photos: 1): 2 rojo ñ, 2 azul"
    assert lines[4:] == [counted, "no objects in 1 of them"]
    assert said.err.count("Skipped") == 2
    assert main(["predict", str(folder), f"{photos.name}/día 2/notes.txt"]) == 1


def test_the_command_writes_what_it_says(
    folder: Path, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    words = ["predict", str(folder), photos.name, "--json"]
    assert main([*words, "--save", "--to", "yolo", "--csv", "all.csv", "--threshold", "azul=1"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["counts"] == {"rojo ñ": 2}
    assert [Path(path).name for path in record["written"]] == [
        "all.csv", "crops", "detections.csv", "detections.json", "pictures", "sheet.jpg", "yolo",
    ]  # fmt: skip
    assert all(Path(path).exists() for path in record["written"])
    assert record["lost"] == []
    assert main([*words, "--save"]) == 0
    assert Path("answers2/pictures").is_dir()
    capsys.readouterr()
    assert main([*words, "--to", "csv-boxes"]) == 0
    assert len(lince.open(Path("answers3/csv-boxes"))) == 4
    assert [loss.startswith("classes lose their id") for loss in json.loads(capsys.readouterr().out)["lost"]] == [True]


def test_invalid_options_are_refused(
    folder: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    classifier = str(tiny_classifier.model_folder(tmp_path / "c"))
    for words in (
        [str(folder), photos.name, "--top", "2"],
        [str(folder), photos.name, "--truth", "names"],
        [str(folder), photos.name, "--threshold", "much"],
        [str(folder), photos.name, "--to", "idx"],
        [str(folder), photos.name, "--save", photos.name],
        [classifier, photos.name, "--threshold", "0.3"],
        [classifier, photos.name, "--to", "yolo"],
    ):
        assert main(["predict", *words]) == 2, words
    assert [path.name for path in Path().iterdir()] == [photos.name]


# Real photos and a published network.

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


@pytest.fixture
def published(shared: Path, awkward: Path) -> Path:
    """Return the published YOLOX-nano as a model folder with a fixed batch of one."""
    network = onnx.load(shared / "weights" / "yolox_nano.onnx")
    last = network.graph.output[0].name
    network.graph.node.append(onnx.helper.make_node("Identity", [last], ["raw"]))
    network.graph.output[0].name = "raw"
    (awkward / "nano").mkdir()
    onnx.save(network, awkward / "nano" / NETWORK_FILE)
    spec = PreprocessSpec(416, 416, "corner", "bgr", (0.0,) * 3, (1.0,) * 3)
    ModelCard(
        "detect", Classes(COCO), spec, "yolox_nano", "Apache-2.0", "published", decoder="yolox",
        detection_filter=DetectionFilter(0.4),
    ).save(awkward / "nano")  # fmt: skip
    return awkward / "nano"


def test_real_photos_from_file_to_labelled_set(shared: Path, published: Path, awkward: Path) -> None:
    model = lince.load(published)
    photos = sorted((shared / "data/hardhat/images/test").glob("*.jpg"))[:12]
    photos += sorted((shared / "data/raccoon/images").glob("*.jpg"))[:12]
    answers = list(model.predict_many(photos))
    assert len(answers) == 24
    for photo, one in zip(photos, answers, strict=True):
        same(one.detections, bare(model, photo))
    assert count_by_class(answers)["person"] > 15
    saved = results_folder.save_detections(answers, awkward / "out", "coco")
    back = lince.open(saved.folder / "coco")
    assert back.classes.names == COCO
    order = np.argsort([one.name.rpartition("/")[2] for one in answers])
    names = [back.images.get_name(row).rpartition("/")[2] for row in range(len(back))]
    for at, row in zip(order, np.argsort(names), strict=True):
        span = back.objects.slice_of_image(row)
        np.testing.assert_allclose(back.objects.boxes[span], answers[at].detections.boxes, atol=1e-6)
        assert back.objects.class_ids[span].tolist() == answers[at].detections.class_ids.tolist()
