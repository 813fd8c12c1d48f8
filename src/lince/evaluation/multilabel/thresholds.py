"""Chooses the probability from which on each class is said, by F1 on images that were not used for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.i18n import _, translate_plural
from lince.number_format import format_count, format_decimal
from lince.postprocess import DEFAULT_THRESHOLD

CANDIDATES = np.arange(1, 100) / 100  # a threshold that a person can read and type
MIN_EXAMPLES = 10  # classes on images; with fewer in all, F1 would choose almost at random
# Of other classes, that count with a class. On tiles of pets and flowers, 250 and 90 validation images, macro F1 on
# other images was 81.2 and 80.9 % so, 80.7 and 79.6 % without other classes, and 78.8 % at 0.5 throughout.
POOLED_EXAMPLES = 100
_ENOUGH = 1e-12  # of F1: less is rounding


@dataclass(frozen=True)
class ChosenThresholds:
    """The thresholds ``values`` of C classes, 0..1, and the classes, by id, with too ``few`` examples of their own.

    ``is_default`` where there are too few of all together, so that nothing was chosen.
    """

    values: tuple[float, ...]
    few: tuple[int, ...]
    is_default: bool

    def describe(self, names: tuple[str, ...], count: int, held_out_count: int = 0) -> str:
        """Return the sentences for the report: how the thresholds of the classes ``names`` were chosen.

        ``count`` is the number of validation images, ``held_out_count`` that of training images beside them, which were
        answered by cross-validation.
        """
        if self.is_default:
            return _(
                "The threshold is {default} for all classes: the {images} validation images have too few classes to "
                "choose by."
            ).format(default=format_decimal(DEFAULT_THRESHOLD, 1), images=count)
        if held_out_count:
            text = _(
                "The thresholds were chosen by F1 on {images} images: {val} of validation, and {train} of training, "
                "each answered by heads that were fitted without it."
            ).format(
                images=format_count(count + held_out_count), val=format_count(count), train=format_count(held_out_count)
            )
            return text + self._describe_few(names)
        text = translate_plural(
            "The thresholds were chosen by F1 on {images} validation image.",
            "The thresholds were chosen by F1 on the {images} validation images.",
            count,
        ).format(images=count)
        return text + self._describe_few(names)

    def _describe_few(self, names: tuple[str, ...]) -> str:
        """Return the sentence on the classes with few examples; empty where there are none."""
        if not self.few:
            return ""
        return " " + _("Classes on fewer than {least} of them follow the other classes: {names}.").format(
            least=MIN_EXAMPLES, names=", ".join(names[i] for i in self.few)
        )


def choose_thresholds(truth: NDArray[np.bool_], probabilities: NDArray[Any]) -> ChosenThresholds:
    """Return for each class the threshold of ``CANDIDATES`` with the highest F1 on ``probabilities`` (N, C).

    With few images of a class its F1 alone would choose almost at random. The answers about all other classes are
    therefore pooled with it, weighted as if they were ``POOLED_EXAMPLES`` examples, or as many as they are when they
    are fewer; they hardly matter for a class with many hundreds. Of equals it is the threshold nearest 0.5. Where
    ``truth`` bool (N, C) has fewer than ``MIN_EXAMPLES`` classes in all, it is 0.5 throughout.
    """
    class_count = truth.shape[1]
    positives = truth.sum(axis=0)
    few = tuple(int(i) for i in np.flatnonzero(positives < MIN_EXAMPLES))
    if positives.sum() < MIN_EXAMPLES:
        return ChosenThresholds((DEFAULT_THRESHOLD,) * class_count, few, is_default=True)
    shown = np.stack([_count_reached(probabilities[:, i]) for i in range(class_count)])
    correct = np.stack([_count_reached(probabilities[truth[:, i], i]) for i in range(class_count)])
    others = positives.sum() - positives
    weights = (np.minimum(others, POOLED_EXAMPLES) / np.maximum(others, 1))[:, None]
    pooled = [item + weights * (item.sum(axis=0) - item) for item in (correct, shown, positives[:, None])]
    f1 = 2 * pooled[0] / (pooled[1] + pooled[2])
    distances = np.where(f1 >= f1.max(axis=1, keepdims=True) - _ENOUGH, np.abs(CANDIDATES - DEFAULT_THRESHOLD), np.inf)
    values = CANDIDATES[distances.argmin(axis=1)]
    return ChosenThresholds(tuple(values.tolist()), few, is_default=False)


def _count_reached(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many of ``scores`` (K,) reach each of ``CANDIDATES``, compared in float64 as predictions are."""
    ordered = np.sort(np.asarray(scores, np.float64))
    return np.asarray(len(ordered) - np.searchsorted(ordered, CANDIDATES, side="left"), np.int64)
