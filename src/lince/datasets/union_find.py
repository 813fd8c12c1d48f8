"""Sets that grow together: which of N things are connected by what was joined (Galler and Fischer 1964)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class UnionFind:
    """N things, each in a set of its own until it is joined to another; paths are halved on the way."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def merge(self, one: int, other: int) -> bool:
        """Put two into one set; return whether they were apart."""
        one, other = self._find_root(one), self._find_root(other)
        self._parents[max(one, other)] = min(one, other)
        return one != other

    def is_connected(self, one: int, other: int) -> bool:
        """Whether two are in one set."""
        return self._find_root(one) == self._find_root(other)

    def get_group_ids(self) -> NDArray[np.int64]:
        """Return for each the number of its set int64 (N,)."""
        roots = [self._find_root(thing) for thing in range(len(self._parents))]
        return np.asarray(np.unique(roots, return_inverse=True)[1], np.int64)

    def _find_root(self, thing: int) -> int:
        above = self._parents
        while above[thing] != thing:
            above[thing] = above[above[thing]]
            thing = above[thing]
        return thing
