"""Loads a model for prediction, with the record of what it has seen in training: ``lince.load``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lince.inference import load as model_loader
from lince.inference.predictor import Predictor
from lince.training import seen_images


def load(
    path: str | Path,
    threads: int | None = None,
    names: Sequence[str] | None = None,
    allow_urls: bool = False,
) -> Predictor:
    """Return the predictor of a run, a model folder, a packed model (``.lince``) or an ONNX file of another tool.

    ``threads`` is the number of cores that one call may use, by default all. ``names`` are the class names of an ONNX
    file that has none. ``allow_urls`` lets the predictor read photos and videos from addresses. Where the model is in
    its run, photos that it has seen in training are marked (``ClassificationResult.was_seen``).

    Raises ``ModelError`` when there is no model or it is damaged, and ``UsageError`` when an ONNX file needs ``names``,
    or they are given for another model.
    """
    model = model_loader.load(path, threads, names, allow_urls)
    return model.with_seen_keys(partial(_read_seen_keys, Path(path).absolute()))


def _read_seen_keys(path: Path) -> frozenset[str]:
    """Return the content digests of the images that the model at ``path`` has seen in training."""
    return frozenset(seen_images.find_seen_images(path).split_by_key)
