"""Fuzzed requests: a plain refusal without a 500, without internals, within bounded memory."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("onnx")
from tests.support import damaged_images, fuzzed_requests, tiny_classifier
from tests.support.fuzzed_requests import Request
from tests.support.http_app import Answer, App, ask, faults

from lince.serving.app import create_app
from lince.serving.model_registry import ModelRegistry
from lince.serving.prometheus import ServerMetrics
from lince.serving.settings import ServerSettings

TOGETHER = 8
# Peak resident memory: a WebP of 50 million pixels takes 600 (libwebp holds its canvas twice), one such
# photo is decoded at a time, and smaller ones beside it.
GROWTH_MB = 1000.0
SHOWN = 5


@pytest.fixture
def folder(awkward: Path) -> Path:
    return tiny_classifier.model_folder(awkward / "tiny")


@contextmanager
def application(folder: Path) -> Iterator[App]:
    settings = ServerSettings(token="", corrections_folder=folder.parent / "corrections")
    models = ModelRegistry(settings, ServerMetrics())
    models.add(folder, "tiny")
    try:
        yield create_app(models, settings)
    finally:
        models.close()


async def told(app: App, numbers: Iterator[int], secrets: tuple[str, ...]) -> tuple[Counter[int], list[str]]:
    """Send the requests ``numbers`` concurrently; return the count of each status, and the faults found."""
    codes: Counter[int] = Counter()
    wrong: list[str] = []

    async def one() -> None:
        for number in numbers:
            request = fuzzed_requests.request(number)
            answer = await ask(app, request)
            codes[answer.status] += 1
            wrong.extend(f"request {number} ({request.what}): {fault}" for fault in faults(request, answer, secrets))

    async with app.router.lifespan_context(app):  # type: ignore[attr-defined]
        await asyncio.gather(*(one() for _i in range(TOGETHER)))
    return codes, wrong


def peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


@contextmanager
def apart() -> Iterator[ProcessPoolExecutor]:
    """Return a function that runs in a separate process, so that memory of other tests does not count."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        yield process


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    with apart() as process:
        yield process


def fuzzed(folder: Path, numbers: range) -> Counter[int]:
    with apart() as process:
        codes, wrong, grown = process.submit(sent, folder, numbers).result()
    assert not outside(folder.parent), "a client's words became a path"
    assert not wrong, f"{len(wrong)} faults\n" + "\n".join(wrong[:SHOWN])
    assert sum(codes.values()) == len(numbers)
    assert grown < GROWTH_MB
    return codes


def sent(folder: Path, numbers: range) -> tuple[Counter[int], list[str], float]:
    before = peak_mb()
    with application(folder) as app:
        codes, wrong = asyncio.run(told(app, iter(numbers), (str(folder), folder.parent.name)))
    return codes, wrong, peak_mb() - before


def outside(place: Path) -> set[str]:
    """Return the files in ``place`` other than the model and the photos of corrections."""
    fit = re.compile(r"tiny|tiny/(model\.onnx|card\.json)|corrections(/(red|green|blue)(/[0-9a-f]{32}\.\w{3,4})?)?")
    found = {path.relative_to(place).as_posix() for path in place.rglob("*")}
    return {name for name in found if not fit.fullmatch(name)}


@pytest.mark.filterwarnings("ignore")
def test_a_thousand_requests(folder: Path) -> None:
    codes = fuzzed(folder, range(1_000))
    assert codes[200] > 200  # otherwise all mutations would be refused at once
    assert {400, 404, 413, 415, 422} <= set(codes)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
def test_a_hundred_thousand_requests(folder: Path) -> None:
    first = int(os.environ.get("LINCE_FUZZ_FROM", "1000000"))
    codes = fuzzed(folder, range(first, first + 100_000))
    assert codes[200] > 20_000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("what", "data"), damaged_images.bombs(), ids=[what for what, _data in damaged_images.bombs()])
def test_decompression_bombs_are_refused(folder: Path, elsewhere: ProcessPoolExecutor, what: str, data: bytes) -> None:
    request = Request("POST", "/v1/predict", b"", ((b"content-type", b"application/octet-stream"),), data, what)
    answer, grown = elsewhere.submit(answered, folder, request).result()
    assert not faults(request, answer)
    # A declared frame count without data costs nothing: the first frame is complete.
    assert answer.status in ((200,) if "thousand million frames" in what else (413, 422))
    assert grown < 100


def answered(folder: Path, request: Request) -> tuple[Answer, float]:
    async def once(app: App) -> Answer:
        async with app.router.lifespan_context(app):  # type: ignore[attr-defined]
            return await ask(app, request)

    before = peak_mb()
    with application(folder) as app:
        answer = asyncio.run(once(app))
    return answer, peak_mb() - before
