"""Where the model of a run lies, and whether it is of the kind that is asked for."""

from __future__ import annotations

from pathlib import Path

from lince import tasks
from lince.errors import ModelError
from lince.i18n import _
from lince.model_card import CARD_FILE, NETWORK_FILE, ModelCard
from lince.tasks import Task


def find_model_folder(path: Path) -> Path:
    """Return the model folder of a run, or ``path`` itself if it is one; raise ``ModelError`` when there is none."""
    if path.name == NETWORK_FILE and path.is_file():
        return path.parent
    for folder in (path / "model", path):
        if (folder / CARD_FILE).is_file() or (folder / NETWORK_FILE).is_file():
            return folder
    found = _("There is no model in {path}.") if path.is_dir() else _("There is no folder {path}.")
    unfinished = (path / "config.toml").is_file()
    raise ModelError(
        found.format(path=path),
        _("Expected a run whose training has ended, or a model folder: {network} with {card} beside it.").format(
            network=NETWORK_FILE, card=CARD_FILE
        ),
        _("This run has not ended: go on with it by  lince train --resume {path}").format(path=path)
        if unfinished
        else _("Runs stand in the folder runs unless you chose another with --out."),
    )


def require_task(card: ModelCard, task: Task) -> None:
    """Raise ``ModelError`` when the model was not made for ``task``."""
    if tasks.get_task(card.task) is not task:
        raise ModelError(
            _("{model} is a model for the task '{task}'.").format(model=card.model, task=card.task),
            _("Expected one for the task '{task}'.").format(task=task.name),
        )
