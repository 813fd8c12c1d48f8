"""The door for models: what a run, a model folder or a foreign file holds, ready to be asked, whatever its task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lince import tasks
from lince.card import NETWORK_FILE, ModelCard
from lince.errors import UsageError
from lince.messages import _
from lince.runtime import foreign, modelfolder
from lince.runtime.detection import DetectionPredictor
from lince.runtime.predictor import Predictor
from lince.runtime.session import Session


def load(
    path: str | Path, threads: int | None = None, names: Sequence[str] | None = None
) -> Predictor | DetectionPredictor:
    """Return the model of a run, of a model folder, or of an ONNX file of another tool, ready to be asked.

    ``threads`` is the number of cores that a call may use, all by default; ``names`` those of the classes of a foreign
    file. Raises ``ModelError`` when there is no model, or it is damaged, and ``UsageError`` when a foreign file needs
    names, or they are given for another model.
    """
    if foreign.is_foreign(path):
        session = Session(path, threads)
        return DetectionPredictor(foreign.card(session, names), session)
    if names is not None:
        raise UsageError(_("{path} knows the names of its classes; others cannot be given.").format(path=path))
    folder = modelfolder.locate(Path(path))
    card = ModelCard.load(folder)
    kind = DetectionPredictor if tasks.find(card.task) is tasks.DETECT else Predictor
    return kind(card, Session(folder / NETWORK_FILE, threads))
