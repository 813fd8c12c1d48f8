"""Threads before and behind the network: bounded queues between them, and what goes wrong in one is raised here."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

_QUEUE_SIZE = 8  # things between two workers
_POLL_SECONDS = 0.1  # seconds after which a worker asks whether the other has stopped
T = TypeVar("T")


class _WorkerQueue(Generic[T]):
    """A bounded queue between two threads; once ``stopped``, nothing more is put in."""

    def __init__(self) -> None:
        self._queue: queue.Queue[T | None] = queue.Queue(_QUEUE_SIZE)
        self.stopped = threading.Event()

    def put(self, one: T | None) -> bool:
        """Wait for room and tell whether there was any before the other side stopped."""
        while not self.stopped.is_set():
            try:
                self._queue.put(one, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                one = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if self.stopped.is_set():
                    return
                continue
            if one is None:
                return
            yield one


@contextmanager
def prefetch_items(source: Iterable[T]) -> Iterator[Iterator[T]]:
    """Yield an iterator over ``source``, which another thread runs a few ahead."""
    pipe: _WorkerQueue[T] = _WorkerQueue()

    def work() -> None:
        for one in source:
            if not pipe.put(one):
                return
        pipe.put(None)

    with ThreadPoolExecutor(1) as pool:
        future = _submit_worker(pool, pipe, work)
        try:
            yield iter(pipe)
        finally:
            pipe.stopped.set()
            future.result()


@contextmanager
def run_in_background(work: Callable[[T], None]) -> Iterator[Callable[[T], None]]:
    """Yield where to put what another thread is to ``work`` on, in order; at the end, wait until it is done."""
    pipe: _WorkerQueue[T] = _WorkerQueue()

    def all_of_it() -> None:
        for one in pipe:
            work(one)

    with ThreadPoolExecutor(1) as pool:
        future = _submit_worker(pool, pipe, all_of_it)

        def put(one: T) -> None:
            if not pipe.put(one):
                future.result()

        try:
            yield put
            pipe.put(None)
            future.result()
        finally:
            pipe.stopped.set()


def _submit_worker(pool: ThreadPoolExecutor, pipe: _WorkerQueue[T], work: Callable[[], None]) -> Future[None]:
    future = pool.submit(work)
    future.add_done_callback(lambda _future: pipe.stopped.set())
    return future
