"""Test program: ``lince`` with an additional task "tag", a classifier under another name."""

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
    """Predicts like a classifier."""

    task = "tag"


class TaggingTask(ClassificationTask):
    """A task that is known to the server but not to its page."""

    name = "tag"
    parts: ClassVar[Mapping[str, str]] = {
        **ClassificationTask.parts,
        "predictor": f"{__name__}:TaggingPredictor",
    }


def model_folder(folder: Path) -> Path:
    """Write a model of this task into ``folder`` and return it."""
    from tests.support import tiny_classifier

    tiny_classifier.model_folder(folder)
    replace(ModelCard.load(folder), task="tag").save(folder)
    return folder


if __name__ == "__main__":
    from lince.cli.main import main

    register_task(TaggingTask())
    raise SystemExit(main())
