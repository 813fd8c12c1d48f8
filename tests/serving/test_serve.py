"""``lince serve``: HTTP results equal the predictor's, in a separate process."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import tiny_classifier, tiny_detector
from tests.support.server_process import Running, server, until

from lince import images
from lince.inference import load
from lince.inference.detection.predictor import DetectionPredictor

PNG = images.encode_png(tiny_classifier.photo("green"))
_SIZE = struct.pack(">II", 100_000, 100_000) + PNG[24:29]
BOMB = PNG[:16] + _SIZE + struct.pack(">I", zlib.crc32(b"IHDR" + _SIZE)) + PNG[33:]  # claims 100,000 x 100,000 pixels
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("niño ç")
    tiny_classifier.run_folder(folder / "colours")
    tiny_detector.model_folder(folder / "squares")
    with server(folder / "colours", folder / "squares") as one:
        yield one, folder


@pytest.fixture
def client(running: tuple[Running, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running[0].url, trust_env=False, timeout=20) as one:
        yield one


def test_the_health_and_readiness_endpoints_answer(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_a_form_is_answered_as_the_predictor_answers(client: httpx.Client, running: tuple[Running, Path]) -> None:
    photos = {name: images.encode_png(tiny_classifier.photo(name)) for name in ("red", "green", "blue")}
    files = [("images", (f"{name} ñ.png", data)) for name, data in photos.items()]
    answer = client.post("/v1/predict?model=colours", files=files)
    model = load.load(running[1] / "colours")
    expected = [
        one.to_dict()
        for one in model.predict_prepared([*map(model.prepare, photos.values())], [f"{n} ñ.png" for n in photos])
    ]
    assert answer.json() == {"model": "colours", "predictions": expected}
    assert [one["class"] for one in expected] == ["red", "green", "blue"]


def test_json_and_bare_bytes_get_the_same_answer(client: httpx.Client) -> None:
    data = images.encode_png(tiny_classifier.photo("green"))
    url = "/v1/predict?model=colours"
    form = client.post(url, files={"images": ("a.png", data)}).json()
    text = base64.b64encode(data).decode()
    sent = [{"name": "a.png", "data": text}, {"name": "a.png", "data": f"data:image/png;base64,{text}"}]
    as_json = client.post("/v1/predict", json={"images": sent, "model": "colours"}).json()
    assert as_json["predictions"] == form["predictions"] * 2
    bare = client.post(url, content=data, headers={"Content-Type": "image/png"}).json()
    assert bare["predictions"] == [{**form["predictions"][0], "file": "image-1"}]


def test_top_and_threshold(client: httpx.Client, running: tuple[Running, Path]) -> None:
    data = images.encode_png(tiny_classifier.photo("green"))
    answer = client.post("/v1/predict?top=2", files={"images": data}, data={"model": "colours"}).json()
    assert len(answer["predictions"][0]["classes"]) == 2
    scene = tiny_detector.scene([(0, 1, 1), (1, 5, 4)])
    model = load.load(running[1] / "squares")
    assert isinstance(model, DetectionPredictor)
    for threshold in (0.1, 0.98):
        answer = client.post(
            f"/v1/predict?model=squares&threshold={threshold}", files={"images": ("s.png", images.encode_png(scene))}
        ).json()
        expected = model.with_threshold(threshold).predict_prepared([model.prepare(scene)], ["s.png"])[0].to_dict()
        assert answer["predictions"] == [expected]


REFUSED = [
    ("/v1/predict", {"content": PNG}, 422, "which-model"),
    ("/v1/predict?model=other", {"content": PNG}, 404, "unknown-model"),
    ("/v1/predict?model=colours", {"content": b""}, 422, "no-images"),
    ("/v1/predict?model=colours", {"content": b"not an image"}, 415, "not-an-image"),
    ("/v1/predict?model=colours", {"content": PNG[:100]}, 422, "damaged-image"),
    ("/v1/predict?model=colours", {"content": BOMB}, 413, "too-many-pixels"),
    ("/v1/predict?model=colours&top=0", {"content": PNG}, 422, "bad-option"),
    ("/v1/predict?model=colours&top=3&top=4", {"content": PNG}, 422, "ambiguous-option"),
    ("/v1/predict?model=colours&tip=3", {"content": PNG}, 422, "unknown-option"),
    ("/v1/predict?model=colours&threshold=0.5", {"content": PNG}, 422, "useless-option"),
    ("/v1/predict?model=squares&threshold=nan", {"content": PNG}, 422, "bad-option"),
    ("/v1/predict?model=squares&top=3", {"content": PNG}, 422, "useless-option"),
    ("/v1/predict?model=colours", {"content": b"x", "headers": {"Content-Type": "text/html"}}, 415, "unsupported-type"),
    ("/v1/predict?model=colours", {"content": b"{", "headers": JSON}, 400, "bad-json"),
    ("/v1/predict?model=colours", {"content": b"[" * 100_000, "headers": JSON}, 400, "bad-json"),
    ("/v1/predict?model=colours", {"content": b'{"images": []}', "headers": JSON}, 422, "bad-json"),
    ("/v1/predict?model=colours", {"json": {"images": ["*"]}}, 422, "bad-base64"),
    ("/v1/predict?model=colours", {"json": {"images": [{"data": "", "path": "/etc/passwd"}]}}, 422, "bad-json"),
    (
        "/v1/predict?model=colours",
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "bad-form",
    ),
    ("/v1/predict?model=colours", {"files": [("images", PNG)] * 65}, 413, "too-many-images"),
    ("/v1/nothing", {"content": PNG}, 404, "not-found"),
    ("/healthz", {"content": b""}, 405, "wrong-method"),
]


@pytest.mark.parametrize(("url", "sent", "status", "code"), REFUSED, ids=[f"{row[3]}-{row[2]}" for row in REFUSED])
def test_refusals(client: httpx.Client, url: str, sent: dict[str, Any], status: int, code: str) -> None:
    answer = client.post(url, **sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"]


def test_one_bad_photo_leaves_the_others(client: httpx.Client) -> None:
    good = images.encode_png(tiny_classifier.photo("red"))
    files = [("images", ("../../a\u202e.png", good)), ("images", ("b.png", b"?")), ("images", ("", good[:90]))]
    records = client.post("/v1/predict?model=colours", files=files).json()["predictions"]
    assert records[0]["class"] == "red"
    assert [one["file"] for one in records[:2]] == ["a.png", "b.png"]
    assert records[1]["error"]["code"] == "not-an-image"


def test_a_body_over_the_limit_is_cut_off_and_the_client_hears_it(running: tuple[Running, Path]) -> None:
    """With a declared length and chunked: the answer comes long before the end of the body."""
    for head in (f"Content-Length: {10**12}", "Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", running[0].port), timeout=20) as link:
            link.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
            piece = b"100000\r\n" + b"\0" * (1 << 20) + b"\r\n"
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for _i in range(40):
                    link.sendall(piece)
            assert link.recv(100).startswith(b"HTTP/1.1 413")


def test_answers_are_in_the_clients_language(client: httpx.Client) -> None:
    for language, word in (("es-MX,en;q=0.5", "Nada hay"), ("pt", "Nada há"), ("xx", "nothing")):
        answer = client.get("/v1/nothing", headers={"Accept-Language": language})
        assert answer.status_code == 404
        if word == "nothing":
            assert word in answer.json()["error"]["message"]


def test_models_tell_what_they_are(client: httpx.Client) -> None:
    colours, squares = client.get("/v1/models").json()["models"]
    assert (colours["name"], colours["task"], colours["classes"]) == (
        "colours",
        "classify",
        list(tiny_classifier.NAMES),
    )
    assert colours["input"] == {"height": 16, "width": 16, "channels": "rgb", "resize": "squash"}
    assert (squares["task"], len(squares["thresholds"]), len(squares["colours"])) == ("detect", 2, 2)
    assert (squares["licence"], squares["precision"], squares["trouble"]) == ("Apache-2.0", "fp32", None)
    assert colours["bound_seconds"] >= 1


def test_every_answer_forbids_what_a_page_could_be_made_to_do(client: httpx.Client) -> None:
    for path in ("/healthz", "/v1/models", "/nowhere", "/docs"):
        headers = client.get(path, headers={"Origin": "https://elsewhere.example"}).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert not [name for name in headers if name.startswith("access-control")]


def test_other_names_and_other_sites_are_refused(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/healthz", headers={"Host": "localhost:1"}).status_code == 200
    post = client.post("/v1/predict", content=PNG, headers={"Origin": "https://elsewhere.example"})
    assert (post.status_code, post.json()["error"]["code"]) == (403, "wrong-origin")
    proxied = {"Origin": "https://proxy.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/v1/predict?model=colours", content=PNG, headers=proxied).status_code == 403
    proxied["Sec-Fetch-Site"] = "same-origin"
    assert client.post("/v1/predict?model=colours", content=PNG, headers=proxied).status_code == 200
    own = client.post("/v1/predict?model=colours", content=PNG, headers={"Origin": str(client.base_url)})
    assert own.status_code == 200


def test_counters_and_log_tell_figures_and_no_names(client: httpx.Client, running: tuple[Running, Path]) -> None:
    client.post("/v1/predict?model=colours", files={"images": ("secret ñ.png", PNG)})
    text = client.get("/metrics").text
    assert 'lince_requests_total{code="200",route="/v1/predict"}' in text
    assert 'lince_queue_images{model="colours"} 0.0' in text
    assert "lince_batch_images_bucket" in text
    assert "process_resident_memory_bytes" in text
    until(lambda: [one for one in running[0].records() if one.get("route") == "/metrics"])
    line = next(one for one in running[0].records() if one.get("images") == 1 and one["status"] == 200)
    assert set(line) == {"time", "level", "event", "id", "method", "route", "status", "ms", "images", "bytes"}
    assert not [one for one in running[0].log if "secret" in one or "Traceback" in one]


def test_the_interface_is_described_without_the_network(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert "/v1/predict" in page.text
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page.text)
    assert "--accent" in client.get("/docs/style.css").text
    document = client.get("/openapi.json").json()
    described = set(document["paths"])
    assert described == {
        "/v1/predict",
        "/v1/drawing",
        "/v1/corrections",
        "/v1/models",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert {path for path in described if f"</span> <code>{path}</code>" in page.text} == described
    counters = document["paths"]["/metrics"]["get"]["responses"]
    assert [list(counters[status]["content"]) for status in ("200", "401")] == [["text/plain"], ["application/json"]]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    names = {ref.rpartition("/")[2] for ref in re.findall(r'"\$ref":"([^"]+)"', client.get("/openapi.json").text)}
    assert names <= set(document["components"]["schemas"])
