"""Chooses the precision of the features that a head is fitted on: int8 where a head on them loses next to nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lince.config import TrainConfig
from lince.i18n import _
from lince.number_format import format_decimal, format_percent
from lince.splits import TEST
from lince.training.classification.features import ImageFeatures, compute_features
from lince.training.classification.heads import logistic
from lince.training.image_labels import ImageLabels
from lince.training.recipe import FrozenBackbone, RecipeContext

MIN_IMAGES = 1000  # of a dataset; for fewer, the comparison takes the time that int8 saves
MIN_COMPARED, COMPARED_SHARE = 256, 16  # images on which both precisions are compared: one in so many, but no fewer
MAX_LOSS = 0.003  # of the mean probability of the right class


@dataclass(frozen=True)
class PrecisionComparison:
    """How heads on features in float32 and in int8 do on ``count`` images that they were not fitted on.

    ``figures`` (see ``ImageLabels``) and ``probabilities`` are pairs (float32, int8) in 0..1; the latter are the means
    of what the heads give to the right classes, which tell smaller differences than the figures.
    """

    count: int
    figures: tuple[float, float]
    probabilities: tuple[float, float]
    labels: ImageLabels

    @property
    def is_int8_accepted(self) -> bool:
        """Whether int8 loses at most ``MAX_LOSS``."""
        return self.probabilities[1] >= self.probabilities[0] - MAX_LOSS

    def describe(self) -> str:
        """Return the sentences for the report that say which precision is used, and why."""
        text = (
            _("Features in int8: whole numbers of 8 bits, computed about twice as fast.")
            if self.is_int8_accepted
            else _("Features in float32, because a head on int8 features loses more than is allowed.")
        )
        return f"{text} " + "; ".join(self.labels.get_precision_texts()).format(
            count=self.count,
            folds=logistic.CV_FOLDS,
            before=format_percent(self.probabilities[0], 2),
            after=format_percent(self.probabilities[1], 2),
            points=format_decimal(100 * MAX_LOSS, 1),
            right=format_percent(self.figures[0]),
            right_int8=format_percent(self.figures[1]),
        )


def choose_network(backbone: FrozenBackbone, count: int) -> FrozenBackbone:
    """Return ``backbone`` with the network for the features of ``count`` images: int8 where there are enough."""
    if backbone.int8_path is None or count < MIN_IMAGES:
        return backbone
    return replace(backbone, network_path=backbone.int8_path, precision="int8")


def allows_int8(config: TrainConfig) -> bool:
    """Whether a training with ``config`` may use features in int8: fine-tuning goes on from float32."""
    return config.recipe == "transfer" and config.precision == "auto"


@contextmanager
def compute_ahead(context: RecipeContext, floating: FrozenBackbone) -> Iterator[None]:
    """While the body divides the images, compute the features in float32 that ``confirm_precision`` will compare.

    They are kept in the cache of features. Which they are is a guess where the test split is still to be drawn: those
    that are missing then are computed later, so that nothing but the time depends on it.
    """
    if context.features is None or context.backbone is None or context.backbone.precision != "int8":
        yield
        return
    rows = _guess_rows(context)
    network, workers = floating.network_path, context.config.workers
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(compute_features, context.dataset.select(rows), network, context.spec, workers=workers)
        yield
        ahead.result()


def confirm_precision(context: RecipeContext, floating: FrozenBackbone) -> RecipeContext:
    """Return ``context``, whose features are in int8, as it is, or with those in float32 where int8 loses too much.

    ``floating`` is its backbone in float32. The heads that are compared are fitted on images outside of the test split,
    always the same for the same images: those with the least digests.
    """
    if context.features is None or context.backbone is None or context.backbone.precision != "int8":
        return context
    comparison = compare_precisions(context, context.features, floating)
    note = comparison.describe()
    context.progress.show_message(note)
    if comparison.is_int8_accepted:
        return replace(context, backbone=replace(context.backbone, notes=(note,)))
    features = compute_features(
        context.dataset, floating.network_path, context.spec, context.progress, context.config.workers
    )
    return replace(context, backbone=replace(floating, notes=(note,)), features=features)


def compare_precisions(
    context: RecipeContext, features: ImageFeatures, floating: FrozenBackbone
) -> PrecisionComparison:
    """Return how heads on ``features``, in int8, and on those of ``floating`` do on the same images and folds."""
    rows = _select_rows(context)
    in_float = compute_features(
        context.dataset.select(rows), floating.network_path, context.spec, context.progress, context.config.workers
    )
    truth = context.read_truth(rows)
    floating_heads, int8_heads = (
        context.labels.measure_held_out(embeddings, truth)
        for embeddings in (in_float.embeddings, features.embeddings[rows])
    )
    best = int(floating_heads.log_losses.argmin())  # the penalty that suits float32
    figures = (float(floating_heads.figures[best]), float(int8_heads.figures[best]))
    means = (float(floating_heads.probabilities[best]), float(int8_heads.probabilities[best]))
    return PrecisionComparison(len(rows), figures, means, context.labels)


def _select_rows(context: RecipeContext) -> NDArray[np.int64]:
    """Return the rows on which both precisions are compared, ascending."""
    rows = np.flatnonzero(context.dataset.splits != TEST)
    return _select_least_keys(context, rows, _count_compared(len(rows)))


def _guess_rows(context: RecipeContext) -> NDArray[np.int64]:
    """Return about the rows that ``_select_rows`` will return, before the images are divided."""
    rows = np.flatnonzero(context.dataset.splits != TEST)
    kept_share = 1.0 if len(rows) < len(context.dataset) else 1.0 - context.config.test
    return _select_least_keys(context, rows, math.ceil(_count_compared(int(kept_share * len(rows))) / kept_share))


def _count_compared(count: int) -> int:
    """Return on how many of ``count`` images outside of the test split the precisions are compared."""
    return max(MIN_COMPARED, count // COMPARED_SHARE)


def _select_least_keys(context: RecipeContext, rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return those ``count`` of ``rows`` with the least digests, ascending."""
    order = sorted(rows.tolist(), key=lambda row: context.keys[row])
    return np.sort(np.array(order[:count], np.int64))
