"""Predicts images with a model: ``lince.predict``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from lince.inference.load import load
from lince.inference.predictor import Predictor
from lince.inference.sources import ImageInput
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress

__all__ = ["predict"]


def predict(  # noqa: PLR0913
    model: str | os.PathLike[str] | Predictor,
    source: ImageInput | Iterable[ImageInput],
    *,
    threshold: float | Mapping[str, float] | None = None,
    conf: float | Mapping[str, float] | None = None,
    iou: float | None = None,
    allow_urls: bool = False,
    progress: Progress = AUTOMATIC,
) -> Any:
    """Return what ``model`` predicts for ``source``: a result for one image, a list of them for several.

    Args:
        model: a run, a model folder, a packed model, or what ``lince.load`` returned. To use a model many times, load
            it once.
        source: one image (a path, bytes, an array, a Pillow image), or several (a folder, an archive, a pattern, a
            list, a generator).
        threshold: score from which the boxes of a detector count, or probability from which a multilabel model says a
            class, 0 to 1, for all classes or by class name; default: the model's own.
        conf: another name of ``threshold``.
        iou: limit of non-maximum suppression of a detector, 0 to 1; default: the model's own.
        allow_urls: read images from web addresses, too; default: no. What ``lince.load`` returned has its own.
        progress: receiver of messages and bars; by default they appear in notebooks, and nowhere else.

    Raises:
        ModelError: when there is no model.
        ImageError: when a single image cannot be read.
        DataError: when there is no image.
        UsageError: for a threshold where the model has none, and for one out of range.
    """
    predictor = model if isinstance(model, Predictor) else load(model, allow_urls=allow_urls)
    return predictor.predict(source, threshold=threshold, conf=conf, iou=iou, progress=progress)
