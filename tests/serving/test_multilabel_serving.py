"""Multilabel models in the HTTP API: records, options, corrections, and their description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.support import tiny_classifier, tiny_multilabel

import lince
from lince import images
from lince.serving.app import create_app
from lince.serving.model_registry import ModelRegistry
from lince.serving.multilabel.records import Record
from lince.serving.prometheus import ServerMetrics
from lince.serving.settings import ServerSettings

YELLOW = images.encode_png(tiny_multilabel.photo("red", "green"))
NOTHING = images.encode_png(tiny_multilabel.photo())


@pytest.fixture
def client(awkward: Path) -> Iterator[TestClient]:
    settings = ServerSettings(corrections_folder=awkward / "kept")
    models = ModelRegistry(settings, ServerMetrics())
    models.add(tiny_multilabel.model_folder(awkward / "model"), "colours")
    with TestClient(create_app(models, settings), base_url="http://127.0.0.1:8000") as one:
        yield one


def predict(client: TestClient, photo: bytes, **options: object) -> dict:
    answer = client.post("/v1/predict", content=photo, params=options)
    assert answer.status_code == 200, answer.text
    (record,) = answer.json()["predictions"]
    Record.model_validate(record)
    return record


def correct(client: TestClient, photo: bytes, **fields: str) -> tuple[int, dict]:
    answer = client.post("/v1/corrections", files={"image": ("a.png", photo)}, data=fields)
    return answer.status_code, answer.json()


def test_a_record_says_all_classes_and_is_that_of_the_predictor(client: TestClient, awkward: Path) -> None:
    record = predict(client, YELLOW)
    assert set(record["said"]) == {"red", "green"}
    assert [one["name"] for one in record["classes"] if one["said"]] == record["said"]
    expected = lince.load(awkward / "model").predict(YELLOW).to_dict()
    assert {**record, "file": ""} == {**expected, "file": ""}
    assert predict(client, NOTHING)["said"] == []


def test_the_options_top_and_threshold_are_understood(client: TestClient) -> None:
    assert len(predict(client, YELLOW, top=1)["classes"]) == 1
    assert len(predict(client, YELLOW, top=1)["said"]) == 2
    record = predict(client, NOTHING, threshold=0)
    assert len(record["said"]) == 3
    assert {one["threshold"] for one in record["classes"]} == {0}
    assert client.post("/v1/predict", content=YELLOW, params={"threshold": 2}).status_code == 422


def test_the_description_has_the_thresholds_of_the_classes(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["models"]
    assert (model["task"], tuple(model["thresholds"])) == ("multilabel", tiny_multilabel.THRESHOLDS)
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert {"MultilabelRecord", "LabelProbability"} <= schemas.keys()


def test_a_correction_is_a_label_of_the_next_training(client: TestClient, awkward: Path) -> None:
    assert correct(client, YELLOW, labels='["green", "red", "green"]') == (201, {"saved": True})
    assert correct(client, YELLOW, labels='["red", "green"]') == (200, {"saved": False})
    assert correct(client, NOTHING, labels="[]") == (201, {"saved": True})
    data = lince.open(awkward / "kept")
    assert data.label_sets is not None
    names = [[data.classes.names[one] for one in data.label_sets.get_class_ids(row)] for row in range(len(data))]
    assert sorted(names) == [[], ["green", "red"]]
    assert lince.tasks.resolve_task(data).name == "multilabel"


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ("", "bad-labels"),
        ("red", "bad-labels"),
        ('"red"', "bad-labels"),
        ('{"red": 1}', "bad-labels"),
        ("[1]", "bad-labels"),
        ("[" * 5000, "bad-labels"),
        ('["purple"]', "unknown-class"),
    ],
)
def test_a_correction_of_another_form_is_refused(client: TestClient, awkward: Path, labels: str, code: str) -> None:
    status, body = correct(client, YELLOW, labels=labels)
    assert (status, body["error"]["code"]) == (422, code)
    assert not (awkward / "kept").exists()
    assert correct(client, YELLOW)[0] == 422
    assert correct(client, YELLOW, label="red")[0] == 422


def test_models_of_several_tasks_are_served_together(awkward: Path) -> None:
    settings = ServerSettings(corrections_folder=awkward / "kept")
    models = ModelRegistry(settings, ServerMetrics())
    models.add(tiny_multilabel.model_folder(awkward / "a"), "several")
    models.add(tiny_classifier.model_folder(awkward / "b"), "one")
    with TestClient(create_app(models, settings), base_url="http://127.0.0.1:8000") as client:
        assert client.post("/v1/predict?model=one&threshold=0.5", content=YELLOW).status_code == 422
        assert client.post("/v1/predict?model=several&threshold=0.5", content=YELLOW).status_code == 200
        assert correct(client, YELLOW, model="several", labels='["red"]')[0] == 201
        assert correct(client, YELLOW, model="one", label="red")[0] == 201
    assert sorted(path.name for path in (awkward / "kept").iterdir()) == ["one", "several"]
