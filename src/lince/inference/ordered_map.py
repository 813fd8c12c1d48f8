"""Work done in threads whose outcomes come in order, with a bounded number of them under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

G = TypeVar("G")
D = TypeVar("D")


def ordered_map(work: Callable[[G], D], items: Iterable[G], threads: int, max_pending: int) -> Iterator[D]:
    """Yield ``work(item)`` for each of ``items``, in order, from ``threads`` threads.

    At most ``ahead`` items are under way or wait to be taken, so that memory stays bounded; ``items`` is asked for them
    in the thread of the caller. What ``work`` raises is raised here. When the caller stops, nothing more is begun.
    """
    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[D]] = deque()
        try:
            while True:
                waiting.extend(pool.submit(work, item) for item in islice(rest, max_pending - len(waiting)))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def iter_batches(items: Iterable[G], size: int) -> Iterator[list[G]]:
    """Yield ``items`` in lists of ``size``, the last one of what is left."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
