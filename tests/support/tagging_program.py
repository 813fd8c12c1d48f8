"""``lince`` with a task more, "tag": a classifier under another name. Run it as a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from lince.inference.classification.predictor import ClassificationPredictor
from lince.model_card import ModelCard
from lince.tasks import register_task
from lince.tasks.classification import ClassificationTask

COMMAND = (__file__,)


class TaggingPredictor(ClassificationPredictor):
    """Predicts as a classifier does."""

    task = "tag"


class TaggingTask(ClassificationTask):
    """A task that the server knows and its page does not."""

    name = "tag"
    parts: ClassVar[Mapping[str, str]] = {
        **ClassificationTask.parts,
        "predictor": f"{__name__}:TaggingPredictor",
    }


def model_folder(folder: Path) -> Path:
    """Write a model of the task into ``folder`` and return it."""
    from tests.support import tiny_classifier

    tiny_classifier.model_folder(folder)
    replace(ModelCard.load(folder), task="tag").save(folder)
    return folder


if __name__ == "__main__":
    from lince.cli.main import main

    register_task(TaggingTask())
    raise SystemExit(main())
