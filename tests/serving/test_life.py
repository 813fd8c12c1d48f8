"""Server lifecycle: access tokens, model reload under load, path prefix, and shutdown."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import onnx
import pytest
from tests.support import tiny_classifier
from tests.support.server_process import Running, server, until

from lince import images
from lince.errors import UsageError
from lince.model_card import CARD_FILE, NETWORK_FILE
from lince.serving.settings import BatchingSettings, RequestLimits, ServerSettings

PNG = images.encode_png(tiny_classifier.photo("green"))
TOKEN = "a-token-for-tests"
KEY = {"Authorization": f"Bearer {TOKEN}"}


def ask(url: str, headers: Mapping[str, str | bytes] | None = None) -> httpx.Response:
    return httpx.post(f"{url}/v1/predict", content=PNG, headers=headers, timeout=20, trust_env=False)


def get(url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.get(url, headers=headers, timeout=20, trust_env=False)


def test_beyond_this_machine_a_token_is_needed(tmp_path: Path) -> None:
    folder = tiny_classifier.run_folder(tmp_path / "colours")
    words = [sys.executable, "-m", "lince", "serve", str(folder), "--host", "0.0.0.0", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "LINCE_TOKEN"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert done.returncode == 2
    assert "LINCE_TOKEN=" in done.stderr


def test_a_token_is_asked_of_everything_but_life_and_pages(tmp_path: Path) -> None:
    folder = tiny_classifier.run_folder(tmp_path / "colours")
    with server(folder, "--allow-origin", "https://page.example", LINCE_TOKEN=TOKEN) as running:
        for path in ("/v1/models", "/v1/predict", "/metrics", "/openapi.json", "/v1/nothing"):
            refused = get(running.url + path)
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer"), path
            assert get(running.url + path, KEY).status_code in (200, 404, 405), path
        for wrong in (TOKEN[:-1], TOKEN + "x", "ñ"):
            assert ask(running.url, {"Authorization": f"Bearer {wrong}".encode()}).status_code == 401
        assert ask(running.url, {"Authorization": f"Basic {TOKEN}"}).status_code == 401
        assert ask(running.url, KEY).json()["predictions"][0]["class"] == "green"
        for path in ("/healthz", "/readyz", "/docs", "/docs/style.css"):
            assert get(running.url + path).status_code == 200
        check_the_allowed_site(running.url)
        assert TOKEN not in "".join(running.log)


def check_the_allowed_site(url: str) -> None:
    origin = {"Origin": "https://page.example"}
    flight = httpx.options(
        f"{url}/v1/predict", headers={**origin, "Access-Control-Request-Method": "POST"}, trust_env=False
    )
    assert (flight.status_code, flight.headers["Access-Control-Allow-Origin"]) == (204, "https://page.example")
    assert "Authorization" in flight.headers["Access-Control-Allow-Headers"]
    answer = ask(url, {**KEY, **origin})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://page.example")
    other = ask(url, {**KEY, "Origin": "https://other.example"})
    assert other.status_code == 403
    assert "Access-Control-Allow-Origin" not in other.headers


def test_behind_a_prefix_whether_the_proxy_keeps_it_or_not(tmp_path: Path) -> None:
    with server(tiny_classifier.run_folder(tmp_path / "colours"), "--root-path", "/lince/a") as running:
        for path in ("/healthz", "/lince/a/healthz", "/lince/a/v1/models", "/lince/a/docs"):
            assert get(running.url + path).status_code == 200, path
        assert get(running.url + "/lince/ab/healthz").status_code == 404
        page = get(running.url + "/lince/a/docs").text
        assert "/lince/a/v1/predict" in page
        assert 'href="/' not in page


def move(source: Path, folder: Path, names: Sequence[str] = (NETWORK_FILE, CARD_FILE)) -> None:
    """Copy the files of another model into ``folder``, one after the other."""
    for name in names:
        shutil.copy(source / name, folder / f".{name}")
        os.replace(folder / f".{name}", folder / name)


class Load:
    """Clients that send requests without pause; ``answers`` holds status and predicted class."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self.url, self.over = url, threading.Event()
        self.answers: list[tuple[int, str]] = []
        self.threads = [threading.Thread(target=self._ask) for _i in range(clients)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def _ask(self) -> None:
        with httpx.Client(trust_env=False, timeout=20) as client:
            while not self.over.is_set():
                answer = client.post(f"{self.url}/v1/predict", content=PNG)
                said = answer.json()
                self.answers.append((answer.status_code, said["predictions"][0]["class"] if answer.is_success else ""))


def test_a_changed_model_takes_over_without_a_lost_request_and_a_broken_one_does_not(tmp_path: Path) -> None:
    folder = tiny_classifier.model_folder(tmp_path / "served")
    turned = tiny_classifier.model_folder(tmp_path / "turned", ("green", "blue", "red"))
    with server(folder, "--reload", "0.1") as running, Load(running.url) as load:
        until(lambda: len(load.answers) > 20)
        move(turned, folder)
        until(lambda: any(said == "blue" for _status, said in load.answers))
        (folder / NETWORK_FILE).write_bytes((folder / NETWORK_FILE).read_bytes()[:-40])
        until(lambda: any(one["event"] == "reload refused" for one in running.records()))
        told = get(f"{running.url}/v1/models").json()["models"][0]
        assert "log" in told["trouble"]
        assert str(tmp_path) not in json.dumps(told)
        count = len(load.answers)
        until(lambda: len(load.answers) > count + 20)
        move(tiny_classifier.model_folder(tmp_path / "first"), folder)
        until(lambda: get(f"{running.url}/v1/models").json()["models"][0]["trouble"] is None)
        until(lambda: load.answers[-1][1] == "green")
        text = get(f"{running.url}/metrics").text
    assert {status for status, _said in load.answers} == {200}
    order = [said for _status, said in load.answers]
    assert set(order) == {"green", "blue"}
    assert 'lince_reloads_total{model="served",outcome="taken"} 2.0' in text
    assert 'lince_reloads_total{model="served",outcome="refused"} 1.0' in text


def test_a_model_whose_answers_are_no_numbers_is_refused(tmp_path: Path) -> None:
    folder = tiny_classifier.model_folder(tmp_path / "served")
    model = onnx.load(folder / NETWORK_FILE)
    weight = next(item for item in model.graph.initializer if item.name == "weight")
    weight.raw_data = b"\xff" * len(weight.raw_data)
    onnx.save(model, folder / NETWORK_FILE)
    words = [sys.executable, "-m", "lince", "serve", str(folder), "--port", "0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "numbers" in done.stderr


def slowly(running: Running) -> socket.socket:
    """Begin a request and hold back its last byte."""
    link = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(PNG)}\r\n\r\n"
    link.sendall(head.encode() + PNG[:-1])
    return link


def test_told_to_end_it_finishes_what_is_under_way_and_says_no_to_others(tmp_path: Path) -> None:
    with server(tiny_classifier.run_folder(tmp_path / "colours")) as running, slowly(running) as link:
        until(lambda: "lince_requests_under_way 2.0" in get(f"{running.url}/metrics").text)
        running.process.send_signal(signal.SIGTERM)
        until(lambda: get(f"{running.url}/readyz").status_code == 503)
        refused = ask(running.url)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping")
        assert refused.headers["Retry-After"]
        assert get(f"{running.url}/healthz").status_code == 200
        link.sendall(PNG[-1:])
        assert link.recv(1000).startswith(b"HTTP/1.1 200")
        assert running.process.wait(20) == 0


def test_it_does_not_wait_forever_for_those_under_way(tmp_path: Path) -> None:
    with (
        server(tiny_classifier.run_folder(tmp_path / "colours"), "--grace", "300ms") as running,
        slowly(running) as link,
    ):
        until(lambda: "lince_requests_under_way 2.0" in get(f"{running.url}/metrics").text)
        assert running.end() == 0
        assert b'"stopping"' in link.recv(2000)


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    with server(tiny_classifier.run_folder(tmp_path / "colours")) as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 0


def test_a_slow_client_is_not_waited_for(tmp_path: Path) -> None:
    with (
        server(tiny_classifier.run_folder(tmp_path / "colours"), "--max-seconds", "300ms") as running,
        slowly(running) as link,
    ):
        assert link.recv(1000).startswith(b"HTTP/1.1 408")


def test_a_head_without_an_end_is_cut_off(tmp_path: Path) -> None:
    with server(tiny_classifier.run_folder(tmp_path / "colours")) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as link:
            link.sendall(
                b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 2000
            )
            assert b'"bad-http"' in link.recv(1000)
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as link:
            link.sendall(b"\x16\x03\x01\x02\x00\r\n\r\n")
            assert link.recv(1000).startswith(b"HTTP/1.1 400")
        assert get(f"{running.url}/healthz").status_code == 200


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = [sys.executable, "-m", "lince", "serve", str(tiny_classifier.run_folder(tmp_path / "x")), "--port"]
        done = subprocess.run(
            [*words, str(taken.getsockname()[1])], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 2
    assert "--port 0" in done.stderr


@pytest.mark.parametrize(
    "choose",
    [
        lambda: ServerSettings(port=70_000),
        lambda: ServerSettings(root_path="lince"),
        lambda: ServerSettings(root_path="/a b"),
        lambda: ServerSettings(token="two words"),
        lambda: ServerSettings(host="192.0.2.1"),
        lambda: RequestLimits(images=0),
        lambda: BatchingSettings(max_latency=0),
        lambda: BatchingSettings(batch_delay=2),
    ],
)
def test_choices_that_cannot_be_are_refused(choose: object) -> None:
    with pytest.raises(UsageError):
        choose()  # type: ignore[operator]
    assert ServerSettings(host="::1").is_local
    assert ServerSettings(host="192.0.2.1", token="x").token
