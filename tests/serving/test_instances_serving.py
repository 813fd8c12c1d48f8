"""Objects with masks in the HTTP API: run lengths, outlines, thresholds, and their description."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient
from tests.support.foreign_masks import SAID, make_outputs, write_network

import lince
from lince import images, rle
from lince.model_card import NETWORK_FILE
from lince.serving.app import create_app
from lince.serving.instances.records import Record
from lince.serving.model_registry import ModelRegistry
from lince.serving.prometheus import ServerMetrics
from lince.serving.settings import ServerSettings

PHOTO = images.encode_png(np.full((64, 80, 3), 90, np.uint8))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("models") / "m"
    folder.mkdir()
    lince.load(write_network(folder / NETWORK_FILE, *make_outputs(1), SAID)).card.save(folder)
    settings = ServerSettings()
    models = ModelRegistry(settings, ServerMetrics())
    models.add(folder, "m")
    with TestClient(create_app(models, settings), base_url="http://127.0.0.1:8000") as found:
        yield found


def predict(client: TestClient, **options: Any) -> dict[str, Any]:
    answer = client.post("/v1/predict", json={"images": [base64.b64encode(PHOTO).decode()], **options})
    assert answer.status_code == 200, answer.text
    record: dict[str, Any] = answer.json()["predictions"][0]
    Record.model_validate(record)
    return record


def test_run_lengths_and_outlines_are_the_same_pixels(client: TestClient) -> None:
    runs, outlines = predict(client), predict(client, outline=1)
    assert predict(client, outline=0) == runs
    assert len(runs["objects"]) == len(outlines["objects"]) == 3
    for one, other in zip(runs["objects"], outlines["objects"], strict=True):
        mask = rle.decode(one["mask"]["counts"], *one["mask"]["size"])
        assert mask.shape == (64, 80)
        assert one["area"] == mask.sum()
        assert "mask" not in other
        rings = [np.array(ring) for ring in other["outline"]]
        np.testing.assert_array_equal(rle.counts_to_mask(rle.polygons_to_counts(rings, 64, 80), 64, 80), mask)


def test_a_threshold_leaves_objects_out_and_the_description_names_the_options(client: TestClient) -> None:
    assert len(predict(client, threshold=0.65)["objects"]) == 2
    assert client.post("/v1/predict", json={"images": [], "top": 2}).status_code == 422
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert {"InstancesRecord", "MaskedObject"} <= set(schemas)
