"""The recipe ``transfer``: fits a head on the embeddings of a frozen backbone, which are computed once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince.errors import TrainingError
from lince.evaluation.report.classification.head_charts import HeadCurves
from lince.export import onnx_graph
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.model_card import NETWORK_FILE
from lince.training.classification.features import ImageFeatures
from lince.training.classification.head_curve import measure_head_curves
from lince.training.image_labels import ImageHead
from lince.training.recipe import FrozenBackbone, RecipeContext, SaliencyFunction, TrainedClassifier
from lince.training.run_folder import TrainingRun

Floats = NDArray[np.float32]


def train_transfer_head(context: RecipeContext) -> TrainedClassifier:
    """Fit a head on the training images, write ``model.onnx`` and return the result.

    The validation figures come from a head fitted on the training images alone. The head in the file is then fitted on
    training and validation images together, with the penalty already chosen. Raises ``TrainingError`` when ``context``
    has no features.
    """
    features, backbone = _require_features(context)
    head = fit_head(context)
    val_logits = head.compute_logits(features.embeddings[context.val_rows])
    val_loss, val_figure = context.labels.measure(val_logits, context.read_truth(context.val_rows))
    final_head = refit_head(context, head)
    onnx_graph.attach_head(
        backbone.network_path, final_head.layers, TrainingRun(context.folder).model_folder / NETWORK_FILE
    )
    _train_loss, train_figure = context.labels.measure(
        final_head.compute_logits(features.embeddings[context.train_rows]), context.read_truth(context.train_rows)
    )
    return TrainedClassifier(
        recipe="transfer",
        test_logits=final_head.compute_logits(features.embeddings[context.test_rows]),
        val_logits=val_logits,
        train_figure=train_figure,
        val_figure=val_figure,
        val_loss=val_loss,
        saliency=make_head_grad_cam(context, final_head),
        facts={**backbone.facts, "trainable": sum(w.size + b.size for w, b in final_head.layers)},
        notes=[*backbone.notes, *context.labels.describe_head(head)],
        precision=backbone.precision,
        head=_measure_curves(context, head),
        held_out=context.labels.get_held_out(head),
    )


def _measure_curves(context: RecipeContext, head: ImageHead) -> HeadCurves:
    """Return the curves of ``head``, which was fitted on the training images alone."""
    features, _backbone = _require_features(context)
    train, val = (
        (features.embeddings[rows], context.read_truth(rows)) for rows in (context.train_rows, context.val_rows)
    )
    return measure_head_curves(head, train, val, context.config.seed, context.labels)


def fit_head(context: RecipeContext) -> ImageHead:
    """Return the head that the configuration requests, fitted on the training images alone."""
    features, _backbone = _require_features(context)
    rows = context.train_rows
    groups = None if context.division is None else context.division.groups.related_ids[rows]
    return context.labels.fit_head(
        features.embeddings[rows], context.read_truth(rows), len(context.dataset.classes), context.config, groups
    )


def refit_head(context: RecipeContext, head: ImageHead) -> ImageHead:
    """Return a head of the same kind and penalty as ``head``, fitted on the training and validation images."""
    features, _backbone = _require_features(context)
    rows = np.concatenate([context.train_rows, context.val_rows])
    return context.labels.refit_head(features.embeddings[rows], context.read_truth(rows), head, context.config.seed)


def make_head_grad_cam(context: RecipeContext, head: ImageHead) -> SaliencyFunction:
    """Return Grad-CAM (Selvaraju et al. 2017) for a head on [mean, max, ...] of the last map, without torch.

    The gradient of a logit with respect to channel k of the map, averaged over positions, is the sum of its gradients
    with respect to the channel's mean and its maximum, up to a common factor, which the scaling of the map removes.
    """
    backend = OnnxRuntimeBackend(TrainingRun(context.folder).model_folder / NETWORK_FILE)

    def explain(inputs: Floats, class_ids: NDArray[np.int64]) -> Floats:
        embeddings, maps = backend.run(inputs, ("embedding", "map"))
        channels = maps.shape[1]
        gradients = np.stack(
            [head.compute_gradient(embedding, int(c)) for embedding, c in zip(embeddings, class_ids, strict=True)]
        )
        weights = gradients[:, :channels] + gradients[:, channels : 2 * channels]
        heatmaps = np.maximum(np.einsum("nk,nkhw->nhw", weights, maps), 0.0)
        peak = heatmaps.max(axis=(1, 2), keepdims=True)
        return np.asarray(heatmaps / np.where(peak > 0, peak, 1.0), np.float32)

    return explain


def _require_features(context: RecipeContext) -> tuple[ImageFeatures, FrozenBackbone]:
    """Return the features and the backbone of ``context``; raise ``TrainingError`` when they are missing."""
    if context.features is None or context.backbone is None:
        raise TrainingError(_("This recipe needs a frozen backbone and its features."))
    return context.features, context.backbone
