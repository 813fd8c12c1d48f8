"""The rule of all tasks on test images that the training images give away: by how much they flatter the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lince.evaluation.confidence import ConfidenceInterval
from lince.findings import Finding, Severity
from lince.i18n import _, translate_plural
from lince.number_format import format_count, format_decimal, format_percent, format_percent_range

SERIOUS_INFLATION = 0.02  # of the figure, from which the finding is serious


@dataclass(frozen=True)
class LeakSummary:
    """What ``count`` of ``total`` test images do to the headline figure of a task, called ``name`` in its language.

    They show the same as training or validation images. ``measured`` is the figure on all test images, ``clean`` that
    without them, ``None`` where it cannot be measured on what is left. ``kinds`` counts them by how they are related to
    those images (``Division.count_leaks``).
    """

    name: str
    count: int
    total: int
    measured: ConfidenceInterval
    clean: ConfidenceInterval | None
    kinds: Mapping[str, int] = field(default_factory=dict)


class _HasLeak(Protocol):
    """The input of a diagnosis; ``leak`` is ``None`` where no test image leaks."""

    @property
    def leak(self) -> LeakSummary | None: ...


def check_leak(inputs: _HasLeak) -> Finding | None:
    """Return ``leak`` where test images show the same as training or validation images.

    Serious when the figure is inflated by ``SERIOUS_INFLATION``, or nothing else is left to measure it on. Figures:
    ``count`` and ``total`` images, ``kinds`` of them, ``measured`` and ``clean`` with their intervals, ``inflation``,
    their difference.
    """
    leak = inputs.leak
    if leak is None:
        return None
    inflation = None if leak.clean is None else leak.measured.value - leak.clean.value
    is_serious = inflation is None or inflation >= SERIOUS_INFLATION
    return Finding(
        "leak",
        Severity.SERIOUS if is_serious else Severity.WARNING,
        _("Test images that were seen in training"),
        _describe_leak(leak),
        (
            _("Trust the figure without them."),
            _("For a split that keeps them together: lince split DATA --ignore-existing-split, then train again."),
        ),
        {
            "count": leak.count,
            "total": leak.total,
            "kinds": dict(leak.kinds),
            "measured": leak.measured.to_dict(),
            "clean": None if leak.clean is None else leak.clean.to_dict(),
            "inflation": inflation,
        },
    )


def describe_leak_kinds(counts: Mapping[str, int]) -> str:
    """Return the numbers of ``Division.count_leaks`` in words: "3 copies, 12 near copies, 40 frames of a film"."""
    copies, near, frames, grouped = (counts.get(kind, 0) for kind in ("copies", "near_copies", "frames", "grouped"))
    texts = (
        (copies, translate_plural("{count:,} copy", "{count:,} copies", copies)),
        (near, translate_plural("{count:,} near copy", "{count:,} near copies", near)),
        (frames, translate_plural("{count:,} frame of the same film", "{count:,} frames of the same film", frames)),
        (
            grouped,
            translate_plural(
                "{count:,} photo of the same group by name", "{count:,} photos of the same group by name", grouped
            ),
        ),
    )
    return ", ".join(text.format(count=count) for count, text in texts if count)


def _describe_leak(leak: LeakSummary) -> str:
    """Return the sentences with both figures, and their difference in percentage points."""
    text = _(
        "{count} of {total} test images show the same as training or validation images{kinds}. {name} is {value} on "
        "all test images"
    ).format(
        kinds=f" ({describe_leak_kinds(leak.kinds)})" if leak.kinds else "",
        count=format_count(leak.count),
        total=format_count(leak.total),
        name=leak.name,
        value=format_percent(leak.measured.value),
    )
    if leak.clean is None:
        return text + _("; without them nothing is left to measure it on.")
    return (
        text
        + " "
        + _("and {value} ({range}) without them: a difference of {points} points.").format(
            value=format_percent(leak.clean.value),
            range=format_percent_range(leak.clean.low, leak.clean.high),
            points=format_decimal(100 * (leak.measured.value - leak.clean.value), 1),
        )
    )
