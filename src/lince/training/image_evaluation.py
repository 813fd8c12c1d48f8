"""What the evaluation of all models of whole images shares, without torch: probabilities, keys, names and groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.datasets import Dataset, compute_content_keys
from lince.datasets.groups import find_groups
from lince.i18n import _
from lince.inference.backends.onnxruntime import count_cores
from lince.progress import Progress
from lince.training.classification.loader import ClassificationLoader
from lince.training.image_labels import ImageLabels

BATCH_SIZE = 16  # images per call of the network


@dataclass(frozen=True, eq=False)
class PredictedImages:
    """The N images of a dataset as predicted: ``keys``, ``names``, ``probabilities`` (N, C), and ``groups`` (N,)."""

    keys: tuple[str, ...]
    names: tuple[str, ...]
    probabilities: NDArray[np.float32]
    groups: NDArray[np.int64]


def predict_images(predictor: Any, dataset: Dataset, labels: ImageLabels, progress: Progress) -> PredictedImages:
    """Return the predictions of ``predictor`` for every image of ``dataset``.

    Images are prepared as for training and prediction. Images that show the same are in one group, as in the report of
    a training. Raises ``ImageError`` for an unreadable image (see ``verify_images``).
    """
    loader = ClassificationLoader(
        dataset, np.arange(len(dataset)), predictor.card.preprocess, BATCH_SIZE, workers=count_cores(), labels=labels
    )
    probabilities = []
    with progress.open_stage(_("Evaluating"), len(dataset)) as stage:
        for batch in loader.iter_batches():
            probabilities.append(predictor.predict_probabilities(batch.inputs))
            stage.advance(len(batch))
    return PredictedImages(
        tuple(compute_content_keys(dataset)),
        tuple(dataset.images.get_name(row) for row in range(len(dataset))),
        np.concatenate(probabilities),
        find_groups(dataset, progress, min_groups=1).related_ids,
    )
