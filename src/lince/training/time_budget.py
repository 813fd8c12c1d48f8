"""Keeps a training within its time budget: what is left of it, and how many epochs still fit, corrected as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lince.training.plan import TrainingPlan

Clock = Callable[[], float]
_SAFETY = 1.25  # of what an estimate says: other programs may start meanwhile
_FIRST_STEPS, _MAX_SLOWNESS = 8, 4.0
_MIN_EPOCH = 0.2  # of an epoch, worth beginning


@dataclass(frozen=True)
class ClosingTimes:
    """About how many seconds the end takes: export, evaluation and report, and before them one validation."""

    closing: float
    validation: float


class TimeBudget:
    """The time that is left of a budget, in seconds of ``clock``; all estimates are corrected as it goes.

    ``ends_at`` is when everything has to be done, ``closing_times`` what follows the training.
    """

    def __init__(self, ends_at: float, closing_times: ClosingTimes, clock: Clock = time.monotonic) -> None:
        self.ends_at, self.clock = ends_at, clock
        self.closing_seconds, self.validation_seconds = closing_times.closing, closing_times.validation
        self.step_seconds = 0.0
        self._step_count, self._first_step_seconds = 0, 0.0
        self._started_at = clock()
        self._spent_before = 0.0

    def subtract_earlier(self, seconds: float) -> None:
        """Take ``seconds`` off the budget, which an interrupted run has spent in training before."""
        self.ends_at -= seconds
        self._spent_before += seconds

    def compute_seconds_left(self) -> float:
        """Return the seconds that are left for training steps, when a last validation and the closing follow."""
        closing = self.closing_seconds * self._compute_slowness() + self.validation_seconds
        return self.ends_at - _SAFETY * closing - self.clock()

    def is_spent(self) -> bool:
        """Return whether there is no time for another training step."""
        return self.compute_seconds_left() < self.step_seconds

    def compute_spent_share(self) -> float:
        """Return how much of the time for training is gone, 0 to 1; the learning rate follows it."""
        spent = self._spent_before + self.clock() - self._started_at
        return min(1.0, spent / max(spent + self.compute_seconds_left(), 1e-9))

    def record_step(self, seconds: float) -> None:
        """Correct the time of a training step by one that took ``seconds``, slowly: single ones vary."""
        self.step_seconds += 0.2 * (seconds - self.step_seconds) if self.step_seconds else seconds
        self._step_count += 1
        if self._step_count == _FIRST_STEPS:
            self._first_step_seconds = self.step_seconds

    def _compute_slowness(self) -> float:
        """Return how many times slower steps are than at the start, when the closing was estimated; at least 1."""
        if not self._first_step_seconds:
            return 1.0
        return min(_MAX_SLOWNESS, max(1.0, self.step_seconds / self._first_step_seconds))

    def record_validation(self, seconds: float) -> None:
        """Correct the time of a validation by one that took ``seconds``: at once if it was slower, else slowly."""
        self.validation_seconds = max(seconds, 0.5 * (seconds + self.validation_seconds))

    def correct_plan(self, plan: TrainingPlan, done: int, steps_per_epoch: int) -> TrainingPlan:
        """Return ``plan`` with as many epochs as still fit after ``done`` of them, never more than before.

        The last one may be cut short. Epochs without mixing keep their share of all.
        """
        epoch_seconds = steps_per_epoch * self.step_seconds + self.validation_seconds
        affordable = max(0.0, self.compute_seconds_left() + self.validation_seconds) / max(epoch_seconds, 1e-9)
        epochs = done + int(affordable) + (affordable % 1 >= _MIN_EPOCH)
        if epochs >= plan.epochs:
            return plan
        return plan.scale(max(epochs, done, 1))


def allot_evenly(ends_at: float, count: int, clock: Clock = time.monotonic) -> float:
    """Return the budget in seconds of the next of ``count`` trainings that together end at ``ends_at``, at least 1."""
    return max(1.0, (ends_at - clock()) / count)
