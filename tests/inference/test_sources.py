"""Prediction sources: paths, bytes, arrays and addresses; results can be drawn, saved and tabulated."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support import tiny_classifier, tiny_detector

import lince
from lince import images
from lince.annotations import RejectedItem
from lince.errors import DataError, ImageError, ModelError, UsageError
from lince.inference import http_image
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.classification.result import ClassificationResult
from lince.inference.detection.result import DetectionResult


@pytest.fixture
def model(awkward: Path) -> ClassificationPredictor:
    return lince.load(tiny_classifier.run_folder(awkward / "run"))


@pytest.fixture
def address() -> Iterator[str]:
    """Return the address of a local web server with one photo, an endless response, and a redirect loop."""

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(
                {"/red.png": 200, "/endless": 200, "/round": 302, "/disk": 302}.get(self.path.partition("?")[0], 404)
            )
            self.send_header("Location", "file:///etc/hostname" if self.path == "/disk" else self.path)
            self.end_headers()
            if self.path.startswith("/red.png"):
                self.wfile.write(images.encode_png(tiny_classifier.photo("red")))
            while self.path == "/endless":
                self.wfile.write(bytes(2**16))

        def log_message(self, *_words: object) -> None:
            """Write no log."""

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_photo_is_the_same_wherever_it_is(model: ClassificationPredictor, awkward: Path) -> None:
    pixels = tiny_classifier.photo("red")
    data = images.encode_png(pixels)
    path = awkward / "foto ñ.png"
    path.write_bytes(data)
    expected = model.predict(path)
    with open(path, "rb") as stream:
        opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        others = [
            model.predict(one)
            for one in (data, bytearray(data), memoryview(data), io.BytesIO(data), stream, pixels, str(path),
                        Image.open(path), Image.fromarray(pixels), opaque)
        ]  # fmt: skip
    for other in others:
        np.testing.assert_array_equal(other.label.probabilities, expected.label.probabilities)


def test_grey_arrays_are_pictures_without_colour(model: ClassificationPredictor) -> None:
    grey = tiny_classifier.photo("red")[..., 0]
    expected = model.predict(np.dstack([grey] * 3)).label.probabilities
    for one in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(model.predict(one).label.probabilities, expected)


def test_what_is_clear_is_white(model: ClassificationPredictor) -> None:
    clear = np.zeros((20, 20, 4), np.uint8)
    white = np.full((20, 20, 3), 255, np.uint8)
    np.testing.assert_array_equal(model.prepare(clear).image, model.prepare(white).image)
    np.testing.assert_array_equal(model.prepare(Image.fromarray(clear)).image, model.prepare(white).image)


@pytest.mark.parametrize("what", [3, io.StringIO("text"), object(), np.zeros((2, 2, 3), np.float32)])
def test_what_is_no_photo_is_refused(model: ClassificationPredictor, what: object) -> None:
    with pytest.raises(ImageError, match="is not a"):
        model.predict(what)  # type: ignore[arg-type]


def test_a_generator_is_asked_no_further_than_needed(model: ClassificationPredictor, awkward: Path) -> None:
    asked = []

    def photos() -> Iterator[object]:
        for number in range(1000):
            asked.append(number)
            yield b"nothing" if number == 1 else tiny_classifier.photo("red", seed=number)

    answers = model.predict_many(photos(), batch=4)
    first, second = next(answers), next(answers)
    answers.close()
    assert len(asked) <= 12
    assert isinstance(first, ClassificationResult)
    assert (first.name, first.class_name, first.source) == ("#1", "red", None)
    assert isinstance(second, RejectedItem)
    assert second.path == "#2"


def test_many_of_any_kind(model: ClassificationPredictor, awkward: Path) -> None:
    folder = awkward / "red"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(images.encode_png(tiny_classifier.photo("red", seed=number)))
    mixed = [
        folder,
        tiny_classifier.photo("blue"),
        str(folder / "missing.png"),
        Image.fromarray(tiny_classifier.photo("green")),
    ]
    answers = list(model.predict_many(mixed))
    names = [one.class_name for one in answers if isinstance(one, ClassificationResult)]
    assert names == ["red"] * 3 + ["blue", "green"]
    assert isinstance(answers[4], RejectedItem)
    assert [
        one.class_name
        for one in model.predict_many(np.stack([tiny_classifier.photo("red"), tiny_classifier.photo("blue")]))
    ] == [
        "red",
        "blue",
    ]
    assert [one.class_name for one in model.predict_many(tiny_classifier.photo("green"))] == ["green"]
    with pytest.raises(DataError):
        model.predict_many(str(folder / "missing.png"))


def test_addresses_are_fetched_only_where_allowed(awkward: Path, address: str) -> None:
    folder = tiny_classifier.run_folder(awkward / "run")
    with pytest.raises(ImageError, match="is a web address"):
        lince.load(folder).predict(f"{address}/red.png")
    model = lince.load(folder, allow_urls=True)
    one = model.predict(f"{address}/red.png?key=secret")
    assert (one.class_name, one.path) == ("red", None)
    assert "secret" not in one.name
    assert one.plot().size
    (many,) = model.predict_many([f"{address}/red.png"])
    assert many.class_name == "red"


@pytest.mark.parametrize("page", ["missing", "round", "disk"])
def test_pages_that_are_no_photo_are_refused(model: ClassificationPredictor, address: str, page: str) -> None:
    with pytest.raises(ImageError, match="cannot be downloaded"):
        http_image.download_image(f"{address}/{page}", allowed=True)


def test_endless_responses_are_cut_off(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_image, "MAX_IMAGE_BYTES", 2**20)
    with pytest.raises(ImageError, match="larger than 1048576 bytes"):
        http_image.download_image(f"{address}/endless", allowed=True)
    monkeypatch.setattr(http_image, "MAX_IMAGE_BYTES", 2**40)
    monkeypatch.setattr(http_image, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(ImageError, match="seconds"):
        http_image.download_image(f"{address}/endless", allowed=True)


def test_answers_are_kept_as_their_ending_says(model: ClassificationPredictor, awkward: Path) -> None:
    one = model.predict(tiny_classifier.photo("red"))
    assert json.loads(one.save(awkward / "a.json").read_text("utf-8")) == one.to_dict()
    for ending in ("png", "jpg"):
        picture = images.read_image(one.save(awkward / f"a.{ending}"))
        assert picture.shape[0] > 360 > 0
    with pytest.raises(UsageError):
        one.save(awkward / "a.tiff")
    (other,) = model.predict_many([tiny_classifier.photo("red")])
    with pytest.raises(UsageError, match="was not kept"):
        other.plot()
    assert other.plot(tiny_classifier.photo("red")).size == one.plot().size


def test_tables(model: ClassificationPredictor, awkward: Path) -> None:
    pytest.importorskip("pandas")
    table = model.predict(tiny_classifier.photo("red")).to_pandas()
    assert table["class"].tolist()[0] == "red"
    assert table["probability"].sum() == pytest.approx(1)


def test_what_was_found_is_drawn_and_tabulated(awkward: Path) -> None:
    model = lince.load(tiny_detector.model_folder(awkward / "finder"))
    photo = np.full((100, 150, 3), (90, 200, 90), np.uint8)
    photo[20:40, 60:90] = (255, 0, 0)
    one = model.predict(Image.fromarray(photo))
    assert isinstance(one, DetectionResult)
    assert one.plot().size == (150, 100)
    assert not np.array_equal(np.asarray(one.plot()), photo)
    assert json.loads(one.save(awkward / "a.json").read_text("utf-8")) == one.to_dict()
    with pytest.raises(DataError, match="has changed"):
        one.plot(photo[1:])
    with pytest.raises(ModelError, match="does not provide image embeddings"):
        model.embed(photo)
    pytest.importorskip("pandas")
    table = one.to_pandas()
    assert table["class"].tolist() == ["rojo ñ"] * len(one.detections) != []
    assert table.loc[0, "left"] == pytest.approx(one.detections.boxes[0, 0], abs=1e-3)


def test_embeddings(model: ClassificationPredictor) -> None:
    photos = [tiny_classifier.photo(name, seed=3) for name in ("red", "green", "blue")]
    rows = model.embed_many(photos)
    assert rows.shape == (3, 3)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[1], model.embed(photos[1]), rtol=1e-6)
    with pytest.raises(ImageError, match="#2"):
        model.embed_many([photos[0], b"nothing"])
