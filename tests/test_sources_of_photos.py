"""A predictor takes a photo wherever it is, and its answers can be drawn, kept and tabulated."""

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

import finder
import lince
import tiny
from lince import images
from lince.annotations import Rejected
from lince.errors import DataError, ImageError, ModelError, UsageError
from lince.runtime import fetching
from lince.runtime.detection import Found
from lince.runtime.predictor import Prediction, Predictor


@pytest.fixture
def model(awkward: Path) -> Predictor:
    return lince.load(tiny.run_folder(awkward / "run"))


@pytest.fixture
def address() -> Iterator[str]:
    """A web server on the loopback that has one photo, a page that never ends, and a way round in a circle."""

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(
                {"/red.png": 200, "/endless": 200, "/round": 302, "/disk": 302}.get(self.path.partition("?")[0], 404)
            )
            self.send_header("Location", "file:///etc/hostname" if self.path == "/disk" else self.path)
            self.end_headers()
            if self.path.startswith("/red.png"):
                self.wfile.write(images.encode_png(tiny.photo("red")))
            while self.path == "/endless":
                self.wfile.write(bytes(2**16))

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

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


def test_a_photo_is_the_same_wherever_it_is(model: Predictor, awkward: Path) -> None:
    pixels = tiny.photo("red")
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


def test_grey_arrays_are_pictures_without_colour(model: Predictor) -> None:
    grey = tiny.photo("red")[..., 0]
    expected = model.predict(np.dstack([grey] * 3)).label.probabilities
    for one in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(model.predict(one).label.probabilities, expected)


def test_what_is_clear_is_white(model: Predictor) -> None:
    clear = np.zeros((20, 20, 4), np.uint8)
    white = np.full((20, 20, 3), 255, np.uint8)
    np.testing.assert_array_equal(model.look(clear).image, model.look(white).image)
    np.testing.assert_array_equal(model.look(Image.fromarray(clear)).image, model.look(white).image)


@pytest.mark.parametrize("what", [3, io.StringIO("text"), object(), np.zeros((2, 2, 3), np.float32)])
def test_what_is_no_photo_is_refused(model: Predictor, what: object) -> None:
    with pytest.raises(ImageError, match="is no "):
        model.predict(what)  # type: ignore[arg-type]


def test_a_generator_is_asked_no_further_than_needed(model: Predictor, awkward: Path) -> None:
    asked = []

    def photos() -> Iterator[object]:
        for number in range(1000):
            asked.append(number)
            yield b"nothing" if number == 1 else tiny.photo("red", seed=number)

    answers = model.predict_many(photos(), batch=4)
    first, second = next(answers), next(answers)
    answers.close()
    assert len(asked) <= 12
    assert isinstance(first, Prediction)
    assert (first.name, first.class_name, first.source) == ("#1", "red", None)
    assert isinstance(second, Rejected)
    assert second.path == "#2"


def test_many_of_any_kind(model: Predictor, awkward: Path) -> None:
    folder = awkward / "red"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(images.encode_png(tiny.photo("red", seed=number)))
    mixed = [folder, tiny.photo("blue"), str(folder / "missing.png"), Image.fromarray(tiny.photo("green"))]
    answers = list(model.predict_many(mixed))
    names = [one.class_name for one in answers if isinstance(one, Prediction)]
    assert names == ["red"] * 3 + ["blue", "green"]
    assert isinstance(answers[4], Rejected)
    assert [one.class_name for one in model.predict_many(np.stack([tiny.photo("red"), tiny.photo("blue")]))] == [
        "red",
        "blue",
    ]
    assert [one.class_name for one in model.predict_many(tiny.photo("green"))] == ["green"]
    with pytest.raises(DataError):
        model.predict_many(str(folder / "missing.png"))


def test_the_web_is_asked_only_where_that_is_allowed(awkward: Path, address: str) -> None:
    folder = tiny.run_folder(awkward / "run")
    with pytest.raises(ImageError, match="lies on the web"):
        lince.load(folder).predict(f"{address}/red.png")
    model = lince.load(folder, allow_urls=True)
    one = model.predict(f"{address}/red.png?key=secret")
    assert (one.class_name, one.path) == ("red", None)
    assert "secret" not in one.name
    assert one.plot().size
    (many,) = model.predict_many([f"{address}/red.png"])
    assert many.class_name == "red"


@pytest.mark.parametrize("page", ["missing", "round", "disk"])
def test_pages_that_are_no_photo_are_refused(model: Predictor, address: str, page: str) -> None:
    with pytest.raises(ImageError, match="cannot be had"):
        fetching.fetch(f"{address}/{page}", allowed=True)


def test_endless_answers_end(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LARGEST", 2**20)
    with pytest.raises(ImageError, match="larger than 1048576 bytes"):
        fetching.fetch(f"{address}/endless", allowed=True)
    monkeypatch.setattr(fetching, "LARGEST", 2**40)
    monkeypatch.setattr(fetching, "SECONDS", 0.2)
    with pytest.raises(ImageError, match="seconds"):
        fetching.fetch(f"{address}/endless", allowed=True)


def test_answers_are_kept_as_their_ending_says(model: Predictor, awkward: Path) -> None:
    one = model.predict(tiny.photo("red"))
    assert json.loads(one.save(awkward / "a.json").read_text("utf-8")) == one.to_dict()
    for ending in ("png", "jpg"):
        picture = images.read(one.save(awkward / f"a.{ending}"))
        assert picture.shape[0] > 360 > 0
    with pytest.raises(UsageError):
        one.save(awkward / "a.tiff")
    (other,) = model.predict_many([tiny.photo("red")])
    with pytest.raises(UsageError, match="was not kept"):
        other.plot()
    assert other.plot(tiny.photo("red")).size == one.plot().size


def test_tables(model: Predictor, awkward: Path) -> None:
    pytest.importorskip("pandas")
    table = model.predict(tiny.photo("red")).to_pandas()
    assert table["class"].tolist()[0] == "red"
    assert table["probability"].sum() == pytest.approx(1)


def test_what_was_found_is_drawn_and_tabulated(awkward: Path) -> None:
    model = lince.load(finder.model_folder(awkward / "finder"))
    photo = np.full((100, 150, 3), (90, 200, 90), np.uint8)
    photo[20:40, 60:90] = (255, 0, 0)
    one = model.predict(Image.fromarray(photo))
    assert isinstance(one, Found)
    assert one.plot().size == (150, 100)
    assert not np.array_equal(np.asarray(one.plot()), photo)
    assert json.loads(one.save(awkward / "a.json").read_text("utf-8")) == one.to_dict()
    with pytest.raises(DataError, match="has changed"):
        one.plot(photo[1:])
    with pytest.raises(ModelError, match="no embedding"):
        model.embed(photo)
    pytest.importorskip("pandas")
    table = one.to_pandas()
    assert table["class"].tolist() == ["rojo ñ"] * len(one.detections) != []
    assert table.loc[0, "left"] == pytest.approx(one.detections.boxes[0, 0], abs=1e-3)


def test_embeddings(model: Predictor) -> None:
    photos = [tiny.photo(name, seed=3) for name in ("red", "green", "blue")]
    rows = model.embed_many(photos)
    assert rows.shape == (3, 3)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[1], model.embed(photos[1]), rtol=1e-6)
    with pytest.raises(ImageError, match="#2"):
        model.embed_many([photos[0], b"nothing"])
