"""The door for models: what a run, a model folder or a foreign file holds, ready to be asked, whatever its task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lince import tasks
from lince.card import ModelCard
from lince.errors import UsageError
from lince.messages import _
from lince.runtime import foreign, modelfile, modelfolder
from lince.runtime.detection import DetectionPredictor
from lince.runtime.engines import Engine, open_engine
from lince.runtime.predictor import Predictor
from lince.runtime.session import Session


def load(
    path: str | Path,
    threads: int | None = None,
    names: Sequence[str] | None = None,
    allow_urls: bool = False,
) -> Predictor | DetectionPredictor:
    """Return the model of a run, a model folder, a packed model or an ONNX file of another tool, ready to be asked.

    ``threads`` is the number of cores that a call may use, all by default; ``names`` those of the classes of a foreign
    file. ``allow_urls`` lets it be asked about photos on the web, by their addresses: 64 MB and half a minute each at
    most. Raises ``ModelError`` when there is no model, or it is damaged, and ``UsageError`` when a foreign file needs
    names, or they are given for another model.
    """
    if foreign.is_foreign(path):
        network = Session(path, threads)
        return DetectionPredictor(foreign.card(network, names), network, allow_urls)
    if names is not None:
        raise UsageError(_("{path} knows the names of its classes; others cannot be given.").format(path=path))
    card, session = _opened(Path(path), threads)
    kind = DetectionPredictor if tasks.find(card.task) is tasks.DETECT else Predictor
    return kind(card, session, allow_urls)


def _opened(path: Path, threads: int | None) -> tuple[ModelCard, Engine]:
    if modelfile.is_packed(path):
        card, data = modelfile.read(path)
        return card, Session(path, threads, data=data)
    folder = modelfolder.locate(path)
    card = ModelCard.load(folder)
    return card, open_engine(card, folder, threads)
