"""Computes the metrics of a model of semantic segmentation on a test set, with intervals; undefined ones are ``None``.

IoU, Dice (F1), precision and recall of a class are those of all pixels of all images together, as scikit-learn computes
them; void pixels are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.errors import DataError
from lince.evaluation.bootstrap import Bootstrap, FloatArray, average_over_present
from lince.evaluation.confidence import ConfidenceInterval
from lince.evaluation.segmentation.pixel_counts import PixelCounts
from lince.i18n import _

MIOU_TOLERANCE = 0.01  # a smaller difference of the mean IoU of a few dozen validation images says nothing
BACKGROUND_NAME = "background"  # in JSON and in files; pages translate it
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class PixelScore:
    """Metrics of one class, each figure with its interval, ``None`` where it would be a division by zero.

    ``support`` test images show the class, on ``pixels`` pixels; ``predicted`` pixels were predicted as it, ``correct``
    are both. ``area_error`` is the sum over the images of the absolute difference between predicted and true area, as a
    fraction of the true area; ``area_bias`` that of the signed difference, above 0 where the model predicts too much.
    """

    name: str
    support: int
    pixels: int
    predicted: int
    correct: int
    iou: ConfidenceInterval | None
    dice: ConfidenceInterval | None
    precision: ConfidenceInterval | None
    recall: ConfidenceInterval | None
    area_error: float | None
    area_bias: float | None

    def list_figures(self) -> dict[str, ConfidenceInterval | None]:
        """Return the figures that have an interval, by their keys in ``report.json``."""
        return {"iou": self.iou, "dice": self.dice, "precision": self.precision, "recall": self.recall}

    def explain_undefined(self) -> dict[str, str]:
        """Return, for each figure that is ``None``, the translated reason."""
        no_pixel = _("no test image shows this class")
        none_at_all = _("no test image shows this class, and none was predicted to")
        reasons = {
            "iou": none_at_all,
            "dice": none_at_all,
            "precision": _("no pixel was predicted as this class"),
            "recall": no_pixel,
            "area_error": no_pixel,
            "area_bias": no_pixel,
        }
        return {figure: reason for figure, reason in reasons.items() if getattr(self, figure) is None}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON: numbers or null, with their intervals and the reasons for nulls."""
        figures = self.list_figures()
        return {
            "name": self.name,
            "support": self.support,
            "pixels": self.pixels,
            "predicted": self.predicted,
            **{key: None if item is None else item.value for key, item in figures.items()},
            "area_error": self.area_error,
            "area_bias": self.area_bias,
            "intervals": {key: [item.low, item.high] for key, item in figures.items() if item is not None},
            "undefined": self.explain_undefined(),
        }


