"""Selects and draws the photos of the report of a segmentation model: labels, predictions, and the wrong pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import images
from lince.annotations import get_class_colour
from lince.class_maps import VOID, draw_class_map, resize_class_map
from lince.datasets import Dataset
from lince.datasets.class_mapping import adopt_classes
from lince.evaluation.report import SegmentationReportImage, SegmentationReportImages
from lince.evaluation.segmentation.packed_map import PICTURE_SIDE, fit_size
from lince.evaluation.segmentation.photo_selection import PhotoFigures
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.i18n import _
from lince.inference import drawing, mask_drawing

WORST_IMAGES, BEST_IMAGES = 8, 4
_VOID_COLOUR = (128, 128, 128)
_STRIPE = 8  # pixels from one stripe over void pixels to the next; they are half as wide
Image = NDArray[np.uint8]


def select_example_images(
    dataset: Dataset, rows: NDArray[np.int64], predictions: SegmentationPredictions
) -> SegmentationReportImages:
    """Return the photos with the lowest and the highest mean IoU, drawn; none where ``predictions`` have no maps.

    ``rows`` int64 (N,) are those of ``dataset`` that the N ``predictions`` are for.
    """
    if predictions.maps is None:
        return SegmentationReportImages()
    dataset = adopt_classes(dataset, predictions.classes)
    figures = PhotoFigures.measure(predictions)
    worst = figures.select_worst(WORST_IMAGES)
    best = figures.select_best(BEST_IMAGES, worst)
    values: set[int] = set()

    def make(indices: NDArray[np.int64]) -> tuple[SegmentationReportImage, ...]:
        """Return the photos at ``indices`` (into the predictions), drawn."""
        made = []
        for i in indices.tolist():
            picture, present = _make_report_image(dataset, int(rows[i]), predictions, i, figures)
            made.append(picture)
            values.update(present)
        return tuple(made)

    return SegmentationReportImages(make(worst), make(best), list_legend(predictions.classes.names, values))


def list_legend(names: tuple[str, ...], values: set[int]) -> tuple[tuple[str, str], ...]:
    """Return the names and colours (``#rrggbb``) of the ``values`` of class maps, the background left out."""
    colours = [(name, get_class_colour(i)) for i, name in enumerate(names) if i + 1 in values]
    colours += [(_("void"), _VOID_COLOUR)] if VOID in values else []
    return tuple((name, "#{:02x}{:02x}{:02x}".format(*colour)) for name, colour in colours)


def draw_labels(photo: Image, class_map: Image) -> Image:
    """Return ``photo`` (H, W, 3) with the classes of ``class_map`` (H, W) over it, and stripes over void pixels."""
    is_void = class_map == VOID
    canvas = mask_drawing.draw_class_map(photo, np.where(is_void, 0, class_map).astype(np.uint8))
    diagonals = np.arange(class_map.shape[0])[:, None] + np.arange(class_map.shape[1])
    canvas[is_void & (diagonals % _STRIPE < _STRIPE // 2)] = _VOID_COLOUR
    return canvas


def draw_errors(photo: Image, is_wrong: NDArray[np.bool_]) -> Image:
    """Return ``photo`` (H, W, 3) in light grey, with the pixels that are wrong in one colour."""
    grey = photo.mean(axis=2, keepdims=True) * 0.6 + 0.4 * 255
    canvas = np.repeat(grey, 3, axis=2).astype(np.uint8)
    canvas[is_wrong] = drawing.WRONG_COLOUR
    return canvas


def read_truth(dataset: Dataset, row: int, size: tuple[int, int], side: int) -> tuple[Image, Image]:
    """Return the photo at ``row``, of ``size`` (height, width), and the class map of its labels.

    Both are reduced to ``side`` pixels on the longer side, and never enlarged. Raises ``ImageError`` when the photo
    cannot be read.
    """
    height, width = fit_size(size, side)
    void = "" if dataset.void_masks is None else dataset.void_masks[row]
    class_map = resize_class_map(draw_class_map(dataset.objects, row, size, void), (height, width))
    photo = dataset.images.read_image(row, (height, width))
    return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8), class_map


def _make_report_image(
    dataset: Dataset, row: int, predictions: SegmentationPredictions, i: int, figures: PhotoFigures
) -> tuple[SegmentationReportImage, set[int]]:
    """Return prediction ``i`` drawn on its photo, and the values of the class maps that are to be seen."""
    counts = predictions.counts[i]
    photo, truth = read_truth(dataset, row, (counts.height, counts.width), PICTURE_SIDE)
    predicted = predictions.maps[i].unpack() if predictions.maps else truth
    pictures = (
        draw_labels(photo, truth),
        draw_labels(photo, predicted),
        draw_errors(photo, (truth != predicted) & (truth != VOID)),
    )
    labels, answers, errors = map(images.encode_jpeg, pictures)
    picture = SegmentationReportImage(
        labels,
        answers,
        errors,
        predictions.names[i],
        float(figures.mious[i]),
        float(figures.wrong_shares[i]),
    )
    return picture, {int(value) for one in (truth, predicted) for value in np.unique(one)}
