"""Union-find: which of N items are connected by the pairs merged so far (Galler and Fischer 1964)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class UnionFind:
    """Disjoint sets of the items 0..``count`` - 1, each alone at first. Paths are halved when a root is looked up."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def merge(self, first: int, second: int) -> bool:
        """Merge the sets of two items; return whether they were different."""
        root, other_root = self._find_root(first), self._find_root(second)
        self._parents[max(root, other_root)] = min(root, other_root)
        return root != other_root

    def is_connected(self, first: int, second: int) -> bool:
        """Whether two items are in the same set."""
        return self._find_root(first) == self._find_root(second)

    def get_group_ids(self) -> NDArray[np.int64]:
        """Return the number of each item's set, int64 (N,), from 0, in the order of the sets' smallest items."""
        roots = [self._find_root(item) for item in range(len(self._parents))]
        return np.asarray(np.unique(roots, return_inverse=True)[1], np.int64)

    def _find_root(self, item: int) -> int:
        """Return the root of an item's set, which is its smallest item."""
        parents = self._parents
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item
