"""Maps a function over items in threads, yielding results in order with a bounded number in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(function: Callable[[T], R], items: Iterable[T], threads: int, max_pending: int) -> Iterator[R]:
    """Yield ``function(item)`` for each of ``items``, in order, computed in ``threads`` threads.

    Unlike ``Executor.map``, it reads ``items`` lazily: at most ``max_pending`` are being computed or wait to be
    consumed, so memory stays bounded for endless iterables too. ``items`` is iterated in the caller's thread only. An
    exception of ``function`` is raised at its place in the order. When the caller stops iterating, what has not begun
    is cancelled.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[R]] = deque()
        try:
            while True:
                pending.extend(pool.submit(function, item) for item in islice(remaining, max_pending - len(pending)))
                if not pending:
                    return
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def iter_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield ``items`` in lists of ``size``; the last one may be shorter, and no items give no list."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
