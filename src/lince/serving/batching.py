"""Photos of several clients share one network: decoded in threads, answered in batches, refused when it takes too long.

Several batches are answered at one time, each on its share of the cores: networks lose much time when their own threads
wait for each other. A batch that is alone gets all of them.
A request is taken in only if all that waits before it can be answered within the latency bound; what is nevertheless
late is not computed. So the queue never grows past the bound, and no work is spent on answers that nobody waits for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from lince.runtime.reading import Seen
from lince.serving.photos import Sent
from lince.serving.refusals import RefusedError, busy

MARGIN = 0.75  # of the bound: what an estimate may fill
_THERE = 0.9  # of the bound: when an answer must be there, so that it comes in time on its way back
_LEARN = 0.2  # how much a batch weighs in the measured pace


class Answerer(Protocol):
    """A model as the batches need it; each is called in many threads."""

    def look(self, photo: Sent) -> Seen:
        """Return ``photo`` as the network is to see it; raise ``RefusedError`` when it cannot be read."""

    def answer(self, seen: Sequence[Seen], names: Sequence[str], threshold: float | None, alone: bool) -> Sequence[Any]:
        """Return an answer for each photo; nothing else is answered at the time when they are ``alone``."""


Watcher = Callable[[int, float], None]  # hears of a batch: how many photos, and the seconds they took


@dataclass(frozen=True)
class Plan:
    """How batches are made: at most ``batch`` photos, ``hold`` seconds, ``queue`` waiting; ``bound`` and ``pace`` in s.

    ``pace`` is the time of one photo under load, as measured at start; it is measured again while the server works.
    ``workers`` batches are answered at one time.
    """

    batch: int
    hold: float
    bound: float
    queue: int
    pace: float
    workers: int = 1


class RetiredError(Exception):
    """Another version of the model has taken this one's place: ask that one."""


Outcome = Any  # an answer, a RefusedError, or the exception that nobody expected


