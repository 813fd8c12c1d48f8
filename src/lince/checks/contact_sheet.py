"""Photos with what is marked on them, drawn for people: one alone, or many on a contact sheet."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.datasets import Dataset
from lince.errors import DataError, ImageError, UsageError
from lince.i18n import _
from lince.inference import drawing

IMAGE_SIDE = 320  # pixels of a drawn photo's longer side
COLUMNS = 4
MAX_SHAPES = 300  # drawn on one photo


def draw_annotated_image(
    dataset: Dataset, row: int, highlighted: Collection[int] | None = None, side: int = IMAGE_SIDE
) -> NDArray[np.uint8]:
    """Return the photo of ``row`` with its objects, uint8 RGB; of those not ``meant`` only a thin line.

    Raise ``ImageError`` when the photo does not open.
    """
    picture = dataset.images.read_image(row, (side, side))
    if dataset.objects is None:
        return drawing.draw_shapes(picture, (), picture.shape[:2], side)
    size = dataset.images.read_size(row)
    return drawing.draw_shapes(picture, _make_shapes(dataset, row, highlighted, size), size, side)


def draw_contact_sheet(dataset: Dataset, rows: Sequence[int]) -> NDArray[np.uint8]:
    """Return one picture of the photos ``rows`` with their names, classes and objects; those that open.

    Raise ``UsageError`` when none does.
    """
    cells = []
    for row in rows:
        try:
            picture = draw_annotated_image(dataset, row)
        except ImageError:
            continue
        cells.append(drawing.SheetCell(picture, _caption_lines(dataset, row)))
    if not cells:
        raise UsageError(_("There is no photo to draw."), _("Expected at least one that opens."))
    return drawing.draw_contact_sheet(cells, COLUMNS, IMAGE_SIDE)


def _caption_lines(dataset: Dataset, row: int) -> tuple[str, ...]:
    """Return what stands below a photo: its class, or how many objects it has, and its name."""
    name = dataset.images.get_name(row).rpartition("/")[2]
    if dataset.objects is None:
        class_id = int(dataset.class_ids[row])
        return (dataset.classes.names[class_id] if class_id >= 0 else _("no class"), name)
    of = dataset.objects.slice_of_image(row)
    counts = np.bincount(dataset.objects.class_ids[of], minlength=len(dataset.classes))
    said = [f"{dataset.classes.names[i]} {counts[i]}" for i in np.flatnonzero(counts)]
    return (", ".join(said) or _("nothing marked"), name)


def _make_shapes(
    dataset: Dataset, row: int, meant: Collection[int] | None, size: tuple[int, int]
) -> list[drawing.ShapeAnnotation]:
    objects = dataset.objects
    if objects is None:
        return []
    of = objects.slice_of_image(row)
    shapes = []
    for i in range(of.start, min(of.stop, of.start + MAX_SHAPES)):
        left, top, right, bottom = objects.boxes[i].tolist()
        kind = int(objects.class_ids[i])
        shapes.append(
            drawing.ShapeAnnotation(
                (left, top, right, bottom),
                dataset.classes.names[kind],
                kind,
                objects.get_polygons(i),
                _decode_mask(objects.masks[i], size),
                is_faint=meant is not None and i not in meant,
                is_highlighted=meant is not None and i in meant,
            )
        )
    return shapes


def _decode_mask(text: str, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return a mask (H, W) of the photo's ``size``; ``None`` where there is none, or where it was made for another."""
    if not text:
        return None
    try:
        return rle.decode(text, *size)
    except DataError:
        return None
