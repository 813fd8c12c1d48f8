"""Loads a model for inference, whatever its task and runtime: ``lince.load``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lince.errors import UsageError
from lince.i18n import _
from lince.inference import external_onnx, model_folder, packed_model
from lince.inference.backends.backend import Backend, open_backend
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.predictor import Predictor
from lince.model_card import ModelCard
from lince.tasks import get_task


def load(
    path: str | os.PathLike[str],
    threads: int | None = None,
    names: Sequence[str] | None = None,
    allow_urls: bool = False,
) -> Predictor:
    """Return the predictor of a run, a model folder, a packed model (``.lince``) or an ONNX file of another tool.

    ``threads`` is the number of cores that one call may use, by default all. ``names`` are the class names of an ONNX
    file that has none. ``allow_urls`` lets the predictor read images from web addresses, 64 MB and 30 seconds each at
    most.

    Raises ``ModelError`` when there is no model or it is damaged, and ``UsageError`` when an ONNX file needs ``names``,
    or they are given for another model.
    """
    if external_onnx.is_external_model(path):
        onnx_backend = OnnxRuntimeBackend(path, threads)
        foreign = external_onnx.infer_model_card(onnx_backend, names)
        return external_onnx.open_predictor(foreign, onnx_backend, allow_urls)
    if names is not None:
        raise UsageError(_("{path} already contains its class names; others cannot be given.").format(path=path))
    card, backend = _open_model(Path(path), threads)
    predictor: Predictor = get_task(card.task).load_part("predictor")(card, backend, allow_urls)
    return predictor


def _open_model(path: Path, threads: int | None) -> tuple[ModelCard, Backend]:
    """Return the model card and the open network of a model folder or a packed model."""
    if packed_model.is_packed_model(path):
        card, data = packed_model.read_packed_model(path)
        return card, OnnxRuntimeBackend(path, threads, data=data)
    folder = model_folder.find_model_folder(path)
    card = ModelCard.load(folder)
    return card, open_backend(card, folder, threads)
