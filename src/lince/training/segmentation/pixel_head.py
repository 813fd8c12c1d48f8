"""A linear head for pixels, fitted on sampled ones: multinomial logistic regression on feature maps, numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lince.class_maps import VOID
from lince.errors import DataError
from lince.i18n import _
from lince.progress import Progress
from lince.training.classification.heads import logistic
from lince.training.feature_maps import FeatureMaps, RowView
from lince.training.segmentation.samples import SegmentationViews

MAX_PIXELS = 90_000
MAX_VALUES = 64_000_000  # of the features of all sampled pixels, and of their logits in all problems of the solver
_PROBLEMS = logistic.CV_FOLDS * len(logistic.L2_PENALTIES)
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PixelHead:
    """A linear head: a matrix (K, channels) for each feature map, the finest first, and the ``bias`` (K,).

    ``scene`` (K, 2 * channels) is for the mean and the maximum of the coarsest map, which all pixels of an image share.
    ``l2_penalty`` is the penalty chosen by cross-validation over images, ``pixel_count`` how many it was fitted on.
    """

    weights: tuple[Floats, ...]
    scene: Floats
    bias: Floats
    l2_penalty: float
    pixel_count: int

    @property
    def param_count(self) -> int:
        """The number of its parameters."""
        return sum(weight.size for weight in self.weights) + self.scene.size + self.bias.size

    def count_macs(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Return the multiply-accumulates for an image whose maps have ``shapes`` (C, H, W)."""
        pixels = sum(weight.size * shape[1] * shape[2] for weight, shape in zip(self.weights, shapes, strict=True))
        return pixels + self.scene.size

    def compute_logits(self, maps: Sequence[NDArray[np.float32]]) -> Floats:
        """Return the logits float32 (N, K, h, w) at the finest of ``maps``, each (N, C, H, W)."""
        height, width = maps[0].shape[2:]
        total = np.zeros((len(maps[0]), len(self.bias), height, width), np.float32)
        for weight, level in zip(self.weights, maps, strict=True):
            planes = np.einsum("kc,nchw->nkhw", weight, level)
            enlarged = [
                cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
                for image in planes
                for plane in image
            ]
            total += np.stack(enlarged).reshape(total.shape)
        pooled = np.concatenate([maps[-1].mean((2, 3)), maps[-1].max((2, 3))], axis=1)
        return np.asarray(total + (pooled @ self.scene.T + self.bias)[:, :, None, None], np.float32)


def fit_pixel_head(
    views: SegmentationViews, items: Sequence[RowView], class_count: int, seed: int, progress: Progress
) -> PixelHead:
    """Return the head fitted on pixels of the views ``items`` (row, view), whose maps are cached.

    Cells of the finest map are drawn at random from all views alike, at most ``MAX_PIXELS``; a cell has the class of
    the pixel at its centre, and void ones are left out. The folds of the cross-validation keep the views of an image
    together. Raises ``DataError`` when all pixels are void.
    """
    channels = [shape[0] for shape in views.feature_maps.shapes]
    widths = [*channels, 2 * channels[-1]]
    limit = min(MAX_PIXELS, MAX_VALUES // sum(widths), MAX_VALUES // (_PROBLEMS * (class_count + 1)))
    per_view = max(1, limit // max(1, len(items)))
    features, labels, groups = [], [], []
    with progress.open_stage(_("Sampling pixels"), len(items)) as stage:
        for number in np.random.default_rng((seed, 11)).permutation(len(items))[:limit].tolist():
            row, view = items[number]
            rng = np.random.default_rng((seed, 12, row, view))
            sampled, ids = sample_pixels(
                views.feature_maps.read_maps(row, view), views.make_target(row, view), per_view, rng
            )
            features.append(sampled)
            labels.append(ids)
            groups.append(np.full(len(ids), row))
            stage.advance()
    x, y = np.concatenate(features), np.concatenate(labels)
    if not len(y):
        raise DataError(
            _("All pixels of the training images are void."),
            _("Expected pixels with a class or the background."),
            _("Label some, or say with --void which values stand for unknown pixels."),
        )
    progress.show_message(_("Fitting the head on {count:,} pixels").format(count=len(y)))
    head = logistic.fit(x, y, class_count + 1, seed, np.concatenate(groups))
    *weights, scene = np.split(head.weight, np.cumsum(widths)[:-1], axis=1)
    return PixelHead(tuple(weights), scene, head.bias, head.l2_penalty, len(y))


def sample_pixels(
    maps: FeatureMaps, target: NDArray[np.uint8], count: int, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the features float32 (M, D) and the values int64 (M,) of up to ``count`` cells, at random.

    ``maps`` are (C, H, W), the finest first, ``target`` is the class map at the input's size. Features of coarser maps
    are interpolated linearly between the centres of their cells; mean and maximum of the coarsest map come last.
    """
    height, width = maps[0].shape[1:]
    rows, columns = (
        (np.arange(cells) + 0.5) * side / cells for cells, side in zip((height, width), target.shape, strict=True)
    )
    values = target[np.ix_(rows.astype(np.int64), columns.astype(np.int64))].ravel()
    known = np.flatnonzero(values != VOID)
    chosen = np.sort(rng.choice(known, min(count, len(known)), replace=False))
    y, x = (chosen // width + 0.5) / height, (chosen % width + 0.5) / width
    coarsest = maps[-1].astype(np.float32)
    pooled = np.concatenate([coarsest.mean((1, 2)), coarsest.max((1, 2))])
    pixels = [_interpolate(level, y, x) for level in maps]
    features = np.concatenate([*pixels, np.tile(pooled, (len(chosen), 1))], axis=1)
    return features, values[chosen].astype(np.int64)


def _interpolate(level: NDArray[np.float16], y: NDArray[np.float64], x: NDArray[np.float64]) -> Floats:
    """Return the values float32 (M, C) of ``level`` (C, H, W) at ``y`` and ``x`` (M,), fractions of its sides."""
    (top, bottom, down), (left, right, across) = (
        _find_neighbours(places, cells) for places, cells in zip((y, x), level.shape[1:], strict=True)
    )
    values = level.astype(np.float32)
    upper = values[:, top, left] * (1 - across) + values[:, top, right] * across
    lower = values[:, bottom, left] * (1 - across) + values[:, bottom, right] * across
    return np.asarray((upper * (1 - down) + lower * down).T, np.float32)


def _find_neighbours(
    places: NDArray[np.float64], cells: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the two cells around each of ``places``, fractions of a side, and how far it is from the first."""
    positions = np.clip(places * cells - 0.5, 0, cells - 1)
    first = np.minimum(positions.astype(np.int64), max(0, cells - 2))
    return first, np.minimum(first + 1, cells - 1), (positions - first).astype(np.float32)
