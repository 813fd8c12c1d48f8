"""The features of images by which their labels are checked, as training computes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lince.checks.check_context import FeatureModel
from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.models import weights_source
from lince.models.classification import registry as classification_registry
from lince.progress import Progress
from lince.splits import TEST
from lince.training.classification import features
from lince.training.classification.feature_precision import choose_network, confirm_precision
from lince.training.classification.frozen_backbone import prepare_frozen_backbone
from lince.training.image_labels import ImageLabels
from lince.training.recipe import RecipeContext


def compute_label_features(
    dataset: Dataset, rows: NDArray[np.int64], feature_model: FeatureModel, progress: Progress, labels: ImageLabels
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return those of ``rows`` whose image can be opened, int64 (N,), and their features, float32 (N, D).

    Those of many images are computed in int8, as in training, where a head on them loses next to nothing; what decides
    it is compared on the images outside of the test split, by their ``labels``, and told to ``progress``.
    """
    source = weights_source.resolve_weights(
        classification_registry.get_model_entry(feature_model.model), feature_model.weights, progress
    )
    spec = weights_source.make_preprocess_spec(source, feature_model.size)
    floating = prepare_frozen_backbone(source, spec, 0, progress)
    backbone = choose_network(floating, int((dataset.splits[rows] != TEST).sum()))
    computed = features.compute_features(dataset.select(rows), backbone.network_path, spec, progress)
    kept = rows[[i for i in range(len(rows)) if i not in computed.rejected]]
    context = RecipeContext.create(dataset.select(kept), TrainConfig(), source.entry, spec, progress, labels)
    context = replace(context, keys=computed.keys, backbone=backbone, features=computed)
    confirmed = confirm_precision(context, floating).features or computed
    return kept, confirmed.embeddings
