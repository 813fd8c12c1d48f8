"""Searches the images that look most like a given one: ``lince.similar``."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lince.inference.load import load
from lince.inference.predictor import Predictor
from lince.inference.similarity import SimilarityResult, find_similar_images
from lince.inference.sources import ImageInput
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress

__all__ = ["similar"]


def similar(
    model: str | os.PathLike[str] | Predictor,
    photo: ImageInput,
    where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    top: int = 10,
    progress: Progress = AUTOMATIC,
) -> SimilarityResult:
    """Return the ``top`` images of ``where`` that are most similar to ``photo``, by the embeddings of ``model``.

    ``model`` is a run, a model folder, or a predictor that ``lince.load`` returned; ``where`` are files, folders or
    glob patterns. Raises ``ModelError`` when the model has no image embeddings (detectors), ``ImageError`` when
    ``photo`` cannot be read, and ``DataError`` when ``where`` has no images.
    """
    predictor = load(model) if isinstance(model, (str, os.PathLike)) else model
    return find_similar_images(predictor, photo, where, top, progress)
