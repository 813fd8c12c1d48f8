"""What the rules know about a trained detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.diagnosis.leak import LeakSummary


@dataclass(frozen=True, eq=False)
class DetectionDiagnosisInput:
    """What the rules know about a trained detector.

    ``metrics`` are those on the test images; ``train_boxes`` the number of training boxes by class name; ``history``
    holds one row per epoch, as in the report; ``leak`` tells of test images that are copies of others.
    """

    metrics: DetectionMetrics
    train_boxes: Mapping[str, int] = field(default_factory=dict)
    history: tuple[Mapping[str, float | int | None], ...] = ()
    leak: LeakSummary | None = None
