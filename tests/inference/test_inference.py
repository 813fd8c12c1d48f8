"""Classification prediction: equals its parts, survives broken files, and reports faults of a model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import tiny_classifier

from lince import images, postprocess, preprocess
from lince.annotations import Classes, RejectedItem
from lince.errors import DataError, ImageError, ModelError, UsageError
from lince.inference import sources
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.classification import predictor
from lince.inference.classification.result import ClassificationResult
from lince.model_card import NETWORK_FILE, ModelCard
from lince.storage import scan


@pytest.fixture
def photos(awkward: Path) -> Path:
    """Return two class folders of photos that a model can distinguish, a broken photo and a text file."""
    folder = awkward / "fotos ñ"
    for number in range(12):
        for name in ("red", "blue"):
            path = folder / name / f"{name} {number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(images.encode_png(tiny_classifier.photo(name, 30 + number, 50 - number, number)))
    whole = (folder / "red" / "red 3.png").read_bytes()
    (folder / "red" / "red 3.png").write_bytes(whole[: len(whole) // 2])
    (folder / "blue" / "notes.mat").write_bytes(b"MATLAB 5.0 and no image at all, whatever comes after it")
    (folder / "blue" / ".hidden.png").write_bytes(whole)
    (folder / "blue" / "Thumbs.db").write_bytes(b"x")
    return folder


@pytest.fixture
def model(awkward: Path) -> predictor.ClassificationPredictor:
    return predictor.load_classifier(tiny_classifier.run_folder(awkward / "runs" / "train"))


def by_hand(model: predictor.ClassificationPredictor, path: Path) -> np.ndarray:
    spec = model.card.preprocess
    batch = preprocess.preprocess_images([images.read_image(path, min_size=(spec.height, spec.width))], spec)
    return postprocess.softmax(model.backend.run(batch, ["logits"])[0])[0]


def test_a_prediction_is_preparation_network_and_decoding(
    model: predictor.ClassificationPredictor, photos: Path
) -> None:
    path = photos / "red" / "red 0.png"
    one = model.predict(path)
    np.testing.assert_array_equal(one.label.probabilities, by_hand(model, path))
    assert (one.class_name, one.path, one.is_correct) == ("red", str(path), None)
    assert 0.5 < one.label.score <= 1
    np.testing.assert_array_equal(model.predict(path.read_bytes()).label.probabilities, one.label.probabilities)
    np.testing.assert_array_equal(model.predict(images.read_image(path)).label.probabilities, one.label.probabilities)


def test_large_jpegs_are_read_as_evaluation_reads_them(
    model: predictor.ClassificationPredictor, tmp_path: Path
) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(images.encode_jpeg(tiny_classifier.photo("green", 600, 800)))
    np.testing.assert_array_equal(model.predict(path).label.probabilities, by_hand(model, path))
    assert model.predict(path).class_name == "green"


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_many_photos_keep_their_order_and_lose_none(
    model: predictor.ClassificationPredictor, photos: Path, batch: int
) -> None:
    answers = list(model.predict_many(photos, batch=batch))
    expected = [f"{name}/{name} {number}.png" for name in ("blue", "red") for number in range(12)]
    expected.insert(12, "blue/notes.mat")
    assert [a.path if isinstance(a, RejectedItem) else a.name for a in answers] == expected
    rejected = [a for a in answers if isinstance(a, RejectedItem)]
    assert [a.path for a in rejected] == ["blue/notes.mat", "red/red 3.png"]
    assert all(a.reason and str(photos) not in a.reason for a in rejected)
    for answer in answers:
        if isinstance(answer, ClassificationResult):
            np.testing.assert_allclose(answer.label.probabilities, by_hand(model, Path(answer.path)), atol=1e-6)
            assert answer.truth_name == answer.name.split("/")[0] == answer.class_name
            assert answer.is_correct


def test_an_abandoned_iteration_stops_its_threads(model: predictor.ClassificationPredictor, photos: Path) -> None:
    answers = model.predict_many([photos] * 3, batch=2)
    assert isinstance(next(answers), ClassificationResult)
    answers.close()
    assert list(answers) == []


def test_memory_stays_bounded(
    model: predictor.ClassificationPredictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    look = model.prepare_or_reject
    monkeypatch.setattr(model, "prepare_or_reject", lambda photo: looked.append(photo) or look(photo))
    answers = model.predict_many(photos, batch=2)
    next(answers)
    assert len(looked) <= 6
    answers.close()


def test_a_record_of_a_prediction(model: predictor.ClassificationPredictor, photos: Path) -> None:
    answer = next(a for a in model.predict_many(photos) if isinstance(a, ClassificationResult))
    record = answer.to_dict(top=2)
    assert record["class"] == record["truth"] == record["classes"][0]["name"] == "blue"
    assert record["right"] is True
    assert len(record["classes"]) == 2
    assert record["probability"] == record["classes"][0]["probability"] == pytest.approx(answer.label.score)
    assert "truth" not in model.predict(photos / "red" / "red 1.png").to_dict()


def test_embeddings_and_logits(model: predictor.ClassificationPredictor) -> None:
    batch = preprocess.preprocess_images(
        [tiny_classifier.photo("red"), tiny_classifier.photo("blue")], model.card.preprocess
    )
    seen = [model.prepare(tiny_classifier.photo("red")), model.prepare(tiny_classifier.photo("blue"))]
    np.testing.assert_allclose(model.embed_prepared(seen), batch.mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_allclose(
        model.predict_logits(batch), batch.mean(axis=(2, 3)) @ tiny_classifier.WEIGHT.T, rtol=1e-5
    )


def test_one_unreadable_photo_is_an_error(model: predictor.ClassificationPredictor, photos: Path) -> None:
    for path in (photos / "red" / "red 3.png", photos / "none.png"):
        with pytest.raises(ImageError):
            model.predict(path)


def test_sources(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    names = [photo.name for photo in sources.find_images(["red/red 2.png", "blue/*.mat", "red/red 2.png"])]
    assert names == ["red/red 2.png", "blue/notes.mat"]
    assert [photo.name for photo in sources.find_images("red")][:3] == ["red 0.png", "red 1.png", "red 2.png"]
    assert [photo.name for photo in sources.find_images("red")][-1] == "red 11.png"
    assert len(sources.find_images("**/*.png")) == 24
    (photos / "[odd].png").write_bytes(b"x")
    assert [photo.name for photo in sources.find_images("[odd].png")] == ["[odd].png"]
    for nothing in ("none.png", "*.gif"):
        with pytest.raises(DataError, match="nothing at"):
            sources.find_images(nothing)
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="no photo"):
        sources.find_images(photos / "empty")


def test_folders_that_link_in_circles_end(photos: Path) -> None:
    os.symlink(photos, photos / "red" / "again", target_is_directory=True)
    assert len(sources.find_images(photos)) == 25


def test_truth_from_file_names() -> None:
    classes = Classes(("Abyssinian", "american_bulldog", "american", "1"))
    names = {
        "Abyssinian_12.jpg": 0,
        "american_bulldog_3.jpg": 1,
        "american-3.jpg": 2,
        "Abyssinians_1.jpg": None,
        "1.png": 3,
    }
    found = sources.infer_true_classes([sources.ImageItem(name, name) for name in names], classes, "names")
    assert found == list(names.values())
    with pytest.raises(UsageError):
        sources.infer_true_classes([], classes, "guess")


@given(st.lists(st.text(max_size=8)))
@settings(max_examples=50)
def test_natural_order_is_a_total_order(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=scan.natural_sort_key) == sorted(backwards, key=scan.natural_sort_key)


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_names_that_are_not_text(model: predictor.ClassificationPredictor, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    path = os.fsencode(tmp_path) + b"/photos/ca\xf1a.png"
    with open(path, "wb") as stream:
        stream.write(images.encode_png(tiny_classifier.photo("red")))
    [answer] = model.predict_many(tmp_path / "photos")
    assert isinstance(answer, ClassificationResult)
    assert answer.name == "ca\\xf1a.png"
    assert answer.class_name == "red"


@pytest.mark.parametrize("damage", [b"", b"not a network", None])
def test_a_damaged_network_says_so(awkward: Path, damage: bytes | None) -> None:
    folder = tiny_classifier.model_folder(awkward / "model")
    whole = (folder / NETWORK_FILE).read_bytes()
    (folder / NETWORK_FILE).write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(ModelError, match="truncated") as error:
        predictor.load_classifier(folder)
    assert "Copy the model folder again" in error.value.remedy


def test_missing_models(awkward: Path) -> None:
    with pytest.raises(ModelError, match="no folder"):
        predictor.load_classifier(awkward / "none")
    with pytest.raises(ModelError, match="no model in"):
        predictor.load_classifier(awkward)
    (awkward / "config.toml").write_text("")
    with pytest.raises(ModelError, match=r"lince\.resume"):
        predictor.load_classifier(awkward)
    folder = tiny_classifier.model_folder(awkward / "model")
    (folder / NETWORK_FILE).unlink()
    with pytest.raises(ModelError, match="no network file"):
        predictor.load_classifier(folder)


def test_a_foreign_network_is_refused(tmp_path: Path) -> None:
    folder = tiny_classifier.model_folder(tmp_path / "a")
    tiny_classifier.card(size=32).save(folder)
    with pytest.raises(ModelError, match="does not match"):
        predictor.load_classifier(folder)
    session = OnnxRuntimeBackend(folder / NETWORK_FILE)
    with pytest.raises(ModelError, match="no output called boxes"):
        session.run(np.zeros((1, 3, 16, 16), np.float32), ["boxes"])
    with pytest.raises(ModelError, match="lince cannot use the network"):
        session.run(np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(ModelError, match="lince cannot use the network"):
        session.run(np.zeros((1, 3, 16, 16), np.float64))
    two = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["a", "b"], ["logits"])],
        "two",
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"],
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1])],
    )
    imports = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(two, opset_imports=imports, ir_version=9), tmp_path / "two.onnx")
    with pytest.raises(ModelError, match="2 inputs"):
        OnnxRuntimeBackend(tmp_path / "two.onnx")


def test_the_network_file_is_accepted_as_the_model_path(tmp_path: Path) -> None:
    folder = tiny_classifier.model_folder(tmp_path)
    assert predictor.load_classifier(folder / NETWORK_FILE).card == ModelCard.load(folder)


def test_measured_milliseconds(tmp_path: Path) -> None:
    session = OnnxRuntimeBackend(tiny_classifier.model_folder(tmp_path) / NETWORK_FILE, threads=1)
    assert session.measure((4, 3, 16, 16), seconds=0.02) > 0


def test_prediction_loads_no_torch(awkward: Path, photos: Path) -> None:
    code = (
        "import sys\nfrom lince.inference.classification import predictor\n"
        f"model = predictor.load_classifier({str(tiny_classifier.run_folder(awkward / 'r'))!r})\n"
        f"print(len(list(model.predict_many({str(photos)!r}))))\n"
        "heavy = {'torch', 'timm', 'lightning_fabric', 'torchvision', 'transformers', 'onnx'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "25", "")
