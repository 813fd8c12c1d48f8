"""Rules on a headline figure with its interval, which the tasks call with their own figure and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.diagnosis.name_list import join_names
from lince.findings import Finding, Severity
from lince.i18n import _
from lince.number_format import format_count, format_percent, format_percent_range

MAX_HALF_WIDTH = 0.05  # half the width of the interval of the figure
TARGET_HALF_WIDTH = 0.03  # that the recommended size of the test set would give
OVERFITTING_GAP = 0.05  # figure on training images minus that on test images: a note
LARGE_OVERFITTING_GAP = 0.15  # and from here on a warning


def judge_test_set_size(figure: ConfidenceInterval, size: int, text: str) -> Finding | None:
    """Return ``small_test_set`` when the interval of ``figure`` is wider than 2 x ``MAX_HALF_WIDTH``.

    ``text`` is the sentence, with ``{size}`` test images and the ``{range}``. The recommended number of test images is
    rounded up to tens. Figures: ``count`` of test images, the interval from ``low`` to ``high`` (0..1), and the number
    of images ``needed``.
    """
    half_width = (figure.high - figure.low) / 2
    if half_width <= MAX_HALF_WIDTH:
        return None
    # The width is inversely proportional to the square root of the number of images.
    needed = ceil(size * (half_width / TARGET_HALF_WIDTH) ** 2 / 10) * 10
    return Finding(
        "small_test_set",
        Severity.WARNING,
        _("The test set is too small for a reliable estimate"),
        text.format(size=format_count(size), range=format_percent_range(figure.low, figure.high)),
        (
            _("About {needed} test images would bring it to ± {aim}.").format(
                needed=format_count(needed), aim=format_percent(TARGET_HALF_WIDTH, 0)
            ),
            _("Do not choose between models whose intervals overlap this much: use lince compare."),
        ),
        {"count": size, "low": figure.low, "high": figure.high, "needed": needed},
    )


def judge_overfitting(
    train: float | None,
    test: ConfidenceInterval,
    key: str,
    text: str,
    advice: tuple[str, ...],
    large_gap: float = LARGE_OVERFITTING_GAP,
) -> Finding | None:
    """Return ``overfitting`` when the figure on training images exceeds that on test images and its interval.

    ``text`` is the sentence, with the figures ``{train}`` and ``{test}``; ``key`` that of the figure in
    ``report.json``. A gap of ``large_gap`` is a warning, a smaller one from ``OVERFITTING_GAP`` on a note.
    Figures: ``train_KEY``, ``test_KEY`` and their difference ``gap``, 0..1.
    """
    if train is None or not train - test.value >= OVERFITTING_GAP or train <= test.high:
        return None
    gap = train - test.value
    return Finding(
        "overfitting",
        Severity.WARNING if gap >= large_gap else Severity.NOTE,
        _("Overfitting: the model memorised the training images"),
        text.format(train=format_percent(train), test=format_percent(test.value)),
        advice,
        {f"train_{key}": train, f"test_{key}": test.value, "gap": gap},
    )


def judge_weak_classes(
    figures: Mapping[str, ConfidenceInterval | None], limit: float, text: str, advice: tuple[str, ...]
) -> Finding | None:
    """Return ``weak_classes`` with the classes whose figure is surely below ``limit``, the weakest first.

    ``text`` is the sentence, with the ``{limit}`` and the ``{names}``. Figures: ``classes``, the figure by name.
    """
    judged = ((name, item) for name, item in figures.items() if item is not None)
    weak = {name: item.value for name, item in sorted(judged, key=lambda pair: pair[1].value) if item.high < limit}
    if not weak:
        return None
    listing = [f"{name} ({format_percent(value)})" for name, value in weak.items()]
    return Finding(
        "weak_classes",
        Severity.WARNING,
        _("Classes that the model hardly recognises"),
        text.format(limit=format_percent(limit, 0), names=join_names(listing)),
        advice,
        {"classes": weak},
    )


def judge_never_predicted(scores: Iterable[Any], text: str) -> Finding | None:
    """Return ``never_answered`` with the classes of ``scores`` that have ``support`` and are never ``predicted``.

    ``text`` is the sentence, with the ``{names}``. Figures: ``classes``, their names.
    """
    names = [score.name for score in scores if score.support and not score.predicted]
    if not names:
        return None
    return Finding(
        "never_answered",
        Severity.SERIOUS,
        _("Classes that are never predicted"),
        text.format(names=join_names(names)),
        (
            _("Check that these classes have training photos, and that their labels are correct."),
            _("Collect more photos of them, or merge them with a similar class (--merge)."),
        ),
        {"classes": names},
    )


def report_all_well(figure: ConfidenceInterval, text: str) -> Finding:
    """Return ``all_well`` with ``text``, which has the ``{value}`` of ``figure`` and its ``{range}``, 0..1."""
    return Finding(
        "all_well",
        Severity.GOOD,
        _("No serious problem was found"),
        text.format(value=format_percent(figure.value), range=format_percent_range(figure.low, figure.high)),
        (_("Test it on photos from where it will be used: that is the test that counts."),),
        figure.to_dict(),
    )
