"""The time until which photos are compared, for trainings that have a budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class TimeLimit:
    """Photos are compared until ``ends_at``, in seconds of ``clock``; what is undecided then counts as alike."""

    ends_at: float = math.inf
    clock: Callable[[], float] = time.monotonic

    def is_over(self) -> bool:
        """Return whether nothing should be compared any more."""
        return self.clock() >= self.ends_at


UNLIMITED = TimeLimit()
