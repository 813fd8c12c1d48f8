"""Server under overload: refuses the excess at once; after a kill no file is half-written."""

from __future__ import annotations

import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

pytest.importorskip("onnx")
from benchmarks import load
from benchmarks.load import Figures, Plan
from benchmarks.predict import model_in
from benchmarks.server import Server, Watch
from tests.support import tiny_classifier

from lince import images

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
CROWD = 48
BROKEN = {"ConnectionResetError", "ConnectionRefusedError", "IncompleteReadError", "BrokenPipeError"}
TINY_QUEUE = ("--queue", "2", "--batch", "1")  # so small that any machine is overloaded


@pytest.fixture
def model(awkward: Path) -> Path:
    return tiny_classifier.model_folder(awkward / "tiny")


@pytest.fixture
def plan(awkward: Path) -> Plan:
    paths = []
    for name in tiny_classifier.NAMES:
        paths.append(awkward / f"{name}.jpg")
        paths[-1].write_bytes(images.encode_jpeg(tiny_classifier.photo(name, 300, 400)))
    return Plan(0, tuple(map(str, paths)), "image/jpeg", 2.0, CROWD)


@pytest.fixture
def server(model: Path, awkward: Path) -> Iterator[Server]:
    with Server.ours(model, awkward / "log.txt", *TINY_QUEUE, "--corrections", str(awkward / "corrections")) as one:
        yield one


def judge(figures: Figures) -> None:
    """Fail unless every request got an answer or a refusal with Retry-After; benchmarks/serve.py measures latency."""
    assert set(figures.codes) == {"200", "429"}, (figures.codes, figures.reasons)
    assert figures.retry_after == figures.codes["429"]


def test_more_than_it_can_do_is_refused_and_the_memory_stays(server: Server, plan: Plan) -> None:
    plan = replace(plan, port=server.port)
    load.load(replace(plan, seconds=1.0))
    with Watch(server) as watch:
        judge(load.load(plan))
    assert max(watch.mb) - watch.mb[0] < 40
    assert httpx.get(server.url + "/readyz", trust_env=False).json() == {"status": "ready"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_minute_of_twice_what_it_can_do(awkward: Path, plan: Plan) -> None:
    pytest.importorskip("torch")
    # A larger network: with the tiny one, HTTP itself is the bottleneck, here and in the load generator.
    model_in(awkward / "model")
    with Server.ours(awkward / "model", awkward / "log.txt") as server:
        plan = replace(plan, port=server.port)
        # The better of two: a machine that was busy for a moment would make "twice" what the server can do.
        capacity = max(load.load(replace(plan, seconds=5.0, connections=8)).rate for _time in range(2))
        with Watch(server) as watch:
            figures = load.load(replace(plan, seconds=60.0, connections=256, rate=2 * capacity))
        judge(figures)
    half = len(watch.mb) // 2
    assert max(watch.mb[half:]) < 1.1 * max(watch.mb[:half])


def test_killed_in_the_middle_it_starts_again_and_nothing_is_half_written(
    server: Server, plan: Plan, model: Path, awkward: Path
) -> None:
    corrections, kept = awkward / "corrections", []
    asking = threading.Thread(target=_correct, args=(server.url, kept))
    with load.begin(replace(plan, port=server.port, seconds=4.0, connections=8)) as process:
        asking.start()
        time.sleep(1.5)
        server.end(signal.SIGKILL)
        asking.join(20)
        with Server.ours(model, awkward / "log.txt", *TINY_QUEUE, port=server.port) as again:
            figures = load.end(process)
            assert httpx.get(again.url + "/readyz", trust_env=False).status_code == 200
    # A client sees broken or refused connections, then answers again; never a partial answer.
    assert set(figures.codes) <= {"0", "200", "429"}
    assert figures.codes["0"] > 0
    assert set(figures.reasons) <= {
        "ConnectionResetError",
        "ConnectionRefusedError",
        "IncompleteReadError",
        "BrokenPipeError",
    }
    written = [path for path in corrections.rglob("*.png") if not path.name.startswith(".")]
    assert len(written) >= len(kept) > 0
    assert all(images.read_image(path).shape == (40, 60, 3) for path in written)


def _correct(url: str, kept: list[int]) -> None:
    """Send corrections until the server is gone; add each confirmed one to ``kept``."""
    with httpx.Client(trust_env=False, timeout=10) as client:
        for seed in range(100_000):
            photo = images.encode_png(tiny_classifier.photo("red", seed=seed))
            form = {"image": ("a.png", photo, "image/png")}
            try:
                answer = client.post(url + "/v1/corrections", files=form, data={"label": "red"})
            except httpx.TransportError:
                return
            if answer.status_code != 429:
                assert answer.json() == {"saved": True}, answer.text
                kept.append(seed)


RAW = (
    b"\r\n" * 2_000,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.Random(0).randbytes(300),
    b"GET / HTTP/9.9\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET " + b"/a" * 50_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(9_000)) + b"\r\n",
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\nabc",
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc\r\n",
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    b"GET /%ff%fe%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
)


def test_what_is_hardly_http_is_refused_or_cut_off(server: Server, awkward: Path) -> None:
    for raw in RAW:
        said = talk(server.port, raw)
        assert b" 500 " not in said[:20], raw[:80]
        assert b"Traceback" not in said, raw[:80]
        assert said[:9] in (b"", b"HTTP/1.1 "), raw[:80]
    assert httpx.get(server.url + "/readyz", trust_env=False).status_code == 200
    assert "Traceback" not in (awkward / "log.txt").read_text("utf-8")


def talk(port: int, raw: bytes) -> bytes:
    """Send ``raw``, close the sending side, and return the response."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as line:
        said = b""
        try:
            line.sendall(raw)
            line.shutdown(socket.SHUT_WR)
            while part := line.recv(65_536):
                said += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return said


def test_clients_that_send_too_slowly_do_not_keep_others_out(model: Path, awkward: Path, plan: Plan) -> None:
    with Server.ours(model, awkward / "log.txt", "--max-seconds", "1s", "--max-requests", "64") as server:
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
        )
        slow = [socket.create_connection(("127.0.0.1", server.port), timeout=15) for _i in range(40)]
        try:
            for line in slow:
                line.sendall(head + b"Content-Length: 1000\r\n\r\n" + b"\x89PNG")
            answered = load.load(replace(plan, port=server.port, seconds=1.0, connections=2))
            assert set(answered.codes) == {"200"}
            assert {line.recv(12) for line in slow} == {b"HTTP/1.1 408"}
        finally:
            for line in slow:
                line.close()
