"""Finds the model folder of a training run and checks that a model is for the expected task."""

from __future__ import annotations

from pathlib import Path

from lince.errors import ModelError
from lince.fileio import quote_path
from lince.i18n import _
from lince.model_card import CARD_FILE, NETWORK_FILE, ModelCard


def find_model_folder(path: Path) -> Path:
    """Return the folder that holds network and card for ``path``: a training run, a model folder or a network file.

    A run keeps its model in the subfolder ``model``. Raises ``ModelError`` when there is none, saying how to resume
    where a training run was not finished.
    """
    if path.name == NETWORK_FILE and path.is_file():
        return path.parent
    for folder in (path / "model", path):
        if (folder / CARD_FILE).is_file() or (folder / NETWORK_FILE).is_file():
            return folder
    problem = _("There is no model in {path}.") if path.is_dir() else _("There is no folder {path}.")
    is_unfinished_run = (path / "config.toml").is_file()
    raise ModelError(
        problem.format(path=path),
        _("Expected a finished training run, or a model folder: {network} with {card} next to it.").format(
            network=NETWORK_FILE, card=CARD_FILE
        ),
        _("This run has not finished. Continue it with:  lince train --resume {path}").format(path=quote_path(path))
        if is_unfinished_run
        else _("Runs are in the folder 'runs' unless you chose another with --out."),
    )


def require_task(card: ModelCard, task: str) -> None:
    """Raise ``ModelError`` when the model is for another task than ``task``."""
    if card.task != task:
        raise ModelError(
            _("{model} is a model for the task '{task}'.").format(model=card.model, task=card.task),
            _("Expected one for the task '{task}'.").format(task=task),
        )
