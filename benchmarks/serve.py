"""Server throughput against bare network loops and LitServe, under overload, and after a kill.

Server, load and peers share the machine's cores; each is a process of its own, and they are measured in one run. A bare
loop decodes the same photos and calls the same network, without HTTP and without a second process that sends: one photo
at a time on all cores, which is what one client can get, and a loop on each core, which is what many can. Each is
measured before and after the server; what is printed is what the server's figures are divided by. LitServe reads JSON,
as its users write it, and is compared with lince's JSON; a bare JPEG, which lince reads too, spares base64.
"""

from __future__ import annotations

import base64
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import onnxruntime

from benchmarks import load, peers, server
from benchmarks.decode import photo
from benchmarks.load import Figures, Plan
from benchmarks.predict import MODEL, model_in
from benchmarks.server import Server, Watch
from lince import images, preprocess
from lince.inference.backends.onnxruntime import count_cores
from lince.model_card import NETWORK_FILE, ModelCard

PHOTOS, SECONDS, OVERLOAD = 32, 8.0, 60.0
TOGETHER = (1, 8, 32)
FLOOR = 0.85  # share of the bare loop's throughput
CROWD = 256  # connections of the overload: more than any queue should hold


def run() -> None:
    """Print throughput and latencies of each server, the ratios, and the effects of an overload and a kill."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        model_in(place / "model")
        print(f"500 x 375 JPEGs, model {MODEL}; server and load share {count_cores()} cores")
        asked = _plans(place)
        bare = [_bare(place / "model")]
        with Server.ours(place / "model", place / "log.txt") as ours:
            found = {name: _table(name, ours, asked[kind]) for name, kind in (("bare JPEG", "jpeg"), ("JSON", "json"))}
        bare.append(_bare(place / "model"))
        single, each = (max(rates) for rates in zip(*bare, strict=True))
        alone = max(table[0].rate for table in found.values())
        rates = {name: max(figures.rate for figures in table) for name, table in found.items()}
        best = max(rates.values())
        print(f"  one client: lince serve / one bare loop        {alone:7.1f} / {single:.1f} = {alone / single:.2f}")
        print(f"  best: lince serve / a bare loop on each core   {best:7.1f} / {each:.1f} = {best / each:.2f}"
              f"      at least {FLOOR}")  # fmt: skip
        for workers, batch in ((1, 16), (count_cores(), 1)):
            with _litserve(place, workers, batch) as peer:
                print(f"LitServe, {workers} workers, batches of {batch}")
                peers_best = max(figures.rate for figures in _table("JSON", peer, asked["peer"]))
                print(f"  lince serve / LitServe, JSON both              {rates['JSON'] / peers_best:7.2f}")
                print(f"  lince's bare JPEG / LitServe's JSON            {best / peers_best:7.2f}")
        _overload(place, replace(asked["jpeg"], rate=2 * best, seconds=OVERLOAD, connections=CROWD))


def _bare(folder: Path) -> tuple[float, float]:
    """Print and return the photos per second of one bare loop on all cores, and of one on each core together."""
    cores = count_cores()
    single = bare_loop(folder, SECONDS, cores)
    with ThreadPoolExecutor(cores) as pool:
        each = sum(pool.map(lambda _core: bare_loop(folder, SECONDS, 1), range(cores)))
    print(f"  one bare loop on all cores {single:7.1f} photos/s, a bare loop on each core {each:7.1f} photos/s")
    return single, each


def bare_loop(folder: Path, seconds: float, threads: int) -> float:
    """Return the photos per second of a loop that decodes photos and calls the network on ``threads`` cores."""
    spec = ModelCard.load(folder).preprocess
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    network = onnxruntime.InferenceSession(str(folder / NETWORK_FILE), options, providers=["CPUExecutionProvider"])
    data = [photo(seed) for seed in range(PHOTOS)]

    def one(number: int) -> None:
        image = images.decode_image(data[number % PHOTOS], (spec.height, spec.width))
        network.run(["logits"], {"images": preprocess.preprocess_images([image], spec)})

    one(0)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        one(count)
        count += 1
    return count / (time.perf_counter() - start)


def _plans(place: Path) -> dict[str, Plan]:
    """Return plans that send the photos as raw bytes, in lince's JSON and in the peer's."""
    names: dict[str, list[str]] = {"jpeg": [], "json": [], "peer": []}
    for seed in range(PHOTOS):
        data = photo(seed)
        text = base64.b64encode(data).decode()
        bodies = {"jpeg": data, "json": _json({"images": [{"data": text}]}), "peer": _json({"image": text})}
        for kind, body in bodies.items():
            path = place / f"{seed}.{kind}"
            path.write_bytes(body)
            names[kind].append(str(path))
    plain = Plan(0, (), "application/json", SECONDS, 1)
    return {
        "jpeg": replace(plain, bodies=tuple(names["jpeg"]), kind="image/jpeg"),
        "json": replace(plain, bodies=tuple(names["json"])),
        "peer": replace(plain, bodies=tuple(names["peer"]), path="/predict"),
    }


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _table(name: str, at: Server, plan: Plan) -> list[Figures]:
    found = []
    for together in TOGETHER:
        warm = replace(plan, port=at.port, connections=together, seconds=1.0)
        load.load(warm)
        figures = load.load(replace(warm, seconds=plan.seconds))
        ms = figures.answered_ms
        spread = f"p50 {ms['p50']:7.1f} ms   p95 {ms['p95']:7.1f} ms" if ms else "no answer"
        others = {code: count for code, count in figures.codes.items() if code != "200"}
        print(f"  {name:<10}{together:3} at a time   {figures.rate:7.1f} photos/s   {spread}   {others or ''}")
        found.append(figures)
    return found


@contextmanager
def _litserve(place: Path, workers: int, batch: int) -> Iterator[Server]:
    port = server.free_port()
    script = Path(__file__).parent / "litserve_peer.py"
    command = [peers.litserve(), script, place / "model", str(port), str(workers), str(batch)]
    with Server(command, port, "/health", place / "litserve.txt") as peer:
        yield peer


def _overload(place: Path, plan: Plan) -> None:
    print(f"twice the capacity ({plan.rate:.0f} photos/s) for {plan.seconds:.0f} s")
    with Server.ours(place / "model", place / "log.txt") as ours:
        load.load(replace(plan, port=ours.port, rate=0.0, connections=8, seconds=5.0))
        print(f"  bound               {ours.bound_ms():.0f} ms, as measured by the server at its start")
        with Watch(ours) as watch:
            figures = load.load(replace(plan, port=ours.port))
        tell(figures, watch.mb)
    print("twice the capacity for 20 s; the server is killed after 7 s and restarted")
    with Server.ours(place / "model", place / "log.txt") as ours:
        figures = killed(ours, replace(plan, port=ours.port, seconds=20.0), lambda: _again(place, ours.port))
    tell(figures, [])


def tell(figures: Figures, mb: list[float]) -> None:
    """Print the responses, and the memory at the start, in the middle and at the end."""
    print(f"  answers by status   {figures.codes}   {figures.reasons or ''}")
    print(f"  answered, ms        {_line(figures.answered_ms)}   {figures.rate:.1f} a second")
    print(f"  refused, ms         {_line(figures.refused_ms)}   {figures.retry_after} with Retry-After")
    if mb:
        print(f"  memory, MB          {mb[0]:.0f} {mb[len(mb) // 2]:.0f} {mb[-1]:.0f}   largest {max(mb):.0f}")


def killed(ours: Server, plan: Plan, again: Callable[[], Server]) -> Figures:
    """Kill ``ours`` after a third of ``plan``, start it ``again``, and return the clients' figures."""
    with load.begin(plan) as process:
        time.sleep(plan.seconds / 3)
        ours.end(signal.SIGKILL)
        with again():
            return load.end(process)


def _again(place: Path, port: int) -> Server:
    return Server.ours(place / "model", place / "log.txt", port=port)


def _line(ms: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.1f}" for name, value in ms.items())
