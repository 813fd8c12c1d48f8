"""Client programs and serving examples of the docs: run against a local server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("onnx")
from tests.support import tiny_classifier
from tests.support.server_process import Running, server

from lince import images
from lince.inference import load

DOCS = Path(__file__).resolve().parents[2] / "docs"
CLIENTS = DOCS / "clients"
MARKED = re.compile(r"<!-- run -->\n```(\w+)\n(.*?)```", re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"
LINES = 60


@dataclass(frozen=True)
class Place:
    """A folder as the page supposes, and the server that its examples call."""

    folder: Path
    server: Running

    def run(self, language: str, code: str) -> subprocess.CompletedProcess[str]:
        """Run an example of the page; skip where its interpreter is missing."""
        program = {"sh": "bash", "python": sys.executable, "js": "node"}[language]
        if not shutil.which(program) or (language == "sh" and not shutil.which("curl")):
            pytest.skip(f"no {program} here")
        words = {"sh": ["-euo", "pipefail", "-c"], "python": ["-W", "error", "-c"], "js": ["--input-type=module", "-e"]}
        return subprocess.run(
            [program, *words[language], code.replace(ADDRESS, self.server.url)],
            cwd=self.folder,
            env={**os.environ, "NO_PROXY": "*", "NODE_NO_WARNINGS": "1"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("niño ç")
    tiny_classifier.run_folder(folder / "train")
    (folder / "rose.jpg").write_bytes(images.encode_jpeg(tiny_classifier.photo("red")))
    (folder / "daisy.jpg").write_bytes(images.encode_jpeg(tiny_classifier.photo("green")))
    for name in ("lince_client.py", "lince.mjs"):
        shutil.copy(CLIENTS / name, folder)
    with server(folder / "train") as running:
        yield Place(folder, running)


@pytest.fixture(scope="module")
def client() -> ModuleType:
    sys.path.insert(0, str(CLIENTS))
    import lince_client

    sys.path.remove(str(CLIENTS))
    return lince_client


@pytest.mark.parametrize("language", ["es", "pt"])
def test_all_languages_show_the_same_examples(language: str) -> None:
    examples = MARKED.findall((DOCS / "serve.md").read_text("utf-8"))
    assert examples
    assert MARKED.findall((DOCS / language / "serve.md").read_text("utf-8")) == examples


def test_the_client_is_short_and_needs_nothing() -> None:
    text = (CLIENTS / "lince_client.py").read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    modules = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    assert set(modules) <= sys.stdlib_module_names


@pytest.mark.parametrize("number", range(3), ids=["sh", "python", "js"])
def test_the_examples_run(place: Place, number: int) -> None:
    language, code = MARKED.findall((DOCS / "serve.md").read_text("utf-8"))[number]
    told = place.run(language, code).stdout
    assert "error" not in told
    assert "rose.jpg" in told
    if language == "sh":
        records = list(_documents(told))
        assert [one["predictions"][0]["class"] for one in records[:3]] == ["red"] * 3
        assert len(records[1]["predictions"][0]["classes"]) == 2
        assert records[3]["models"][0]["name"] == "train"
        assert records[4] == {"status": "alive"}
    else:
        assert told.split()[:2] == ["rose.jpg", "red"]


def _documents(text: str) -> Iterator[dict[str, list[dict[str, object]]]]:
    reader, at = json.JSONDecoder(), 0
    while at < len(text):
        record, at = reader.raw_decode(text, at)
        yield record


def test_the_client_answers_as_the_predictor_does(place: Place, client: ModuleType) -> None:
    paths = [place.folder / "rose.jpg", place.folder / "daisy.jpg"] * 3
    odd = place.folder / 'a "b" ñ;.jpg'
    shutil.copy(paths[0], odd)
    model = load.load(place.folder / "train")
    records = list(client.Client(place.server.url).predict([*paths, odd], batch=4))
    assert [record["file"] for record in records[:2]] == ["rose.jpg", "daisy.jpg"]
    assert records[-1]["file"] == "a %22b%22 ñ;.jpg"
    assert len(records) == 7
    for path, record in zip([*paths, odd], records, strict=True):
        expected = model.predict(path).to_dict()
        assert record["class"] == expected["class"]
        assert _close(record, expected)


def _close(one: dict[str, list[dict[str, float]]], other: dict[str, list[dict[str, float]]]) -> bool:
    pairs = zip(one["classes"], other["classes"], strict=True)
    return all(abs(a["probability"] - b["probability"]) <= 1e-6 and a["name"] == b["name"] for a, b in pairs)


def test_the_client_tells_why_it_was_refused(place: Place, client: ModuleType) -> None:
    with pytest.raises(client.Refused) as refused:
        list(client.Client(place.server.url).predict([place.folder / "rose.jpg"], model="none"))
    assert refused.value.args[0] == 404
    assert "train" in refused.value.args[1]


def test_the_client_sends_its_token(tmp_path: Path, client: ModuleType) -> None:
    tiny_classifier.run_folder(tmp_path / "train")
    with server(tmp_path / "train", LINCE_TOKEN="sesame-1234") as running:
        assert client.Client(running.url, token="sesame-1234").models()[0]["name"] == "train"
        with pytest.raises(client.Refused) as refused:
            client.Client(running.url, token="wrong").models()
    assert refused.value.args[0] == 401


class Busy(BaseHTTPRequestHandler):
    """A server that answers 429 the first ``times`` requests."""

    times = 0
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        busy = self.asked <= self.times
        self.send_response(429 if busy else 200)
        if busy:
            self.send_header("Retry-After", "0.05")
        self.end_headers()
        self.wfile.write(b'{"error": {}}' if busy else b'{"models": []}')

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def busy() -> Iterator[str]:
    Busy.asked = 0
    with HTTPServer(("127.0.0.1", 0), Busy) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_the_client_waits_for_a_busy_server(busy: str, client: ModuleType) -> None:
    Busy.times = 3
    assert client.Client(busy).models() == []
    assert Busy.asked == 4


def test_the_client_gives_up_after_its_patience(busy: str, client: ModuleType) -> None:
    Busy.times = 1000
    with pytest.raises(client.Refused) as refused:
        client.Client(busy, patience=0.2).models()
    assert refused.value.args[0] == 429
    assert 2 <= Busy.asked <= 6
