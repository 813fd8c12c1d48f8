"""The test images with most errors of a detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lince.evaluation.detection.matcher import MatchInput
from lince.evaluation.detection.tide import ERROR_KINDS, MISSED, DetectionErrors, format_error_count

MAX_WORST_IMAGES = 24


@dataclass(frozen=True)
class WorstImage:
    """A test image with errors at the chosen thresholds: its index, the number of each error kind, and a summary.

    ``counts`` has only the kinds of ``ERROR_KINDS`` that occur; ``description`` is translated text.
    """

    image: int
    counts: dict[str, int]
    description: str

    @property
    def error_count(self) -> int:
        """The number of errors on the image."""
        return sum(self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the image as JSON."""
        return {"image": self.image, "counts": self.counts, "why": self.description}


def find_worst_images(match_input: MatchInput, errors: DetectionErrors) -> tuple[WorstImage, ...]:
    """Return at most ``MAX_WORST_IMAGES`` images with errors, those with most errors first."""
    is_error = errors.kind_ids >= 0
    counts = np.zeros((match_input.image_count, len(ERROR_KINDS)), np.int64)
    np.add.at(counts, (match_input.image_ids[is_error], errors.kind_ids[is_error]), 1)
    counts[:, ERROR_KINDS.index(MISSED)] = np.bincount(
        match_input.truth_image_ids[errors.missed], minlength=match_input.image_count
    )
    total = counts.sum(axis=1)
    order = np.argsort(-total, kind="stable")[:MAX_WORST_IMAGES]
    return tuple(_make_worst_image(int(image), counts[image].tolist()) for image in order if total[image])


def _make_worst_image(image: int, counts: list[int]) -> WorstImage:
    """Return the record of an image; ``counts`` are its numbers of errors in the order of ``ERROR_KINDS``."""
    counts_by_kind = {kind: number for kind, number in zip(ERROR_KINDS, counts, strict=True) if number}
    return WorstImage(
        image, counts_by_kind, ", ".join(format_error_count(kind, number) for kind, number in counts_by_kind.items())
    )
