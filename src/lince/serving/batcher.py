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

from lince.inference.batch_runner import PreparedImage
from lince.serving.http_errors import ApiError, server_busy_error
from lince.serving.request_images import UploadedImage

LATENCY_MARGIN = 0.75  # of the bound: what an estimate may fill
_DEADLINE_RATIO = 0.9  # of the bound: when an answer must be there, so that it comes in time on its way back
_PACE_SMOOTHING = 0.2  # how much a batch weighs in the measured pace


class BatchModel(Protocol):
    """A model as the batches need it; each is called in many threads."""

    def prepare(self, photo: UploadedImage) -> PreparedImage:
        """Return ``photo`` as the network is to see it; raise ``RefusedError`` when it cannot be read."""

    def predict_prepared(
        self, seen: Sequence[PreparedImage], names: Sequence[str], threshold: float | None, alone: bool
    ) -> Sequence[Any]:
        """Return an answer for each photo; nothing else is answered at the time when they are ``alone``."""


BatchCallback = Callable[[int, float], None]  # hears of a batch: how many photos, and the seconds they took


@dataclass(frozen=True)
class BatchPlan:
    """How batches are made: at most ``batch`` photos, ``hold`` seconds, ``queue`` waiting; ``bound`` and ``pace`` in s.

    ``pace`` is the time of one photo under load, as measured at start; it is measured again while the server works.
    ``workers`` batches are answered at one time.
    """

    max_batch_size: int
    batch_delay: float
    max_latency: float
    max_queue: int
    seconds_per_image: float
    workers: int = 1


class ModelReplacedError(Exception):
    """Another version of the model has taken this one's place: ask that one."""


Outcome = Any  # an answer, a RefusedError, or the exception that nobody expected


