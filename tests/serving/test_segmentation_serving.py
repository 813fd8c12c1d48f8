"""Segmentation models in the HTTP API: class maps, run lengths, outlines, corrections, and their description."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.support import tiny_classifier, tiny_segmenter

import lince
from lince import images, rle
from lince.class_maps import draw_class_map
from lince.formats.masks import png
from lince.serving.app import create_app
from lince.serving.model_registry import ModelRegistry
from lince.serving.prometheus import ServerMetrics
from lince.serving.segmentation.records import Record
from lince.serving.settings import ServerSettings

PHOTO = images.encode_png(tiny_segmenter.photo(("red", 8, 16, 48, 48), ("blue", 64, 32, 96, 64), height=80, width=120))
EMPTY = images.encode_png(tiny_segmenter.photo())


@pytest.fixture
def client(awkward: Path) -> Iterator[TestClient]:
    settings = ServerSettings(corrections_folder=awkward / "kept")
    models = ModelRegistry(settings, ServerMetrics())
    models.add(tiny_segmenter.model_folder(awkward / "model"), "areas")
    with TestClient(create_app(models, settings), base_url="http://127.0.0.1:8000") as one:
        yield one


def predict(client: TestClient, photo: bytes, **options: object) -> dict:
    answer = client.post("/v1/predict", content=photo, params=options)
    assert answer.status_code == 200, answer.text
    (record,) = answer.json()["predictions"]
    Record.model_validate(record)
    return record


def read_map(record: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(record["class_map"]))))


def encode_map(class_map: np.ndarray) -> str:
    return base64.b64encode(png.encode_mask_png(class_map)).decode("ascii")


def correct(client: TestClient, photo: bytes, **fields: str) -> tuple[int, dict]:
    answer = client.post("/v1/corrections", files={"image": ("a.png", photo)}, data=fields)
    return answer.status_code, answer.json()


def test_a_record_has_the_class_map_of_the_predictor(client: TestClient, awkward: Path) -> None:
    record = predict(client, PHOTO)
    result = lince.load(awkward / "model").predict(PHOTO)
    np.testing.assert_array_equal(read_map(record), result.class_map)
    assert {**record, "file": "", "class_map": 0} == {**result.to_dict(), "file": "", "class_map": 0}
    assert [one["class"] for one in record["classes"]] == ["red", "blue"]
    assert predict(client, EMPTY)["classes"] == []
    assert not read_map(predict(client, EMPTY)).any()


def test_run_lengths_and_outlines_are_the_same_pixels(client: TestClient) -> None:
    class_map = read_map(predict(client, PHOTO))
    runs, outlines = predict(client, PHOTO, outline=0), predict(client, PHOTO, outline=1)
    assert "class_map" not in runs | outlines
    for name, one, other in zip(("red", "blue"), runs["classes"], outlines["classes"], strict=True):
        expected = class_map == 1 + tiny_segmenter.NAMES.index(name)
        assert one["mask"]["size"] == [80, 120]
        np.testing.assert_array_equal(rle.decode(one["mask"]["counts"], 80, 120), expected)
        rings = [np.array(ring) for ring in other["outline"]]
        np.testing.assert_array_equal(rle.counts_to_mask(rle.polygons_to_counts(rings, 80, 120), 80, 120), expected)
    (largest,) = predict(client, PHOTO, top=1, outline=1)["classes"]
    assert largest == outlines["classes"][0]


def test_options_of_another_form_or_task_are_refused(client: TestClient) -> None:
    for options in ({"outline": 2}, {"outline": "yes"}, {"threshold": 0.5}):
        assert client.post("/v1/predict", content=PHOTO, params=options).status_code == 422


def test_the_description_names_the_schemas(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["models"]
    assert (model["task"], model["thresholds"]) == ("segment", None)
    document = client.get("/openapi.json").json()
    assert {"SegmentationRecord", "SegmentedRegion", "RunLengthMask"} <= document["components"]["schemas"].keys()
    assert "outline" in str(document["paths"]["/v1/predict"])


def test_several_photos_and_one_that_cannot_be_read_are_answered(client: TestClient) -> None:
    files = [("image", ("a.png", PHOTO)), ("image", ("b.png", b"no image")), ("image", ("c.png", EMPTY))]
    first, second, third = client.post("/v1/predict", files=files).json()["predictions"]
    assert (first["file"], third["file"]) == ("a.png", "c.png")
    assert second["error"]["code"]
    assert read_map(first).shape == (80, 120)
    assert client.post("/v1/predict", content=b"no image").status_code == 415


def test_a_correction_is_a_label_of_the_next_training(client: TestClient, awkward: Path) -> None:
    class_map = read_map(predict(client, PHOTO)).copy()
    class_map[0:5] = 255
    assert correct(client, PHOTO, class_map=encode_map(class_map)) == (201, {"saved": True})
    assert correct(client, PHOTO, class_map=encode_map(class_map)) == (200, {"saved": False})
    colour = io.BytesIO()
    Image.fromarray(np.dstack([np.zeros((64, 96), np.uint8)] * 3)).save(colour, "PNG")  # as a canvas of a browser
    assert correct(client, EMPTY, class_map=base64.b64encode(colour.getvalue()).decode())[0] == 201
    data = lince.open(awkward / "kept")
    assert data.classes.names == tiny_segmenter.NAMES
    found = {}
    for row in range(len(data)):
        size = data.images.read_size(row)
        void = data.void_masks[row] if data.void_masks is not None else ""
        found[data.images.read_bytes(row)] = draw_class_map(data.objects, row, size, void)
    np.testing.assert_array_equal(found[PHOTO], class_map)
    assert not found[EMPTY].any()
    assert lince.tasks.resolve_task(data).name == "segment"
    class_map[40:50] = 2
    assert correct(client, PHOTO, class_map=encode_map(class_map)) == (201, {"saved": True})
    assert len(list((awkward / "kept" / "masks").iterdir())) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        base64.b64encode(b"no png").decode(),
        encode_map(np.zeros((80, 119), np.uint8)),
        encode_map(np.full((80, 120), 4, np.uint8)),
        base64.b64encode(images.encode_png(np.full((80, 120, 3), (0, 1, 0), np.uint8))).decode(),
        base64.b64encode(png.encode_mask_png(np.zeros((80, 120), np.uint8))[:45]).decode(),
    ],
    ids=["empty", "text", "no-png", "size", "value", "colours", "cut"],
)
def test_a_correction_of_another_form_is_refused(client: TestClient, awkward: Path, text: str) -> None:
    status, body = correct(client, PHOTO, class_map=text)
    assert (status, body["error"]["code"]) == (422, "bad-class-map")
    assert not (awkward / "kept").exists()
    assert correct(client, PHOTO)[0] == 422


def test_corrections_of_a_model_with_other_classes_are_kept_apart(client: TestClient, awkward: Path) -> None:
    (awkward / "kept").mkdir()
    (awkward / "kept" / "labelmap.txt").write_text("other:1,2,3::\n", "utf-8")
    assert correct(client, PHOTO, class_map=encode_map(np.zeros((80, 120), np.uint8)))[0] == 409


def test_models_of_several_tasks_are_served_together(awkward: Path) -> None:
    settings = ServerSettings()
    models = ModelRegistry(settings, ServerMetrics())
    models.add(tiny_segmenter.model_folder(awkward / "a"), "areas")
    models.add(tiny_classifier.model_folder(awkward / "b"), "one")
    with TestClient(create_app(models, settings), base_url="http://127.0.0.1:8000") as client:
        assert client.post("/v1/predict?model=one&outline=1", content=PHOTO).status_code == 422
        assert client.post("/v1/predict?model=areas&outline=1", content=PHOTO).status_code == 200
