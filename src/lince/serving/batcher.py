"""Dynamic batching: images of concurrent requests are decoded in threads and predicted together in batches.

Several batches run at the same time, each on its share of the cores, since a network loses much time when its own
threads wait for each other. A batch with nothing beside it gets all cores.
Admission control: a request is accepted only if everything queued before it can be predicted within the latency bound,
and images that miss their deadline nevertheless are dropped before the network sees them. So the queue never grows past
the bound, and nothing is computed that nobody waits for.
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

from lince.inference.image_loading import PreparedImage
from lince.serving.request_images import UploadedImage
from lince.web.http_errors import ApiError, server_busy_error

LATENCY_MARGIN = 0.75  # fraction of the latency bound that an estimated wait may fill
_DEADLINE_RATIO = 0.9  # fraction of the bound after which a prediction is too late, to leave time for the way back
_PACE_SMOOTHING = 0.2  # weight of the newest batch in the moving average of the seconds per image


class BatchModel(Protocol):
    """What the batcher needs of a model; both methods are called from many threads at once."""

    def prepare(self, image: UploadedImage) -> PreparedImage:
        """Return ``image`` decoded and resized for the network; raise ``ApiError`` when it cannot be read."""

    def predict_prepared(
        self, prepared: Sequence[PreparedImage], names: Sequence[str], threshold: float | None, alone: bool
    ) -> Sequence[Any]:
        """Return one result per image; ``alone`` says that no other batch runs, so all cores may be used."""


BatchCallback = Callable[[int, float], None]  # called after each batch with its number of images and seconds


@dataclass(frozen=True)
class BatchPlan:
    """The sizes and times of batching for one model.

    A batch has up to ``max_batch_size`` images and waits up to ``batch_delay`` seconds for more of them while some are
    being decoded; ``workers`` batches run at the same time. ``max_latency`` is the bound in seconds for a whole
    request, ``max_queue`` the largest number of images waiting. ``seconds_per_image`` is the throughput under load as
    benchmarked at startup, the first estimate for admission.
    """

    max_batch_size: int
    batch_delay: float
    max_latency: float
    max_queue: int
    seconds_per_image: float
    workers: int = 1


class ModelReplacedError(Exception):
    """Another version of the model has replaced this one: send the request to that one's batcher."""


Outcome = Any  # a prediction result, an ApiError, or another exception


@dataclass(eq=False)
class _Request:
    """One request: its outcomes so far, of which ``remaining`` are missing, and the future that gets them.

    ``start_time`` and ``deadline`` are in seconds of the batcher's clock.
    """

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[Outcome]]
    outcomes: list[Outcome]
    start_time: float
    deadline: float
    remaining: int
    cancelled: bool = False


@dataclass(eq=False)
class _Job:
    """One image of a request, at ``index``; ``image`` is released when it has been decoded."""

    request: _Request
    index: int
    image: UploadedImage | None
    name: str
    threshold: float | None
    prepared_image: PreparedImage | None = None


