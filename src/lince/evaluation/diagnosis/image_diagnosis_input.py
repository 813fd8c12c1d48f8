"""What the rules know about a model of whole images, of one class each or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lince.evaluation.diagnosis.leak import LeakSummary
from lince.tasks import get_task


@dataclass(frozen=True, eq=False)
class ImageDiagnosisInput:
    """What the rules know about a trained model.

    ``metrics`` are those on the test images; ``train_counts`` the number of training images by class name; ``val_size``
    is the number of validation images; ``history`` holds one row per epoch, as in the report, and is empty for a head
    that was fitted at once. ``recipe`` is that of the run, empty where unknown: advice then names any option. ``leak``
    tells of test images that are copies of others.
    """

    task: ClassVar[str]

    metrics: Any
    train_counts: Mapping[str, int] = field(default_factory=dict)
    val_size: int = 0
    history: tuple[Mapping[str, float | int | None], ...] = ()
    recipe: str = ""
    leak: LeakSummary | None = None

    @property
    def scores(self) -> Sequence[Any]:
        """The test metrics of each class, with its ``name``, ``support`` and ``predicted``."""
        scores: Sequence[Any] = self.metrics.scores
        return scores

    def list_advice(self, *sentences: tuple[str, str]) -> tuple[str, ...]:
        """Return the second of each pair whose first, an option of training or none, is one that the recipe uses."""
        task = get_task(self.task)
        return tuple(text for option, text in sentences if not option or task.uses_option(self.recipe, option))

    def get_history_column(self, name: str) -> list[float]:
        """Return the values of one column of the history by epoch, without epochs where it was not measured."""
        return [float(value) for epoch in self.history if (value := epoch.get(name)) is not None]
