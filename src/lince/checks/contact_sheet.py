"""Draws images with their annotations: one image, or a contact sheet of several."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.datasets import Dataset
from lince.errors import DataError, ImageError, UsageError
from lince.i18n import _
from lince.inference import drawing

IMAGE_SIDE = 320  # pixels of the longer side of a drawn image
COLUMNS = 4
MAX_SHAPES = 300  # objects drawn on one image; more would hide it


def draw_annotated_image(
    dataset: Dataset, row: int, highlighted: Collection[int] | None = None, side: int = IMAGE_SIDE
) -> NDArray[np.uint8]:
    """Return the image at ``row`` with its objects drawn on it: uint8 RGB, longer side at most about ``side`` pixels.

    At most ``MAX_SHAPES`` objects are drawn. With ``highlighted`` (indices into ``dataset.objects``) these are
    emphasised and all others get a thin line. Raise ``ImageError`` when the image cannot be opened.
    """
    image = dataset.images.read_image(row, (side, side))
    if dataset.objects is None:
        return drawing.draw_shapes(image, (), image.shape[:2], side)
    original_size = dataset.images.read_size(row)
    return drawing.draw_shapes(image, _make_shapes(dataset, row, highlighted, original_size), original_size, side)


def draw_dataset_sheet(dataset: Dataset, rows: Sequence[int]) -> NDArray[np.uint8]:
    """Return one image, uint8 RGB, with the images at ``rows`` in ``COLUMNS`` columns, their labels and file names.

    Images that cannot be opened are left out. Raise ``UsageError`` when none is left.
    """
    cells = []
    for row in rows:
        try:
            image = draw_annotated_image(dataset, row)
        except ImageError:
            continue
        cells.append(drawing.SheetCell(image, _caption_lines(dataset, row)))
    if not cells:
        raise UsageError(_("There is no photo to draw."), _("Expected at least one readable photo."))
    return drawing.draw_contact_sheet(cells, COLUMNS, IMAGE_SIDE)


def describe_labels(dataset: Dataset, row: int) -> str:
    """Return the class of the image at ``row``, or the number of its objects of each class: "cat 2, dog 1"."""
    if dataset.objects is None:
        return ", ".join(dataset.list_class_names(row)) or _("no class")
    objects_of_image = dataset.objects.slice_of_image(row)
    counts = np.bincount(dataset.objects.class_ids[objects_of_image], minlength=len(dataset.classes))
    class_counts = [f"{dataset.classes.names[i]} {counts[i]}" for i in np.flatnonzero(counts)]
    return ", ".join(class_counts) or _("no objects")


def _caption_lines(dataset: Dataset, row: int) -> tuple[str, ...]:
    """Return the two lines below an image: its labels and its file name."""
    return describe_labels(dataset, row), dataset.images.get_name(row).rpartition("/")[2]


def _make_shapes(
    dataset: Dataset, row: int, highlighted: Collection[int] | None, original_size: tuple[int, int]
) -> list[drawing.ShapeAnnotation]:
    """Return the drawable shapes of the objects on the image at ``row``; none for a dataset without objects."""
    objects = dataset.objects
    if objects is None:
        return []
    objects_of_image = objects.slice_of_image(row)
    shapes = []
    for index in range(objects_of_image.start, min(objects_of_image.stop, objects_of_image.start + MAX_SHAPES)):
        left, top, right, bottom = objects.boxes[index].tolist()
        class_id = int(objects.class_ids[index])
        shapes.append(
            drawing.ShapeAnnotation(
                (left, top, right, bottom),
                dataset.classes.names[class_id],
                class_id,
                objects.get_polygons(index),
                _decode_mask(objects.masks[index], original_size),
                is_faint=highlighted is not None and index not in highlighted,
                is_highlighted=highlighted is not None and index in highlighted,
            )
        )
    return shapes


def _decode_mask(rle_string: str, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return a mask of the image, bool (H, W); ``None`` for an empty string and for a mask of another size."""
    if not rle_string:
        return None
    try:
        return rle.decode(rle_string, *size)
    except DataError:
        return None