@dataclass(eq=False)
class RequestBatcher:
    """The queue of one model version.

    ``decoder_pool`` is shared by all models; the network runs in ``plan.workers`` threads of its own.
    ``pending_images`` counts the images accepted and not finished; ``seconds_per_image`` is the current estimate, a
    moving average. Requests are accepted in event loops, everything else runs in threads under one lock.
    """

    model: BatchModel
    plan: BatchPlan
    decoder_pool: ThreadPoolExecutor
    on_batch: BatchCallback
    clock: Callable[[], float] = time.monotonic
    pending_images: int = 0
    seconds_per_image: float = field(init=False)

    def __post_init__(self) -> None:
        self.seconds_per_image = self.plan.seconds_per_image
        self._ready_jobs: deque[_Job] = deque()  # decoded, waiting for a batch
        self._decoding_count = 0  # images accepted and not decoded yet
        self._busy_workers = 0  # workers that run a batch or are about to
        self._retired = False
        self._last_batch_time = self.clock()
        self._condition = threading.Condition()
        self._worker_pool = ThreadPoolExecutor(self.plan.workers, "lince-answer")

    @property
    def expected_wait(self) -> float:
        """The estimated seconds until everything accepted so far is predicted."""
        return self.pending_images * self.seconds_per_image

    def refuse_if_full(self, count: int = 1) -> None:
        """Raise ``ApiError`` (429) when ``count`` more images would exceed the latency bound or the queue.

        An empty queue accepts any number: otherwise a large request would be refused for ever.
        """
        expected_seconds = (self.pending_images + count) * self.seconds_per_image
        if self.pending_images and (
            expected_seconds > LATENCY_MARGIN * self.plan.max_latency
            or self.pending_images + count > self.plan.max_queue
        ):
            raise server_busy_error(self.expected_wait)

    async def predict(self, images: Sequence[UploadedImage], threshold: float | None = None) -> list[Outcome]:
        """Return the outcome of each of ``images``: a result, or the ``ApiError`` or other exception that it raised.

        ``threshold`` is a detector's score threshold; images with different ones never share a batch. Raises
        ``ApiError`` (429) when the queue is full, ``ModelReplacedError`` when the batcher is retired. When the awaiting
        task is cancelled, images not in a batch yet are dropped.
        """
        request = self._admit(len(images))
        jobs = [_Job(request, index, image, image.name, threshold) for index, image in enumerate(images)]
        for job in jobs:
            decode = partial(copy_context().run, self._decode, job)  # the context holds the client's language
            self.decoder_pool.submit(decode).add_done_callback(partial(self._on_decoded, job))
        try:
            return await request.future
        finally:
            request.cancelled = True

    def retire(self) -> None:
        """Accept no more images; the worker threads end when those accepted are finished."""
        with self._condition:
            self._retired = True
            self._shutdown_if_done()

    def _admit(self, count: int) -> _Request:
        """Register a request of ``count`` images, or raise as ``predict``."""
        loop = asyncio.get_running_loop()
        with self._condition:
            if self._retired:
                raise ModelReplacedError
            self.refuse_if_full(count)
            now = self.clock()
            self.pending_images += count
            self._decoding_count += count
        # A request larger than the bound allows is accepted by an empty queue, with twice its expected time.
        deadline = now + max(_DEADLINE_RATIO * self.plan.max_latency, 2 * count * self.seconds_per_image)
        return _Request(loop, loop.create_future(), [None] * count, now, deadline, count)

    def _decode(self, job: _Job) -> None:
        """Decode the image of ``job`` in a decoder thread, unless it is too late."""
        image, job.image = job.image, None
        if job.request.cancelled or self.clock() > job.request.deadline:
            raise server_busy_error(self.expected_wait)
        if image is not None:
            job.prepared_image = self.model.prepare(image)

    def _on_decoded(self, job: _Job, future: Future[None]) -> None:
        """Queue a decoded image and start a batch if a worker is free; finish the job at once where decoding failed."""
        error = future.exception()
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
        """Submit a batch, empty until its worker thread fills it; the caller has counted a busy worker for it."""
        batch: list[_Job] = []
        self._worker_pool.submit(self._run_batch, batch).add_done_callback(partial(self._on_batch_done, batch))

    def _run_batch(self, batch: list[_Job]) -> list[Outcome]:
        """Fill ``batch`` from the queue in a worker thread and return its results; jobs that are too late get a 429."""
        late, alone = self._take_batch(batch)
        self._finish_jobs([(job, server_busy_error(self.expected_wait)) for job in late])
        if not batch:
            return []
        prepared = [job.prepared_image for job in batch if job.prepared_image is not None]
        results = self.model.predict_prepared(prepared, [job.name for job in batch], batch[0].threshold, alone)
        self._update_pace(batch)
        return [result for _job, result in zip(batch, results, strict=True)]

    def _on_batch_done(self, batch: list[_Job], future: Future[list[Outcome]]) -> None:
        """Deliver the results of ``batch``, or its exception to each job; run another batch while jobs are ready."""
        error = future.exception()
        outcomes = future.result() if error is None else [error] * len(batch)
        self._finish_jobs(list(zip(batch, outcomes, strict=True)))
        with self._condition:
            if self._ready_jobs:
                self._start_batch()
            else:
                self._busy_workers -= 1
                self._shutdown_if_done()

    def _take_batch(self, batch: list[_Job]) -> tuple[list[_Job], bool]:
        """Move the jobs of the next batch, all with the same threshold, from the queue into ``batch``.

        Returns the jobs that are cancelled or would miss their deadline, and whether nothing else is pending.
        """
        with self._condition:
            if self._decoding_count:
                self._condition.wait_for(
                    lambda: len(self._ready_jobs) >= self.plan.max_batch_size or not self._decoding_count,
                    self.plan.batch_delay,
                )
            batch_end = self.clock() + self.seconds_per_image * self.plan.workers * min(
                self.plan.max_batch_size, len(self._ready_jobs)
            )
            late: list[_Job] = []
            other_threshold: list[_Job] = []
            while self._ready_jobs and len(batch) < self.plan.max_batch_size:
                job = self._ready_jobs.popleft()
                if job.request.cancelled or job.request.deadline < batch_end:
                    late.append(job)
                elif batch and job.threshold != batch[0].threshold:
                    other_threshold.append(job)
                else:
                    batch.append(job)
            self._ready_jobs.extendleft(reversed(other_threshold))
            return late, self.pending_images == len(batch) + len(late)

    def _update_pace(self, batch: list[_Job]) -> None:
        """Update the seconds per image with the time since the last batch ended, whichever worker ran that one."""
        with self._condition:
            now = self.clock()
            seconds = now - max(self._last_batch_time, min(job.request.start_time for job in batch))
            self._last_batch_time = now
            self.seconds_per_image += _PACE_SMOOTHING * (seconds / len(batch) - self.seconds_per_image)
        self.on_batch(len(batch), seconds)

    def _finish_jobs(self, outcomes: list[tuple[_Job, Outcome]]) -> None:
        """Free the jobs' places in the queue and deliver their outcomes in the event loops of their requests."""
        with self._condition:
            self.pending_images -= len(outcomes)
            self._shutdown_if_done()
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Outcome]]] = {}
        for job, outcome in outcomes:
            by_loop.setdefault(job.request.loop, []).append((job, outcome))
        for loop, loop_outcomes in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver_outcomes, loop_outcomes)

    def _shutdown_if_done(self) -> None:
        """Release the worker threads of a retired batcher once nothing is pending; the lock is held."""
        if self._retired and not self.pending_images and not self._busy_workers:
            self._worker_pool.shutdown(wait=False)


def _deliver_outcomes(outcomes: list[tuple[_Job, Outcome]]) -> None:
    """Store outcomes in their requests and resolve the futures of those that are complete."""
    for job, outcome in outcomes:
        request = job.request
        request.outcomes[job.index] = outcome
        request.remaining -= 1
        if not request.remaining and not request.future.done():
            request.future.set_result(request.outcomes)


def find_unexpected_error(outcomes: Sequence[Outcome]) -> BaseException | None:
    """Return the first exception among ``outcomes`` that is not an ``ApiError``, a bug that is to be a 500."""
    return next(
        (error for error in outcomes if isinstance(error, BaseException) and not isinstance(error, ApiError)), None
    )
