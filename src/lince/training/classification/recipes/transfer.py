"""The recipe ``transfer``: a frozen backbone's features, computed once, and a head fitted on them in seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.errors import TrainingError
from lince.export import onnx_graph
from lince.i18n import _
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.training.classification.features import ImageFeatures
from lince.training.classification.heads import logistic, mlp
from lince.training.recipe import FrozenBackbone, RecipeContext, SaliencyFunction, TrainedClassifier

ClassifierHead = logistic.LinearHead | mlp.MLPHead
Floats = NDArray[np.float32]


def train_transfer_head(job: RecipeContext) -> TrainedClassifier:
    """Fit a head on the training features, measure it on validation, refit on both, and write ``model.onnx``.

    Validation images are used twice, honestly: the figure on them comes from a head that has not seen them, and the
    final head learns from them too, with the strength already chosen.
    """
    features, backbone = _require_features(job)
    head = fit_head(job)
    val_loss, val_accuracy = compute_loss_and_accuracy(
        head.compute_logits(features.embeddings[job.val_rows]), job.get_labels(job.val_rows)
    )
    final = refit_head(job, head)
    onnx_graph.attach_head(backbone.network_path, final.layers, job.folder / "model" / "model.onnx")
    _train_loss, train_accuracy = compute_loss_and_accuracy(
        final.compute_logits(features.embeddings[job.train_rows]), job.get_labels(job.train_rows)
    )
    return TrainedClassifier(
        recipe="transfer",
        test_logits=final.compute_logits(features.embeddings[job.test_rows]),
        train_accuracy=train_accuracy,
        val_accuracy=val_accuracy,
        val_loss=val_loss,
        saliency=make_head_grad_cam(job, final),
        facts={**backbone.facts, "trainable": sum(w.size + b.size for w, b in final.layers)},
        notes=_describe_head(head, job),
    )


def fit_head(job: RecipeContext) -> ClassifierHead:
    """Return the head that the choices ask for, fitted on the training images alone."""
    features, _backbone = _require_features(job)
    rows, labels = features.embeddings[job.train_rows], job.get_labels(job.train_rows)
    fit = mlp.fit if job.config.head == "mlp" else logistic.fit
    return fit(rows, labels, len(job.dataset.classes), job.config.seed)


def refit_head(job: RecipeContext, head: ClassifierHead) -> ClassifierHead:
    """Return ``head``'s like, fitted on the training and validation images."""
    features, _backbone = _require_features(job)
    both = np.concatenate([job.train_rows, job.val_rows])
    if isinstance(head, logistic.LinearHead):
        return logistic.refit_linear_head(features.embeddings[both], job.get_labels(both), head)
    return mlp.fit(features.embeddings[both], job.get_labels(both), len(job.dataset.classes), job.config.seed)


def compute_loss_and_accuracy(logits: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return (mean log loss in nats, accuracy) of ``logits`` (N, K); NaN for no images."""
    if not len(labels):
        return float("nan"), float("nan")
    own = postprocess.softmax(logits)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-12)).mean()), float((logits.argmax(1) == labels).mean())


def make_head_grad_cam(job: RecipeContext, head: ClassifierHead) -> SaliencyFunction:
    """Return Grad-CAM (Selvaraju et al. 2017) for a head on [mean, max, ...] of the map, without torch.

    The gradient of a logit with respect to the map's channel k, averaged over positions, is the sum of its
    gradients with respect to the channel's mean and its maximum, up to a common factor.
    """
    session = OnnxRuntimeBackend(job.folder / "model" / "model.onnx")

    def explain(inputs: Floats, class_ids: NDArray[np.int64]) -> Floats:
        embedding, maps = session.run(inputs, ("embedding", "map"))
        depth = maps.shape[1]
        slopes = np.stack([head.compute_gradient(row, int(c)) for row, c in zip(embedding, class_ids, strict=True)])
        weights = slopes[:, :depth] + slopes[:, depth : 2 * depth]
        heat = np.maximum(np.einsum("nk,nkhw->nhw", weights, maps), 0.0)
        peak = heat.max(axis=(1, 2), keepdims=True)
        return np.asarray(heat / np.where(peak > 0, peak, 1.0), np.float32)

    return explain


def _require_features(job: RecipeContext) -> tuple[ImageFeatures, FrozenBackbone]:
    if job.features is None or job.backbone is None:
        raise TrainingError(_("This recipe needs a frozen network and its features."))
    return job.features, job.backbone


def _describe_head(head: ClassifierHead, job: RecipeContext) -> list[str]:
    if not isinstance(head, logistic.LinearHead):
        return []
    return [
        _("Head: logistic regression, strength {strength:.1e} chosen by {folds}-fold cross-validation.").format(
            strength=head.l2_penalty, folds=logistic.CV_FOLDS
        )
    ]
