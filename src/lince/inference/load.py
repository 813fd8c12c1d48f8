"""The door for models: what a run, a model folder or a foreign file holds, ready to be asked, whatever its task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lince import tasks
from lince.errors import UsageError
from lince.i18n import _
from lince.inference import external_onnx, model_folder, packed_model
from lince.inference.backends.backend import Backend, open_backend
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.detection.predictor import DetectionPredictor
from lince.model_card import ModelCard


def load(
    path: str | Path,
    threads: int | None = None,
    names: Sequence[str] | None = None,
    allow_urls: bool = False,
) -> ClassificationPredictor | DetectionPredictor:
    """Return the model of a run, a model folder, a packed model or an ONNX file of another tool, ready to be asked.

    ``threads`` is the number of cores that a call may use, all by default; ``names`` those of the classes of a foreign
    file. ``allow_urls`` lets it be asked about photos on the web, by their addresses: 64 MB and half a minute each at
    most. Raises ``ModelError`` when there is no model, or it is damaged, and ``UsageError`` when a foreign file needs
    names, or they are given for another model.
    """
    if external_onnx.is_external_model(path):
        network = OnnxRuntimeBackend(path, threads)
        return DetectionPredictor(external_onnx.infer_model_card(network, names), network, allow_urls)
    if names is not None:
        raise UsageError(_("{path} knows the names of its classes; others cannot be given.").format(path=path))
    card, session = _open_model(Path(path), threads)
    kind = DetectionPredictor if tasks.get_task(card.task) is tasks.DETECT else ClassificationPredictor
    return kind(card, session, allow_urls)


def _open_model(path: Path, threads: int | None) -> tuple[ModelCard, Backend]:
    if packed_model.is_packed_model(path):
        card, data = packed_model.read_packed_model(path)
        return card, OnnxRuntimeBackend(path, threads, data=data)
    folder = model_folder.find_model_folder(path)
    card = ModelCard.load(folder)
    return card, open_backend(card, folder, threads)