@dataclass(frozen=True)
class SegmentationFigures:
    """The figures of a whole test set, each 0..1 with its interval.

    Attributes:
        miou: mean of the IoU of the background and the classes that truth or prediction have (``counted_names``).
        pixel_accuracy: fraction of the pixels that are right.
        mean_dice: mean over the images of the mean Dice of the classes that their truth or prediction has; the
            background is left out, and so are images of it alone. ``None`` where no image is left.
        boundary_iou: mean over the classes of the IoU of the bands along their contours; ``None`` where pixels are
            void, since the contour is not known there, and where truth and prediction have no class.
    """

    miou: ConfidenceInterval
    pixel_accuracy: ConfidenceInterval
    mean_dice: ConfidenceInterval | None
    boundary_iou: ConfidenceInterval | None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON, null where undefined."""
        return {name: None if item is None else item.to_dict() for name, item in vars(self).items()}


@dataclass(frozen=True, eq=False)
class SegmentationMetrics:
    """Metrics of a model of semantic segmentation on ``count`` images.

    ``scores`` are those of the C classes, ``background`` that of the pixels of none. ``confusion`` int64 (C + 1, C + 1)
    counts pixels by truth (rows) and prediction (columns), the background first. ``area_error`` is that of all classes
    together; ``None`` where the truth has none. ``pixels`` were counted, ``void_pixels`` were not.
    """

    classes: Classes
    count: int
    figures: SegmentationFigures
    scores: tuple[PixelScore, ...]
    background: PixelScore
    confusion: Counts
    area_error: float | None
    pixels: int
    void_pixels: int

    @property
    def miou(self) -> ConfidenceInterval:
        """The mean IoU."""
        return self.figures.miou

    @property
    def counted_names(self) -> tuple[str, ...]:
        """What the mean IoU is the mean of: the names of the classes, and ``background``."""
        return tuple(score.name for score in (self.background, *self.scores) if score.iou is not None)

    @property
    def baseline(self) -> tuple[str, float]:
        """The commonest class, or ``background``, and the mean IoU of a model that predicts it for every pixel."""
        pixels = self.confusion.sum(axis=1)
        value = int(pixels.argmax())
        names = (BACKGROUND_NAME, *self.classes.names)
        return names[value], float(pixels[value] / pixels.sum() / np.count_nonzero(pixels))

    @property
    def void_share(self) -> float:
        """The fraction of all pixels that is void."""
        return self.void_pixels / max(1, self.pixels + self.void_pixels)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON, without NaN."""
        return {
            "count": self.count,
            **self.figures.to_dict(),
            "area_error": self.area_error,
            "mean_over": list(self.counted_names),
            "pixels": self.pixels,
            "void_pixels": self.void_pixels,
            "classes": [score.to_dict() for score in self.scores],
            "background": self.background.to_dict(),
            "confusion": {"classes": [BACKGROUND_NAME, *self.classes.names], "counts": self.confusion.tolist()},
        }


@dataclass(frozen=True, eq=False)
class PixelTable:
    """The counts of N images, class by class; int64 (N, C + 1) each, the background first.

    ``true``, ``predicted`` and ``correct`` are numbers of pixels, ``shared`` and ``joined`` the intersections and
    unions of contour bands.
    """

    true: Counts
    predicted: Counts
    correct: Counts
    shared: Counts
    joined: Counts

    @classmethod
    def from_counts(cls, counts: Sequence[PixelCounts], class_count: int) -> PixelTable:
        """Return the table of ``counts``, with a column for the background and each of ``class_count`` classes."""
        shape = (len(counts), class_count + 1)
        true, predicted, correct, shared, joined = (np.zeros(shape, np.int64) for _i in range(5))
        for row, item in enumerate(counts):
            truths, answers, pixels = item.cells.T
            np.add.at(true[row], truths, pixels)
            np.add.at(predicted[row], answers, pixels)
            np.add.at(correct[row], truths, np.where(truths == answers, pixels, 0))
            shared[row, item.contours[:, 0]] = item.contours[:, 1]
            joined[row, item.contours[:, 0]] = item.contours[:, 2]
        return cls(true, predicted, correct, shared, joined)

    @property
    def union(self) -> Counts:
        """The number of pixels of each class in truth or prediction."""
        return self.true + self.predicted - self.correct

    def compute_ious(self, weights: FloatArray) -> FloatArray:
        """Return the IoU (R, C + 1) of the images taken ``weights`` (R, N) times; NaN for a class that none has."""
        return compute_ratios(weights @ self.correct, weights @ self.union)

    def compute_photo_dice(self) -> FloatArray:
        """Return the mean Dice (N,) of each image over the classes that it has; NaN where it has none."""
        total = (self.true + self.predicted)[:, 1:]
        return average_over_present(compute_ratios(2 * self.correct[:, 1:], total))


def compute_ratios(counts: NDArray[Any], totals: NDArray[Any]) -> FloatArray:
    """Return ``counts`` / ``totals``, NaN for 0 / 0."""
    return np.asarray(np.where(totals > 0, counts / np.where(totals > 0, totals, 1), np.nan), np.float64)


