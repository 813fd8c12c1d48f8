"""Pictures and tables of a model of semantic segmentation for notebooks: the part ``notebook`` of its task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lince.datasets import Dataset
from lince.evaluation.report.texts import TextTable
from lince.evaluation.segmentation.photo_selection import PhotoFigures
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.i18n import _
from lince.notebook.class_table import make_class_table
from lince.notebook.picture import PICTURE_SIDE, Picture, make_picture
from lince.number_format import format_percent
from lince.training.segmentation.report_images import draw_labels, read_truth

_WORST, _BEST = 8, 4
_SIDE = PICTURE_SIDE * 3 // 2  # pixels: masks need more than photos alone
Example = tuple[int, Callable[[Dataset, int], Picture]]


def build_class_table(test: Mapping[str, Any]) -> TextTable:
    """Return one row per class with its images, IoU, Dice, precision and recall, the lowest IoU first."""
    figures = {"iou": "IoU", "dice": "Dice", "precision": _("precision"), "recall": _("recall")}
    return make_class_table(test, figures, "iou")


def list_examples(predictions: SegmentationPredictions, test: Mapping[str, Any]) -> list[tuple[str, list[Example]]]:
    """Return the photos with the lowest and the highest mean IoU: titles, and for each image how it is drawn."""
    del test
    figures = PhotoFigures.measure(predictions)
    worst = figures.select_worst(_WORST)
    groups = (
        (_("Images with most errors"), worst),
        (_("Images with fewest errors"), figures.select_best(_BEST, worst)),
    )
    return [
        (title, [(index, partial(_draw_example, predictions, figures, index)) for index in indices.tolist()])
        for title, indices in groups
    ]


def _draw_example(
    predictions: SegmentationPredictions, figures: PhotoFigures, index: int, dataset: Dataset, row: int
) -> Picture:
    """Return the photo with its labels, and with what is wrong of the prediction in words."""
    counts, share = predictions.counts[index], float(figures.wrong_shares[index])
    shown = draw_labels(*read_truth(dataset, row, (counts.height, counts.width), _SIDE))
    wrong = _("wrong: {share} of the pixels").format(share=format_percent(share)) if share else _("all pixels right")
    caption = _("labels") + f" · mIoU {format_percent(float(figures.mious[index]))} · {wrong}"
    return make_picture(shown, caption, predictions.names[index], "" if share else "right", _SIDE)