@dataclass(eq=False)
class _Request:
    """The photos of one request, and what became of them so far."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[Outcome]]
    outcomes: list[Outcome]
    begun: float
    deadline: float
    left: int
    gone: bool = False


@dataclass(eq=False)
class _Job:
    request: _Request
    place: int
    photo: Sent | None
    name: str
    threshold: float | None
    seen: Seen | None = None


@dataclass(eq=False)
class Batcher:
    """The queue before one version of a model.

    ``decoders`` are threads that all models share; the network has as many of its own as the plan has ``workers``.
    """

    model: Answerer
    plan: Plan
    decoders: ThreadPoolExecutor
    watcher: Watcher
    clock: Callable[[], float] = time.monotonic
    pending: int = 0  # photos taken in and not yet answered
    pace: float = field(init=False)

    def __post_init__(self) -> None:
        self.pace = self.plan.pace
        self._ready: deque[_Job] = deque()
        self._coming = 0  # photos that are being decoded
        self._busy = 0  # workers that answer or are about to
        self._retired = False
        self._last = self.clock()
        self._change = threading.Condition()
        self._workers = ThreadPoolExecutor(self.plan.workers, "lince-answer")

    @property
    def wait(self) -> float:
        """The seconds that what is taken in will take."""
        return self.pending * self.pace

    def refuse_if_full(self, photos: int = 1) -> None:
        """Raise ``RefusedError`` (429) when ``photos`` more would wait for longer than the bound."""
        expected = (self.pending + photos) * self.pace
        if self.pending and (expected > MARGIN * self.plan.bound or self.pending + photos > self.plan.queue):
            raise busy(self.wait)

    async def ask(self, photos: Sequence[Sent], threshold: float | None = None) -> list[Outcome]:
        """Return what became of each of ``photos``: an answer or a ``RefusedError``.

        Raises ``RefusedError`` (429) when they would wait too long, ``RetiredError`` when another version took over.
        When the task that awaits is cancelled, what was not begun is not computed.
        """
        request = self._admit(len(photos))
        jobs = [_Job(request, place, photo, photo.name, threshold) for place, photo in enumerate(photos)]
        for job in jobs:
            look = partial(copy_context().run, self._look, job)  # refusals speak the client's language
            self.decoders.submit(look).add_done_callback(partial(self._looked, job))
        try:
            return await request.future
        finally:
            request.gone = True

    def retire(self) -> None:
        """Take no more photos in; the threads end when those that were taken are answered."""
        with self._change:
            self._retired = True
            self._end_if_over()

    def _admit(self, photos: int) -> _Request:
        loop = asyncio.get_running_loop()
        with self._change:
            if self._retired:
                raise RetiredError
            self.refuse_if_full(photos)
            now = self.clock()
            self.pending += photos
            self._coming += photos
        # A request larger than the bound allows is taken when nothing waits; it may then use its own time twice.
        deadline = now + max(_THERE * self.plan.bound, 2 * photos * self.pace)
        return _Request(loop, loop.create_future(), [None] * photos, now, deadline, photos)

    def _look(self, job: _Job) -> None:
        photo, job.photo = job.photo, None
        if job.request.gone or self.clock() > job.request.deadline:
            raise busy(self.wait)
        if photo is not None:
            job.seen = self.model.look(photo)

    def _looked(self, job: _Job, done: Future[None]) -> None:
        """Put a photo that was decoded into the queue; tell at once of one that was not."""
        error = done.exception()
        with self._change:
            self._coming -= 1
            self._change.notify_all()
            if job.seen is not None:
                self._ready.append(job)
                if self._busy < self.plan.workers:
                    self._busy += 1
                    self._begin()
        if job.seen is None:
            self._finish([(job, error)])

    def _begin(self) -> None:
        batch: list[_Job] = []
        self._workers.submit(self._run, batch).add_done_callback(partial(self._ran, batch))

    def _run(self, batch: list[_Job]) -> list[Outcome]:
        """Take a batch of what waits into ``batch`` and return the answers."""
        late, alone = self._take(batch)
        self._finish([(job, busy(self.wait)) for job in late])
        if not batch:
            return []
        seen = [job.seen for job in batch if job.seen is not None]
        answers = self.model.answer(seen, [job.name for job in batch], batch[0].threshold, alone)
        self._learn(batch)
        return [answer for _job, answer in zip(batch, answers, strict=True)]

    def _ran(self, batch: list[_Job], done: Future[list[Outcome]]) -> None:
        """Hand the answers of ``batch`` over, or what went wrong instead; go on while something waits."""
        error = done.exception()
        outcomes = done.result() if error is None else [error] * len(batch)
        self._finish(list(zip(batch, outcomes, strict=True)))
        with self._change:
            if self._ready:
                self._begin()
            else:
                self._busy -= 1
                self._end_if_over()

    def _take(self, batch: list[_Job]) -> tuple[list[_Job], bool]:
        """Move the photos of the next batch, all with one threshold, into ``batch``.

        Returns those that are too late or not wanted, and whether the batch is alone: nothing else was taken in.
        """
        with self._change:
            if self._coming:
                self._change.wait_for(lambda: len(self._ready) >= self.plan.batch or not self._coming, self.plan.hold)
            limit = self.clock() + self.pace * self.plan.workers * min(self.plan.batch, len(self._ready))
            late: list[_Job] = []
            kept: list[_Job] = []
            while self._ready and len(batch) < self.plan.batch:
                job = self._ready.popleft()
                if job.request.gone or job.request.deadline < limit:
                    late.append(job)
                elif batch and job.threshold != batch[0].threshold:
                    kept.append(job)
                else:
                    batch.append(job)
            self._ready.extendleft(reversed(kept))
            return late, self.pending == len(batch) + len(late)

    def _learn(self, batch: list[_Job]) -> None:
        """Measure the pace by the time since the batch before was ready, whichever worker answered that one."""
        with self._change:
            now = self.clock()
            seconds = now - max(self._last, min(job.request.begun for job in batch))
            self._last = now
            self.pace += _LEARN * (seconds / len(batch) - self.pace)
        self.watcher(len(batch), seconds)

    def _finish(self, outcomes: list[tuple[_Job, Outcome]]) -> None:
        """Hand outcomes to the loops that wait for them, and free their places."""
        with self._change:
            self.pending -= len(outcomes)
            self._end_if_over()
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Outcome]]] = {}
        for job, outcome in outcomes:
            by_loop.setdefault(job.request.loop, []).append((job, outcome))
        for loop, told in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver, told)

    def _end_if_over(self) -> None:
        if self._retired and not self.pending and not self._busy:
            self._workers.shutdown(wait=False)


def _deliver(outcomes: list[tuple[_Job, Outcome]]) -> None:
    for job, outcome in outcomes:
        request = job.request
        request.outcomes[job.place] = outcome
        request.left -= 1
        if not request.left and not request.future.done():
            request.future.set_result(request.outcomes)


def unexpected(outcomes: Sequence[Outcome]) -> BaseException | None:
    """Return the first exception among ``outcomes`` that is no refusal."""
    return next((one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, RefusedError)), None)
