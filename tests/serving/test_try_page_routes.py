"""Try page routes: assets, drawings, corrections and refusals."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.support import digit_model, tiny_classifier, tiny_detector
from tests.support.server_process import server

from lince import images
from lince.inference import load
from lince.model_card import ModelCard
from lince.serving.digit_image import MNIST
from lince.tasks import list_tasks

LINE = [[[0.2, 0.1], [0.5, 0.9]], [[0.1, 0.5], [0.9, 0.5]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("niño ç")
    tiny_classifier.model_folder(folder / "colours")
    tiny_detector.model_folder(folder / "squares")
    digit_model.model_folder(folder / "digits", digit_model.weights(32))
    digit_model.model_folder(folder / "small", digit_model.weights(32))
    drawing = replace(MNIST, width=12, height=12, paper=255, ink=0, box=(10.0, 10.0), position=(6.0, 6.0), pen=1.5)
    replace(ModelCard.load(folder / "small"), drawing=drawing).save(folder / "small")
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    models = (folder / name for name in ("colours", "squares", "digits", "small"))
    with (
        server(*models, "--corrections", folder / "kept") as one,
        httpx.Client(base_url=one.url, trust_env=False, timeout=20) as client,
    ):
        yield client


def correct(client: httpx.Client, data: bytes, **fields: str) -> httpx.Response:
    return client.post("/v1/corrections", files={"image": ("../../a.png", data)}, data=fields)


def test_every_part_that_the_page_names_is_there_and_nothing_else(client: httpx.Client) -> None:
    page = client.get("/", headers={"Accept-Language": "pt-BR"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<html lang="pt">' in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r"\bon\w+=|style=|javascript:|https?://", page.text)
    seen: set[str] = set()
    waiting = re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)
    while waiting:
        name = waiting.pop()
        part = client.get(f"/{name}")
        assert part.status_code == 200
        assert "http://" not in part.text.replace("http://www.w3.org/2000/svg", "")
        again = client.get(f"/{name}", headers={"If-None-Match": part.headers["etag"]})
        assert again.status_code == 304
        seen.add(name)
        waiting += {f"page/{one}" for one in re.findall(r'from "\./([^"]+)"', part.text)} - seen
    assert {"page/main.js", "page/pad.js", "page/try.css", "page/style.css", "page/lince.svg"} <= seen
    for name in ("try.html.j2", "..%2Ftrying.py", "none.js", "../trying.py"):
        assert client.get(f"/page/{name}").status_code == 404


def test_every_task_of_the_server_has_a_renderer(client: httpx.Client) -> None:
    [table] = re.findall(r"export const renderers = \{(.*?)\};", client.get("/page/tasks.js").text, re.DOTALL)
    named = {entry.partition(":")[0].strip() for entry in table.split(",") if entry.strip()}
    assert named == {task.name for task in list_tasks() if task.has_part("http")}


def test_a_drawing_becomes_the_picture_that_every_client_can_ask_about(client: httpx.Client, folder: Path) -> None:
    png = client.post("/v1/drawing", json={"strokes": LINE})
    assert png.headers["content-type"] == "image/png"
    assert images.decode_image(png.content).shape == (28, 28, 3)
    raw = client.post("/v1/predict?model=digits", content=png.content).json()["predictions"][0]
    files = {"image": ("digit.png", png.content)}
    form = client.post("/v1/predict?model=digits", files=files).json()["predictions"][0]
    here = load.load(folder / "digits").predict(png.content).to_dict()
    for told in (raw, form):
        for one, other in zip(told["classes"], here["classes"], strict=True):
            assert one["name"] == other["name"]
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_a_drawing_is_prepared_as_the_card_of_the_named_model_says(client: httpx.Client, folder: Path) -> None:
    def draw(query: str) -> httpx.Response:
        return client.post(f"/v1/drawing{query}", json={"strokes": LINE})

    small = images.decode_image(draw("?model=small").content)
    assert small.shape == (12, 12, 3)
    assert small[0, 0, 0] == 255 > small.min() == 0  # dark on light
    for query in ("?model=digits", "?model=colours", ""):  # their cards do not say how, and none is named
        assert images.decode_image(draw(query).content).shape == (28, 28, 3)
    refused = draw("?model=none")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown-model")
    with (
        server(folder / "small") as one,
        httpx.Client(base_url=one.url, trust_env=False, timeout=20) as only,
    ):
        assert images.decode_image(only.post("/v1/drawing", json={"strokes": LINE}).content).shape == (12, 12, 3)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"no json", 400), (b"[" * 100_000, 400), (b"[]", 422), (b'{"strokes": []}', 422),
     (b'{"strokes": [[["1", 1]]]}', 422), (b'{"strokes": [[[false, 1]]]}', 422), (b'{"strokes": [[1, 1]]}', 422),
     (b'{"strokes": [[[NaN, 1]]]}', 422), (b'{"strokes": [[["a", 1]]]}', 422), (b'{"strokes": 1}', 422),
     (b'{"strokes": [[[0, 0], [1]]]}', 422), (b" " * (2 << 20), 413), (b"\xff\xfe", 400)],
)  # fmt: skip
def test_what_is_not_a_drawing_is_refused(client: httpx.Client, body: bytes, status: int) -> None:
    answer = client.post("/v1/drawing", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_correction_is_kept_under_its_model_and_class(client: httpx.Client, folder: Path) -> None:
    photo = images.encode_png(tiny_classifier.photo("red", seed=5))
    first = correct(client, photo, model="colours", label="green")
    again = correct(client, photo, model="colours", label="green")
    assert [(one.status_code, one.json()) for one in (first, again)] == [
        (201, {"saved": True}),
        (200, {"saved": False}),
    ]
    [kept] = (folder / "kept" / "colours").rglob("*.*")
    assert kept.parent.name == "green"
    assert re.fullmatch(r"[0-9a-f]{32}\.png", kept.name)
    assert kept.read_bytes() == photo


BOX = {"class": tiny_detector.NAMES[0], "box": [1, 1, 20, 20]}


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"model": "colours"}, 422), ({"model": "colours", "label": "purple"}, 422), ({"label": "red"}, 422),
     ({"model": "none", "label": "red"}, 404), ({"model": "colours", "label": "red", "path": "/etc"}, 422),
     ({"model": "squares"}, 422), ({"model": "squares", "objects": "x"}, 422),
     ({"model": "squares", "objects": "[1]"}, 422), ({"model": "squares", "objects": '[{"class": 1}]'}, 422),
     ({"model": "squares", "objects": json.dumps([{**BOX, "box": [1, 2, 3]}])}, 422),
     ({"model": "squares", "objects": json.dumps([{**BOX, "box": [20, 1, 1, 20]}])}, 422),
     ({"model": "squares", "objects": json.dumps([{**BOX, "box": ["1", 1, 20, 20]}])}, 422),
     ({"model": "squares", "objects": json.dumps([{**BOX, "box": [False, 1, 20, 20]}])}, 422),
     ({"model": "squares", "objects": json.dumps([{**BOX, "box": "1234"}])}, 422),
     ({"model": "squares", "objects": json.dumps([{**BOX, "box": [float("inf"), 1, 1, 20]}])}, 422),
     ({"model": "squares", "objects": json.dumps([{**BOX, "box": [900, 900, 950, 950]}])}, 422),
     ({"model": "squares", "objects": "[" * 50_000}, 422), ({"model": "squares", "objects": "[" * 300_000}, 422)],
)  # fmt: skip
def test_a_correction_that_says_nothing_right_is_refused(
    client: httpx.Client, folder: Path, fields: dict[str, Any], status: int
) -> None:
    before = sorted(folder.rglob("*"))
    answer = correct(client, images.encode_png(tiny_detector.scene([(0, 1, 1)])), **fields)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("data", [b"", b"no image", images.encode_png(np.zeros((9, 9, 3), np.uint8))[:60]])
def test_what_cannot_be_read_is_not_kept(client: httpx.Client, folder: Path, data: bytes) -> None:
    before = sorted(folder.rglob("*"))
    assert correct(client, data, model="colours", label="red").status_code in (415, 422)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("path", ["/v1/predict?model=colours", "/v1/drawing"])
def test_refusals_speak_the_language_of_the_page(client: httpx.Client, path: str) -> None:
    told = [client.post(path, content=b"x", headers={"Accept-Language": code}).json() for code in ("en", "es", "pt")]
    assert len({one["error"]["message"] for one in told}) == 3


def test_a_correction_has_one_photo(client: httpx.Client) -> None:
    files = [("image", (f"{i}.png", io.BytesIO(images.encode_png(tiny_classifier.photo("red"))))) for i in range(2)]
    answer = client.post("/v1/corrections", files=files, data={"model": "colours", "label": "red"})
    assert answer.status_code == 413
