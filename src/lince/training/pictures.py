"""Which photos a report shows: the worst mistakes, the most doubtful, some right ones, and where the network looked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.augmentation import Policy, preview
from lince.data import Dataset
from lince.evaluation import picking
from lince.evaluation.predictions import Predictions
from lince.evaluation.report import Picture, Pictures
from lince.preprocess import Preprocess, fit, prepare
from lince.runtime import draw
from lince.training.job import Job, Outcome

SHOWN = 8
EXPLAINED = 6
SIDE = 224  # pixels of a thumbnail's longer side
SHEET_ROWS, SHEET_COPIES = 4, 6


def choose(job: Job, outcome: Outcome, predictions: Predictions) -> Pictures:
    """Return the groups of photos for the report of ``outcome`` on the test images."""
    truth, probabilities = predictions.truth, predictions.probabilities
    worst = picking.worst(truth, probabilities, SHOWN)
    right = picking.right(truth, probabilities, SHOWN)
    explained = np.concatenate([worst[: EXPLAINED // 2], right[: EXPLAINED - EXPLAINED // 2]])
    policy = Policy.parse(outcome.policy)
    return Pictures(
        worst=_plain(job, predictions, worst),
        doubtful=_plain(job, predictions, picking.doubtful(truth, probabilities, SHOWN)),
        right=_plain(job, predictions, right),
        saliency=_explained(job, outcome, predictions, explained),
        augmentation=_sheet(job, policy) if len(policy) else None,
        augmentation_policy="\n".join(policy.describe()) if len(policy) else "",
    )


def _plain(job: Job, predictions: Predictions, chosen: NDArray[np.int64]) -> tuple[Picture, ...]:
    return tuple(
        _picture(predictions, int(i), draw.thumbnail(job.dataset.images.read(int(job.test[i]), (SIDE, SIDE)), SIDE))
        for i in chosen
    )


def _explained(job: Job, outcome: Outcome, predictions: Predictions, chosen: NDArray[np.int64]) -> tuple[Picture, ...]:
    if not len(chosen):
        return ()
    shown = [fitted(job.dataset, int(job.test[i]), job.spec) for i in chosen]
    heats = outcome.saliency(prepare(shown, job.spec), predictions.predicted[chosen])
    return tuple(
        _picture(predictions, int(i), images.encode_jpeg(image), images.encode_jpeg(draw.overlay(image, heat)))
        for i, image, heat in zip(chosen, shown, heats, strict=True)
    )


def fitted(dataset: Dataset, row: int, spec: Preprocess) -> NDArray[np.uint8]:
    """Return the image of ``row`` as the network sees it, uint8 (H, W, 3)."""
    return fit(dataset.images.read(row, (spec.height, spec.width)), spec)


def _picture(predictions: Predictions, i: int, jpeg: bytes, overlay: bytes | None = None) -> Picture:
    names, predicted = predictions.classes.names, int(predictions.predicted[i])
    return Picture(
        image=jpeg,
        caption=predictions.names[i],
        truth=names[int(predictions.truth[i])],
        predicted=names[predicted],
        probability=float(predictions.probabilities[i, predicted]),
        overlay=overlay,
    )


def _sheet(job: Job, policy: Policy) -> bytes:
    rows = job.train[np.linspace(0, len(job.train) - 1, min(SHEET_ROWS, len(job.train))).astype(np.int64)]
    originals = [job.dataset.images.read(int(row), (job.spec.height, job.spec.width)) for row in rows]
    return images.encode_jpeg(preview.sheet(originals, policy, job.config.seed, SHEET_COPIES, job.spec))
