"""The verb that searches: which photos of a folder look most like one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lince.errors import ModelError
from lince.i18n import _
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.load import load
from lince.inference.similarity import SimilarityResult
from lince.inference.similarity import find_similar_images as search
from lince.inference.sources import ImageInput
from lince.progress import SILENT, Progress

__all__ = ["similar"]


def similar(
    model: str | Path | ClassificationPredictor,
    photo: ImageInput,
    where: str | Path | Sequence[str | Path],
    top: int = 10,
    progress: Progress = SILENT,
) -> SimilarityResult:
    """Return the ``top`` photos of ``where`` (files, folders, patterns) that look most like ``photo`` to ``model``.

    ``model`` is a run, a model folder, or what ``lince.load`` gave of one. Raises ``ModelError`` when it is a detector,
    whose network has no embedding of a whole photo.
    """
    asked = load(model) if isinstance(model, (str, Path)) else model
    if not isinstance(asked, ClassificationPredictor):
        raise ModelError(
            _("{model} finds objects; it has no embedding of a whole photo.").format(model=asked.card.model),
            _("Expected a model that tells what a photo shows."),
            _("Train one:  lince train DATA --recipe transfer"),
        )
    return search(asked, photo, where, top, progress)
