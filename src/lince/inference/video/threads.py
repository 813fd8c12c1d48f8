"""Runs the stages before and after the network in threads of their own, connected by bounded queues.

An exception in a worker thread is raised in the main thread, when it next uses the stage or at its end.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

_QUEUE_SIZE = 8  # items between two stages
_POLL_SECONDS = 0.1  # how often a waiting side checks whether the other one has stopped
T = TypeVar("T")


class _WorkerQueue(Generic[T]):
    """A bounded queue between two threads; ``None`` marks its end.

    Setting ``stopped`` releases both sides: nothing more is put in, and iteration ends. ``stop_requested``, where it is
    given, ends the iteration alone.
    """

    def __init__(self, stop_requested: threading.Event | None = None) -> None:
        self._queue: queue.Queue[T | None] = queue.Queue(_QUEUE_SIZE)
        self._stop_requested = stop_requested or threading.Event()
        self.stopped = threading.Event()

    def put(self, item: T | None) -> bool:
        """Add ``item``, waiting while the queue is full; return false where the other side stopped first."""
        while not self.stopped.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[T]:
        while not self._stop_requested.is_set():
            try:
                item = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if self.stopped.is_set():
                    return
                continue
            if item is None:
                return
            yield item


@contextmanager
def prefetch_items(source: Iterable[T], stop_requested: threading.Event | None = None) -> Iterator[Iterator[T]]:
    """Yield an iterator over ``source``, which is iterated a few items ahead in another thread.

    It ends early where ``stop_requested`` is set, also while it waits. At the end the thread is stopped, wherever it
    is, and an exception of ``source`` is raised.
    """
    worker_queue: _WorkerQueue[T] = _WorkerQueue(stop_requested)

    def read_all() -> None:
        for item in source:
            if not worker_queue.put(item):
                return
        worker_queue.put(None)

    with ThreadPoolExecutor(1) as pool:
        future = _submit_worker(pool, worker_queue, read_all)
        try:
            yield iter(worker_queue)
        finally:
            worker_queue.stopped.set()
            future.result()


@contextmanager
def run_in_background(work: Callable[[T], None]) -> Iterator[Callable[[T], None]]:
    """Yield a function ``put(item)``: another thread calls ``work(item)`` for each item, in order.

    ``put`` waits while the queue is full; leaving the block waits until all items are processed. An exception of
    ``work`` is raised by the next ``put`` or when the block is left.
    """
    worker_queue: _WorkerQueue[T] = _WorkerQueue()

    def work_on_all() -> None:
        for item in worker_queue:
            work(item)

    with ThreadPoolExecutor(1) as pool:
        future = _submit_worker(pool, worker_queue, work_on_all)

        def put(item: T) -> None:
            if not worker_queue.put(item):
                future.result()

        try:
            yield put
            worker_queue.put(None)
            future.result()
        finally:
            worker_queue.stopped.set()


def _submit_worker(pool: ThreadPoolExecutor, worker_queue: _WorkerQueue[T], work: Callable[[], None]) -> Future[None]:
    """Start ``work`` in a thread; its end, also by an exception, stops the queue."""
    future = pool.submit(work)
    future.add_done_callback(lambda _future: worker_queue.stopped.set())
    return future
