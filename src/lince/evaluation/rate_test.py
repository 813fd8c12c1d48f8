"""Finds a learning rate by trying rising ones for a few steps: the range test.

Smith 2017, "Cyclical learning rates for training neural networks", section 3.3: the rate grows from step to step while
the loss is recorded, which shows where the network begins to learn and where it diverges. Nothing of it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.display import NotebookDisplay

LOWEST_RATE, HIGHEST_RATE, STEP_COUNT = 1e-6, 1.0, 100
_SMOOTHING_STEPS = 3.0  # standard deviation of the window, in steps
_FIRST_STEPS = 10  # at rates so low that nothing is learned: their losses show how much batches differ
_PEAK_MARGIN = 2.0  # below the rate with the lowest loss
_CLEAR_FALL = 1.5  # standard deviations; of noise alone the fall is less in 95 of 100 tests (2,000 drawn)
_DIVERGENCE_FACTOR, _RECENT_STEPS = 4.0, 3
_DEFAULT_TOLERANCE = 3.0  # a planned rate within this factor of the suggestion is as good


@dataclass(frozen=True)
class RateTest:
    """What a range test of one recipe measured.

    ``rates`` (N,) rise geometrically, ``losses`` (N,) are those of the training batches at these rates, before the step
    is taken. ``planned_rate`` is the peak learning rate that a training would choose by itself. ``batch_size`` is in
    images; ``drawn_count`` images, counted each time, were drawn from the ``train_count`` training images.
    """

    recipe: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    planned_rate: float
    batch_size: int
    drawn_count: int
    train_count: int
    seed: int

    @property
    def smooth_losses(self) -> tuple[float, ...]:
        """The losses as a running mean (N,), with a Gaussian window that is centred, so that it does not lag."""
        return tuple(smooth_losses(self.losses).tolist())

    @property
    def has_diverged(self) -> bool:
        """Whether the test ended early, because the loss rose far above its lowest value."""
        return len(self.rates) < STEP_COUNT

    @property
    def lowest_rate(self) -> float:
        """The rate at which the smoothed loss is lowest."""
        return self.rates[int(np.argmin(self.smooth_losses))]

    @property
    def suggested_rate(self) -> float | None:
        """Half of the rate with the lowest smoothed loss; ``None`` where the loss did not fall clearly.

        Smith takes the rate at which learning slows down for the upper bound of a cycle; lince's schedule stays near
        its peak for longer than a cycle does. It fell clearly where it fell, after the first steps, by more than 1.5
        standard deviations of the losses of the first steps, which differ by their batches alone.
        """
        smooth, first = np.array(self.smooth_losses), np.array(self.losses[:_FIRST_STEPS])
        lowest = int(np.argmin(smooth))
        if lowest < _FIRST_STEPS or not first.mean() - smooth[lowest] > _CLEAR_FALL * first.std():
            return None
        return round_rate(self.rates[lowest] / _PEAK_MARGIN)

    @property
    def agrees_with_plan(self) -> bool:
        """Whether the planned rate is about as good as the suggested one, within a factor of 3."""
        suggested = self.suggested_rate
        return suggested is not None and abs(math.log(suggested / self.planned_rate)) <= math.log(_DEFAULT_TOLERANCE)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "recipe": self.recipe,
            "suggested_rate": self.suggested_rate,
            "planned_rate": self.planned_rate,
            "steps": len(self.rates),
            "diverged": self.has_diverged,
            "batch": self.batch_size,
            "drawn_images": self.drawn_count,
            "train_images": self.train_count,
            "seed": self.seed,
            "rates": list(self.rates),
            "losses": list(self.losses),
        }


@dataclass(frozen=True)
class RateSearch(NotebookDisplay):
    """The range tests of one call, one for each recipe that was asked for.

    Attributes:
        source: what was trained on, as its name is shown.
        tests: what was measured, by recipe.
    """

    html_renderer = "lince.notebook.rate_html:render_rate_search"
    source: str
    tests: tuple[RateTest, ...]

    @property
    def rate(self) -> float | None:
        """The suggested learning rate of the first recipe; ``None`` where there is no suggestion."""
        return self.tests[0].suggested_rate

    def to_dict(self) -> dict[str, Any]:
        """Return the figures of all tests as JSON values."""
        return {"source": self.source, "tests": [test.to_dict() for test in self.tests]}


def make_test_rates() -> list[float]:
    """Return the learning rates of the steps, a geometric series from ``LOWEST_RATE`` to ``HIGHEST_RATE``."""
    rates: list[float] = np.geomspace(LOWEST_RATE, HIGHEST_RATE, STEP_COUNT).tolist()
    return rates


def is_diverging(losses: Sequence[float]) -> bool:
    """Return whether a test that measured ``losses`` (N,), at least one, has gone far enough.

    The last loss is not finite, or the mean of the last 3 is above 4 times the lowest mean of 3.
    """
    if not math.isfinite(losses[-1]):
        return True
    if len(losses) < _FIRST_STEPS:
        return False
    means = np.convolve(losses, np.full(_RECENT_STEPS, 1 / _RECENT_STEPS), "valid")
    return bool(means[-1] > _DIVERGENCE_FACTOR * means.min())


def smooth_losses(losses: Sequence[float]) -> NDArray[np.float64]:
    """Return the running mean float64 (N,) of ``losses`` (N,) with a centred Gaussian window."""
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, None] - steps[None, :]) / _SMOOTHING_STEPS) ** 2)
    return np.asarray(weights @ np.asarray(losses, np.float64) / weights.sum(1))


def round_rate(rate: float) -> float:
    """Return ``rate`` with two significant digits, as it is printed and typed."""
    return float(f"{rate:.1e}")
