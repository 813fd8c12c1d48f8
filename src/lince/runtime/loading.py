"""The door for models: what a run or a model folder holds, ready to be asked, whatever its task."""

from __future__ import annotations

from pathlib import Path

from lince import tasks
from lince.card import NETWORK_FILE, ModelCard
from lince.runtime import modelfolder
from lince.runtime.detection import DetectionPredictor
from lince.runtime.predictor import Predictor
from lince.runtime.session import Session


def load(path: str | Path, threads: int | None = None) -> Predictor | DetectionPredictor:
    """Return the model of a run, or of a model folder, ready to be asked.

    ``threads`` is the number of cores that a call may use, all by default. Raises ``ModelError`` when there is no
    model, or it is damaged.
    """
    folder = modelfolder.locate(Path(path))
    card = ModelCard.load(folder)
    kind = DetectionPredictor if tasks.find(card.task) is tasks.DETECT else Predictor
    return kind(card, Session(folder / NETWORK_FILE, threads))
