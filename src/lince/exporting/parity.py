"""Whether an exported network answers what the trained one answers, on real images, before it is handed over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.errors import ModelError
from lince.messages import _

Run = Callable[[NDArray[Any]], NDArray[Any]]
TOLERANCE = 1e-3  # of probability; float32 kernels of two libraries differ by some 1e-5


@dataclass(frozen=True)
class ParityReport:
    """The largest differences over ``count`` images, and the share that got the same first class."""

    count: int
    logits: float
    probabilities: float
    agreement: float

    def record(self) -> dict[str, float]:
        """Return the figures for the model card."""
        return asdict(self)


def check(run: Run, reference: NDArray[Any], images: NDArray[Any], tolerance: float = TOLERANCE) -> ParityReport:
    """Return how far ``run`` (images (N, C, H, W) to logits (N, K)) is from the ``reference`` logits (N, K).

    Raises ``ModelError`` when a probability differs by more than ``tolerance`` or is not a number. First classes may
    then differ only where the two best tie within twice the tolerance.
    """
    logits = np.asarray(run(images), np.float64)
    if logits.shape != reference.shape:
        raise ValueError(f"the export answers {logits.shape}, the network {reference.shape}")
    trained = _softmax(np.asarray(reference, np.float64))
    exported = _softmax(logits)
    report = ParityReport(
        count=len(images),
        logits=float(np.abs(logits - reference).max(initial=0.0)),
        probabilities=float(np.abs(exported - trained).max(initial=0.0)),
        agreement=float((exported.argmax(1) == trained.argmax(1)).mean()) if len(images) else 1.0,
    )
    if not report.probabilities <= tolerance:
        raise ModelError(
            _("The exported network differs from the trained one by {found:.2g} in a probability.").format(
                found=report.probabilities
            ),
            _("Expected at most {tolerance:g} over {count} images.").format(tolerance=tolerance, count=report.count),
            _("Please report this with the model's name; the trained weights are in the run's checkpoints."),
        )
    return report


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))
