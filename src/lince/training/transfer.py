"""The recipe ``transfer``: a frozen backbone's features, computed once, and a head fitted on them in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import decode
from lince.errors import TrainingError
from lince.exporting import graph
from lince.messages import _
from lince.runtime.session import Session
from lince.training import logistic, mlp
from lince.training.job import Job, Outcome, Saliency

Head = logistic.LinearHead | mlp.MLPHead
Floats = NDArray[np.float32]


def transfer(job: Job) -> Outcome:
    """Fit a head on the training features, measure it on validation, refit on both, and write ``model.onnx``.

    Validation images are used twice, honestly: the figure on them comes from a head that has not seen them, and the
    final head learns from them too, with the strength already chosen.
    """
    features, backbone = _given(job)
    head = fit_head(job)
    val_loss, val_accuracy = score(head.logits(features.rows[job.val]), job.labels(job.val))
    final = refit_head(job, head)
    graph.attach_head(backbone.network, final.layers, job.folder / "model" / "model.onnx")
    _train_loss, train_accuracy = score(final.logits(features.rows[job.train]), job.labels(job.train))
    return Outcome(
        recipe="transfer",
        test_logits=final.logits(features.rows[job.test]),
        train_accuracy=train_accuracy,
        val_accuracy=val_accuracy,
        val_loss=val_loss,
        saliency=saliency(job, final),
        facts={**backbone.facts, "trainable": sum(w.size + b.size for w, b in final.layers)},
        notes=_notes(head, job),
    )


def fit_head(job: Job) -> Head:
    """Return the head that the choices ask for, fitted on the training images alone."""
    features, _backbone = _given(job)
    rows, labels, classes = features.rows[job.train], job.labels(job.train), len(job.dataset.classes)
    fit = mlp.fit if job.config.head == "mlp" else logistic.fit
    return fit(rows, labels, classes, job.config.seed)


def refit_head(job: Job, head: Head) -> Head:
    """Return ``head``'s like, fitted on the training and validation images."""
    features, _backbone = _given(job)
    both = np.concatenate([job.train, job.val])
    if isinstance(head, logistic.LinearHead):
        return logistic.refit(features.rows[both], job.labels(both), head)
    return mlp.fit(features.rows[both], job.labels(both), len(job.dataset.classes), job.config.seed)


def score(logits: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return (mean log loss in nats, accuracy) of ``logits`` (N, K); NaN for no images."""
    if not len(labels):
        return float("nan"), float("nan")
    own = decode.probabilities(logits)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-12)).mean()), float((logits.argmax(1) == labels).mean())


def saliency(job: Job, head: Head) -> Saliency:
    """Return Grad-CAM (Selvaraju et al. 2017) for a head on [mean, max, ...] of the map, without torch.

    The gradient of a logit with respect to the map's channel k, averaged over positions, is the sum of its
    gradients with respect to the channel's mean and its maximum, up to a common factor.
    """
    session = Session(job.folder / "model" / "model.onnx")

    def explain(inputs: Floats, class_ids: NDArray[np.int64]) -> Floats:
        embedding, maps = session.run(inputs, ("embedding", "map"))
        depth = maps.shape[1]
        slopes = np.stack([head.gradient(row, int(c)) for row, c in zip(embedding, class_ids, strict=True)])
        weights = slopes[:, :depth] + slopes[:, depth : 2 * depth]
        heat = np.maximum(np.einsum("nk,nkhw->nhw", weights, maps), 0.0)
        peak = heat.max(axis=(1, 2), keepdims=True)
        return np.asarray(heat / np.where(peak > 0, peak, 1.0), np.float32)

    return explain


def _given(job: Job) -> tuple[Any, Any]:
    if job.features is None or job.backbone is None:
        raise TrainingError(_("This recipe needs a frozen network and its features."))
    return job.features, job.backbone


def _notes(head: Head, job: Job) -> list[str]:
    if not isinstance(head, logistic.LinearHead):
        return []
    return [
        _("Head: logistic regression, strength {strength:.1e} chosen by {folds}-fold cross-validation.").format(
            strength=head.strength, folds=logistic.FOLDS
        )
    ]
