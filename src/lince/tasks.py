"""The one table of tasks: what is drawn on a photo, and the number that ranks models."""

from __future__ import annotations

from dataclasses import dataclass

from lince.validation import require_choice


@dataclass(frozen=True)
class Task:
    """A kind of recognition: its name, the annotation it learns from, and its headline metric."""

    name: str
    annotation: str
    metric: str
    higher_is_better: bool = True


CLASSIFY = Task("classify", annotation="label", metric="accuracy")
DETECT = Task("detect", annotation="objects", metric="map50_95")
TASKS = {task.name: task for task in (CLASSIFY, DETECT)}


def get_task(name: str) -> Task:
    """Return the task called ``name``; raise ``UsageError`` with the known names otherwise."""
    return TASKS[require_choice("task", name, TASKS)]
