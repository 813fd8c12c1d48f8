"""Base class of the reports: what every run has, and what a task can add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.diagnosis.leak import LeakSummary
from lince.evaluation.report import markdown
from lince.evaluation.report.facts import DataSummary, HistoryRow, ModelFacts, RecipeResult
from lince.findings import Finding


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """The report of one run. Tasks subclass it to add their fields and sections.

    Attributes:
        html_template: file of ``templates/``.
        title: name of the data folder.
        metrics: of the test images, with ``to_dict()`` and ``classes``.
        history: one record per epoch.
        timings: seconds by stage.
        config: the options of the run.
        environment: versions and hardware.
        recipes: one row per recipe where several were compared.
        leak: what test images do that are copies of training images; ``None`` where there are none.
        notes: lines for the reader.
        run: path of the run for the commands shown; empty where unknown.
        is_evaluation: whether it is of a finished model on other images, so that it has no recipe, no training and no
            diagnosis.
    """

    html_template: ClassVar[str] = "any_task.html.j2"

    title: str
    task: str
    recipe: str
    metrics: Any
    data: DataSummary
    model: ModelFacts
    history: tuple[HistoryRow, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    recipes: tuple[RecipeResult, ...] = ()
    leak: LeakSummary | None = None
    notes: tuple[str, ...] = ()
    run: str = ""
    is_evaluation: bool = False
    created_at: datetime = field(default_factory=datetime.now)

    @property
    def val_primary_metric(self) -> float | None:
        """The headline metric on the validation images; ``None`` where it was not measured."""
        return None

    @property
    def primary_metric(self) -> ConfidenceInterval | None:
        """The headline metric on the test images with its interval; ``None`` where the task has none."""
        return None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The diagnosis in sentences, the most severe finding first."""
        return ()

    def summarise_train_val(self) -> dict[str, Any]:
        """Return the values of the keys ``train`` and ``val`` of ``report.json``."""
        return {"train": {}, "val": {}}

    def build_html_context(self) -> dict[str, Any]:
        """Return the variables of ``html_template``, besides ``report`` and ``metrics``."""
        return {"figures": list(self.metrics.to_dict().items())}

    def list_markdown_sections(self) -> list[str]:
        """Return the sections of ``report.md``; empty ones are left out."""
        return markdown.list_common_sections(self)
