"""Batcher: batches across clients, queue limit, deadlines, and no computation for cancelled requests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from lince.inference.image_loading import PreparedImage
from lince.serving.batcher import BatchPlan, ModelReplacedError, RequestBatcher
from lince.serving.model_registry import make_batch_plan
from lince.serving.request_images import UploadedImage
from lince.serving.settings import BatchingSettings
from lince.web.http_errors import ApiError, client_error

SEEN = PreparedImage(np.zeros((1, 1, 3), np.uint8), (1, 1))


@dataclass
class Slow:
    """A model that answers while ``gate`` is open and records its calls."""

    asked: list[list[str]] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    threads: set[int] = field(default_factory=set)
    alone: list[bool] = field(default_factory=list)

    def prepare(self, photo: UploadedImage) -> PreparedImage:
        self.looked.append(photo.name)
        if photo.name == "bad":
            raise client_error("damaged-image", "", 422)
        if photo.name == "fault":
            raise KeyError("fault")
        return SEEN

    def predict_prepared(
        self, seen: Sequence[PreparedImage], names: Sequence[str], threshold: float | None, alone: bool
    ) -> list[Any]:
        self.alone.append(alone)
        self.begun.set()
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.asked.append(list(names))
        if "explode" in names:
            raise ZeroDivisionError
        return [(name, threshold) for name in names]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def decoders() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def made(decoders: ThreadPoolExecutor, **changes: Any) -> tuple[Slow, RequestBatcher, Clock]:
    chosen = {
        "max_batch_size": 4,
        "batch_delay": 0.0,
        "max_latency": 1.0,
        "max_queue": 100,
        "seconds_per_image": 0.01,
        **changes,
    }
    model, clock = Slow(), Clock()
    return model, RequestBatcher(model, BatchPlan(**chosen), decoders, lambda *_batch: None, clock), clock


def sent(*names: str) -> list[UploadedImage]:
    return [UploadedImage(name, b"") for name in names]


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.002)


def test_what_waits_is_answered_together_and_each_gets_its_own(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders)

    async def work() -> None:
        first = asyncio.create_task(batcher.predict(sent("a")))
        await until(model.begun.is_set)
        others = [asyncio.create_task(batcher.predict(sent(name, name + name))) for name in "bcd"]
        await until(lambda: len(model.looked) == 7)
        model.gate.set()
        assert await first == [("a", None)]
        for name, task in zip("bcd", others, strict=True):
            assert await task == [(name, None), (name + name, None)]

    run(work)
    assert [len(batch) for batch in model.asked] == [1, 4, 2]
    assert batcher.pending_images == 0
    assert len(model.threads) == 1


def test_as_many_batches_as_there_are_workers_are_answered_at_one_time(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders, max_batch_size=1, workers=2)

    async def work() -> None:
        first = asyncio.create_task(batcher.predict(sent("first")))
        await until(model.begun.is_set)
        others = asyncio.create_task(batcher.predict(sent(*"abcdefg")))
        await until(lambda: len(model.looked) == 8 and len(model.alone) == 2)
        assert model.asked == []
        model.gate.set()
        assert await first == [("first", None)]
        assert await others == [(name, None) for name in "abcdefg"]
        assert await batcher.predict(sent("last")) == [("last", None)]

    run(work)
    assert len(model.threads) == 2
    assert len(model.alone) == 9
    assert model.alone[:2] == [True, False]  # a worker may find the queue empty before the last one
    assert model.alone[-1]


def test_a_batch_of_several_workers_that_fails_leaves_the_others(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders, max_batch_size=1, workers=3)
    model.gate.set()

    async def work() -> None:
        names = ["explode" if at % 3 else f"{at}" for at in range(30)]
        outcomes = await batcher.predict(sent(*names))
        for name, outcome in zip(names, outcomes, strict=True):
            assert isinstance(outcome, ZeroDivisionError) if name == "explode" else outcome == (name, None)
        batcher.retire()

    run(work)
    assert batcher.pending_images == 0


def test_photos_of_other_thresholds_wait_for_a_batch_of_their_own(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders)

    async def work() -> None:
        first = asyncio.create_task(batcher.predict(sent("first")))
        await until(model.begun.is_set)
        asked = [asyncio.create_task(batcher.predict(sent(f"{at}"), at % 2 / 2)) for at in range(6)]
        await until(lambda: len(model.looked) == 7)
        model.gate.set()
        assert await asyncio.gather(*asked) == [[(f"{at}", at % 2 / 2)] for at in range(6)]
        await first

    run(work)
    assert sorted(map(sorted, model.asked[1:])) == [["0", "2", "4"], ["1", "3", "5"]]


def test_a_photo_that_cannot_be_read_leaves_the_others(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders)
    model.gate.set()

    async def work() -> None:
        good, refused, fault = await batcher.predict(sent("good", "bad", "fault"))
        assert good == ("good", None)
        assert isinstance(refused, ApiError)
        assert isinstance(fault, KeyError)
        [exploded] = await batcher.predict(sent("explode"))
        assert isinstance(exploded, ZeroDivisionError)
        assert await batcher.predict(sent("after")) == [("after", None)]

    run(work)
    assert batcher.pending_images == 0


def test_more_than_the_bound_allows_is_refused_with_the_time_to_wait(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders, seconds_per_image=0.5, max_latency=4.0)

    async def work() -> None:
        taken = [asyncio.create_task(batcher.predict(sent(f"{at}"))) for at in range(6)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await batcher.predict(sent("seventh"))
        assert refused.value.status == 429
        assert refused.value.headers["Retry-After"] == "3"
        assert batcher.pending_images == 6
        model.gate.set()
        assert len(await asyncio.gather(*taken)) == 6

    run(work)
    assert "seventh" not in model.looked


def test_a_queue_holds_no_more_than_it_should(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders, max_queue=5, seconds_per_image=1e-6)

    async def work() -> None:
        taken = asyncio.create_task(batcher.predict(sent(*"abcdefgh")))  # an empty queue accepts even a large request
        await asyncio.sleep(0)
        with pytest.raises(ApiError):
            await batcher.predict(sent("x"))
        model.gate.set()
        assert len(await taken) == 8

    run(work)


def test_a_client_that_goes_away_frees_its_place_and_is_not_computed(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders, max_batch_size=1)

    async def work() -> None:
        first = asyncio.create_task(batcher.predict(sent("first")))
        await until(model.begun.is_set)
        gone = asyncio.create_task(batcher.predict(sent(*(f"gone {at}" for at in range(10)))))
        await until(lambda: len(model.looked) == 11)
        gone.cancel()
        await asyncio.wait([gone])
        model.gate.set()
        await first
        await until(lambda: not batcher.pending_images)

    run(work)
    assert model.asked == [["first"]]


def test_expired_requests_are_refused_and_not_computed(decoders: ThreadPoolExecutor) -> None:
    model, batcher, clock = made(decoders, max_batch_size=1)

    async def work() -> None:
        first = asyncio.create_task(batcher.predict(sent("first")))
        await until(model.begun.is_set)
        late = asyncio.create_task(batcher.predict(sent("late")))
        await until(lambda: len(model.looked) == 2)
        clock.now += 5
        model.gate.set()
        await first
        [outcome] = await late
        assert isinstance(outcome, ApiError)
        assert outcome.status == 429

    run(work)
    assert model.asked == [["first"]]


def test_the_measured_pace_follows_the_machine(decoders: ThreadPoolExecutor) -> None:
    model, batcher, clock = made(decoders, max_batch_size=1, seconds_per_image=0.01)

    async def work() -> None:
        for _i in range(30):
            model.begun.clear()
            waiting = asyncio.create_task(batcher.predict(sent("a")))
            await until(model.begun.is_set)
            clock.now += 0.2
            model.gate.set()
            await waiting
            model.gate.clear()

    run(work)
    assert batcher.seconds_per_image == pytest.approx(0.2, rel=0.05)


def test_a_retired_queue_answers_what_it_took_and_takes_no_more(decoders: ThreadPoolExecutor) -> None:
    model, batcher, _clock = made(decoders)

    async def work() -> None:
        taken = asyncio.create_task(batcher.predict(sent("a", "b")))
        await until(model.begun.is_set)
        batcher.retire()
        with pytest.raises(ModelReplacedError):
            await batcher.predict(sent("c"))
        model.gate.set()
        assert await taken == [("a", None), ("b", None)]

    before = set(threading.enumerate())
    run(work)
    own = [one for one in set(threading.enumerate()) - before if one.name.startswith("lince-answer")]
    for thread in own:
        thread.join(5)
    assert not [thread for thread in own if thread.is_alive()]


def test_the_batch_size_follows_the_measured_throughput() -> None:
    assert make_batch_plan({1: 0.010, 2: 0.0099, 4: 0.0098}, BatchingSettings()).max_batch_size == 1
    found = make_batch_plan({1: 0.010, 2: 0.008, 4: 0.005, 8: 0.0049}, BatchingSettings())
    assert (found.max_batch_size, found.seconds_per_image, found.max_latency, found.max_queue) == (4, 0.005, 1.0, 400)
    slow = make_batch_plan({1: 2.0}, BatchingSettings())
    assert (slow.max_latency, slow.max_queue) == (64.0, 64)
    given = make_batch_plan({1: 0.01}, BatchingSettings(max_batch_size=3, max_latency=0.5, max_queue=7))
    assert (given.max_batch_size, given.max_latency, given.max_queue) == (3, 0.5, 7)