@dataclass(eq=False)
class _Request:
    """The photos of one request, and what became of them so far."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[Outcome]]
    outcomes: list[Outcome]
    start_time: float
    deadline: float
    remaining: int
    cancelled: bool = False


@dataclass(eq=False)
class _Job:
    request: _Request
    index: int
    image: UploadedImage | None
    name: str
    threshold: float | None
    prepared_image: PreparedImage | None = None


@dataclass(eq=False)
class RequestBatcher:
    """The queue before one version of a model.

    ``decoders`` are threads that all models share; the network has as many of its own as the plan has ``workers``.
    """

    model: BatchModel
    plan: BatchPlan
    decoder_pool: ThreadPoolExecutor
    on_batch: BatchCallback
    clock: Callable[[], float] = time.monotonic
    pending_images: int = 0  # photos taken in and not yet answered
    seconds_per_image: float = field(init=False)

    def __post_init__(self) -> None:
        self.seconds_per_image = self.plan.seconds_per_image
        self._ready_jobs: deque[_Job] = deque()
        self._decoding_count = 0  # photos that are being decoded
        self._busy_workers = 0  # workers that answer or are about to
        self._retired = False
        self._last_batch_time = self.clock()
        self._condition = threading.Condition()
        self._worker_pool = ThreadPoolExecutor(self.plan.workers, "lince-answer")

    @property
    def expected_wait(self) -> float:
        """The seconds that what is taken in will take."""
        return self.pending_images * self.seconds_per_image

    def refuse_if_full(self, photos: int = 1) -> None:
        """Raise ``RefusedError`` (429) when ``photos`` more would wait for longer than the bound."""
        expected = (self.pending_images + photos) * self.seconds_per_image
        if self.pending_images and (
            expected > LATENCY_MARGIN * self.plan.max_latency or self.pending_images + photos > self.plan.max_queue
        ):
            raise server_busy_error(self.expected_wait)

    async def predict(self, photos: Sequence[UploadedImage], threshold: float | None = None) -> list[Outcome]:
        """Return what became of each of ``photos``: an answer or a ``RefusedError``.

        Raises ``RefusedError`` (429) when they would wait too long, ``RetiredError`` when another version took over.
        When the task that awaits is cancelled, what was not begun is not computed.
        """
        request = self._admit(len(photos))
        jobs = [_Job(request, place, photo, photo.name, threshold) for place, photo in enumerate(photos)]
        for job in jobs:
            look = partial(copy_context().run, self._decode, job)  # refusals speak the client's language
            self.decoder_pool.submit(look).add_done_callback(partial(self._on_decoded, job))
        try:
            return await request.future
        finally:
            request.cancelled = True

    def retire(self) -> None:
        """Take no more photos in; the threads end when those that were taken are answered."""
        with self._condition:
            self._retired = True
            self._shutdown_if_done()

    def _admit(self, photos: int) -> _Request:
        loop = asyncio.get_running_loop()
        with self._condition:
            if self._retired:
                raise ModelReplacedError
            self.refuse_if_full(photos)
            now = self.clock()
            self.pending_images += photos
            self._decoding_count += photos
        # A request larger than the bound allows is taken when nothing waits; it may then use its own time twice.
        deadline = now + max(_DEADLINE_RATIO * self.plan.max_latency, 2 * photos * self.seconds_per_image)
        return _Request(loop, loop.create_future(), [None] * photos, now, deadline, photos)

    def _decode(self, job: _Job) -> None:
        photo, job.image = job.image, None
        if job.request.cancelled or self.clock() > job.request.deadline:
            raise server_busy_error(self.expected_wait)
        if photo is not None:
            job.prepared_image = self.model.prepare(photo)

    def _on_decoded(self, job: _Job, done: Future[None]) -> None:
        """Put a photo that was decoded into the queue; tell at once of one that was not."""
        error = done.exception()
        with self._condition:
            self._decoding_count -= 1
            self._condition.notify_all()
            if job.prepared_image is not None:
                self._ready_jobs.append(job)
                if self._busy_workers < self.plan.workers:
                    self._busy_workers += 1
                    self._start_batch()
        if job.prepared_image is None:
            self._finish_jobs([(job, error)])

    def _start_batch(self) -> None:
        batch: list[_Job] = []
        self._worker_pool.submit(self._run_batch, batch).add_done_callback(partial(self._on_batch_done, batch))

    def _run_batch(self, batch: list[_Job]) -> list[Outcome]:
        """Take a batch of what waits into ``batch`` and return the answers."""
        late, alone = self._take_batch(batch)
        self._finish_jobs([(job, server_busy_error(self.expected_wait)) for job in late])
        if not batch:
            return []
        seen = [job.prepared_image for job in batch if job.prepared_image is not None]
        answers = self.model.predict_prepared(seen, [job.name for job in batch], batch[0].threshold, alone)
        self._update_pace(batch)
        return [answer for _job, answer in zip(batch, answers, strict=True)]

    def _on_batch_done(self, batch: list[_Job], done: Future[list[Outcome]]) -> None:
        """Hand the answers of ``batch`` over, or what went wrong instead; go on while something waits."""
        error = done.exception()
        outcomes = done.result() if error is None else [error] * len(batch)
        self._finish_jobs(list(zip(batch, outcomes, strict=True)))
        with self._condition:
            if self._ready_jobs:
                self._start_batch()
            else:
                self._busy_workers -= 1
                self._shutdown_if_done()

    def _take_batch(self, batch: list[_Job]) -> tuple[list[_Job], bool]:
        """Move the photos of the next batch, all with one threshold, into ``batch``.

        Returns those that are too late or not wanted, and whether the batch is alone: nothing else was taken in.
        """
        with self._condition:
            if self._decoding_count:
                self._condition.wait_for(
                    lambda: len(self._ready_jobs) >= self.plan.max_batch_size or not self._decoding_count,
                    self.plan.batch_delay,
                )
            limit = self.clock() + self.seconds_per_image * self.plan.workers * min(
                self.plan.max_batch_size, len(self._ready_jobs)
            )
            late: list[_Job] = []
            kept: list[_Job] = []
            while self._ready_jobs and len(batch) < self.plan.max_batch_size:
                job = self._ready_jobs.popleft()
                if job.request.cancelled or job.request.deadline < limit:
                    late.append(job)
                elif batch and job.threshold != batch[0].threshold:
                    kept.append(job)
                else:
                    batch.append(job)
            self._ready_jobs.extendleft(reversed(kept))
            return late, self.pending_images == len(batch) + len(late)

    def _update_pace(self, batch: list[_Job]) -> None:
        """Measure the pace by the time since the batch before was ready, whichever worker answered that one."""
        with self._condition:
            now = self.clock()
            seconds = now - max(self._last_batch_time, min(job.request.start_time for job in batch))
            self._last_batch_time = now
            self.seconds_per_image += _PACE_SMOOTHING * (seconds / len(batch) - self.seconds_per_image)
        self.on_batch(len(batch), seconds)

    def _finish_jobs(self, outcomes: list[tuple[_Job, Outcome]]) -> None:
        """Hand outcomes to the loops that wait for them, and free their places."""
        with self._condition:
            self.pending_images -= len(outcomes)
            self._shutdown_if_done()
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Outcome]]] = {}
        for job, outcome in outcomes:
            by_loop.setdefault(job.request.loop, []).append((job, outcome))
        for loop, told in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver_outcomes, told)

    def _shutdown_if_done(self) -> None:
        if self._retired and not self.pending_images and not self._busy_workers:
            self._worker_pool.shutdown(wait=False)


def _deliver_outcomes(outcomes: list[tuple[_Job, Outcome]]) -> None:
    for job, outcome in outcomes:
        request = job.request
        request.outcomes[job.index] = outcome
        request.remaining -= 1
        if not request.remaining and not request.future.done():
            request.future.set_result(request.outcomes)


def find_unexpected_error(outcomes: Sequence[Outcome]) -> BaseException | None:
    """Return the first exception among ``outcomes`` that is no refusal."""
    return next((one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, ApiError)), None)