def compute_segmentation_metrics(
    counts: Sequence[PixelCounts], classes: Classes, seed: int = 0, groups: NDArray[np.int64] | None = None
) -> SegmentationMetrics:
    """Return the metrics of the N images with ``counts``.

    Intervals are percentile bootstraps over images (with ``seed``); images with the same number in ``groups`` (N,),
    such as altered copies of one photo, are drawn together. Raises ``DataError`` where there is no image, or none shows
    a class.
    """
    table = PixelTable.from_counts(counts, len(classes))
    if not table.true[:, 1:].any():
        raise DataError(
            _("There is no image with a class to evaluate.") if len(counts) else _("There is no image to evaluate."),
            _("Expected a test set in which at least one image has a class."),
            _("Use a larger test fraction (--test), or give a labelled test set."),
        )
    bootstrap = Bootstrap.draw(table.true.shape, groups, seed)
    names = (BACKGROUND_NAME, *classes.names)
    background, *scores = (_compute_score(name, table, i, bootstrap) for i, name in enumerate(names))
    return SegmentationMetrics(
        classes,
        len(counts),
        _compute_figures(table, bootstrap, any(item.has_void for item in counts)),
        tuple(scores),
        background,
        sum_confusion(counts, len(classes)),
        float(np.abs(table.predicted - table.true)[:, 1:].sum() / table.true[:, 1:].sum()),
        int(table.true.sum()),
        sum(item.height * item.width - item.counted for item in counts),
    )


def compute_mean_iou(counts: Sequence[PixelCounts], class_count: int) -> float:
    """Return the mean IoU, 0..1, over background and classes that the images have; NaN where no pixel is counted."""
    table = PixelTable.from_counts(counts, class_count)
    return float(average_over_present(table.compute_ious(np.ones((1, len(counts)))))[0])


def sum_confusion(counts: Sequence[PixelCounts], class_count: int) -> Counts:
    """Return the pixels of all images by truth (rows) and prediction (columns), int64 (C + 1, C + 1)."""
    confusion = np.zeros((class_count + 1, class_count + 1), np.int64)
    for item in counts:
        np.add.at(confusion, (item.cells[:, 0], item.cells[:, 1]), item.cells[:, 2])
    return confusion


def _compute_figures(table: PixelTable, bootstrap: Bootstrap, has_void: bool) -> SegmentationFigures:
    """Return the figures over all classes."""
    ones = np.ones((1, len(table.true)))
    value = float(average_over_present(table.compute_ious(ones))[0])
    pixel_accuracy = bootstrap.compute_ratio(table.correct.sum(axis=1), table.true.sum(axis=1))
    if pixel_accuracy is None:
        raise ValueError("no pixel is counted")
    dice = table.compute_photo_dice()
    boundary_iou = None
    if not has_void and table.joined.any():
        weights = np.concatenate([ones, bootstrap.weights])
        means = average_over_present(compute_ratios(weights @ table.shared, weights @ table.joined))
        boundary_iou = bootstrap.compute_interval(float(means[0]), means[1:])
    return SegmentationFigures(
        bootstrap.compute_interval(value, average_over_present(table.compute_ious(bootstrap.weights))),
        pixel_accuracy,
        bootstrap.compute_ratio(np.nan_to_num(dice), ~np.isnan(dice)),
        boundary_iou,
    )


def _compute_score(name: str, table: PixelTable, column: int, bootstrap: Bootstrap) -> PixelScore:
    """Return the metrics of the class in ``column`` of ``table``.

    Dice = 2 j / (1 + j), where j is the IoU, whose interval is transformed.
    """
    true, predicted, correct = (item[:, column] for item in (table.true, table.predicted, table.correct))
    iou = bootstrap.compute_ratio(correct, true + predicted - correct)
    dice = None
    if iou is not None:
        dice = ConfidenceInterval(*(2 * bound / (1 + bound) for bound in (iou.value, iou.low, iou.high)))
    area = int(true.sum())
    return PixelScore(
        name,
        int((true > 0).sum()),
        area,
        int(predicted.sum()),
        int(correct.sum()),
        iou,
        dice,
        bootstrap.compute_ratio(correct, predicted),
        bootstrap.compute_ratio(correct, true),
        float(np.abs(predicted - true).sum() / area) if area else None,
        float((predicted - true).sum() / area) if area else None,
    )
