"""Draws a preview of an augmentation policy: ``lince.augment``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import fileio, images, outputs
from lince.api.data_source import DataSource, open_data
from lince.augmentation import Policy, preview
from lince.augmentation.apply import AugmentedImage
from lince.datasets import Dataset
from lince.errors import DataError
from lince.fileio import quote_path
from lince.i18n import _
from lince.inference.drawing import ShapeAnnotation, draw_shapes
from lince.notebook_progress import AUTOMATIC
from lince.option_aliases import choose_given
from lince.preprocess import PreprocessSpec
from lince.progress import Progress
from lince.training.classification.defaults import measure_native_side

MAX_PREVIEW_SIDE = 224  # pixels of an image in the preview, unless the caller asks for another size


def augment(  # noqa: PLR0913
    data: DataSource,
    policy: str = "medium",
    *,
    out: str | os.PathLike[str] = "sheet.png",
    size: int | None = None,
    imgsz: int | None = None,
    count: int = 6,
    copies: int = 6,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = AUTOMATIC,
) -> Path:
    """Write a contact sheet of up to ``count`` images, each in a row with ``copies`` augmented copies; return its path.

    ``policy`` is the name of a policy or a list of operations, such as ``rotation 15, zoom 0.1``. ``size``, also called
    ``imgsz``, is the side of each picture in pixels; by default that of the images, 224 at most. The images are chosen,
    and altered, at random with ``seed``; one that cannot be read is named to ``progress``, and another is taken. Where
    the data has boxes, they are drawn, and the images are altered as for a detector. The
    suffix of ``out`` decides between PNG and JPEG.

    Raises ``DataError`` where no image can be read, ``UsageError`` for an unknown policy or operation and where a
    picture that lince did not write so is there already, and what ``lince.open`` raises.
    """
    asked_side = choose_given("size", size, imgsz=imgsz)
    target = outputs.require_output_file(out, outputs.SHEET, overwrite=overwrite, sources=[data])
    parsed_policy = Policy.parse(policy)
    dataset = open_data(data, progress)
    rows = np.random.default_rng(seed).permutation(len(dataset)).tolist()
    side = asked_side or min(MAX_PREVIEW_SIDE, measure_native_side(dataset))
    found = _read_images(dataset, rows, count, side, progress)
    spec, marks = PreprocessSpec(side, side), _make_box_marks(dataset, found)
    sheet = preview.render_preview_sheet(list(found.values()), parsed_policy, seed, copies, spec, marks)
    fileio.write_bytes(target, images.encode_by_suffix(sheet, target.suffix))
    outputs.record_output(target, outputs.SHEET)
    return target


def _read_images(
    dataset: Dataset, rows: Sequence[int], count: int, side: int, progress: Progress
) -> dict[int, NDArray[np.uint8]]:
    """Return the first ``count`` images that can be read, uint8 (H, W, 3), decoded for ``side`` pixels, by their row.

    The others are named to ``progress``. Raise ``DataError`` where none can be read.
    """
    found: dict[int, NDArray[np.uint8]] = {}
    for row in rows:
        if len(found) == count:
            break
        try:
            found[row] = dataset.images.read_image(row, (side, side))
        except DataError as error:
            progress.show_message(_("Left out: {problem}").format(problem=error.problem))
    if not found:
        raise DataError(
            _("None of the {count:,} images of {root} can be read.").format(count=len(rows), root=dataset.root),
            "",
            _("{command} says what is wrong with each.").format(command=f"lince check {quote_path(dataset.root)}"),
        )
    return found


def _make_box_marks(dataset: Dataset, found: Mapping[int, NDArray[np.uint8]]) -> preview.BoxMarks | None:
    """Return the boxes of the images ``found`` (by row), and how they are drawn; ``None`` for data without boxes."""
    objects = dataset.objects
    if objects is None or not len(objects):
        return None
    slices = [objects.slice_of_image(row) for row in found]
    boxes = []
    for (row, image), span in zip(found.items(), slices, strict=True):
        height, width = dataset.images.read_size(row)
        boxes.append(objects.boxes[span] * np.tile([image.shape[1] / width, image.shape[0] / height], 2))

    def draw(index: int, augmented: AugmentedImage) -> NDArray[np.uint8]:
        class_ids = objects.class_ids[slices[index]][augmented.kept].tolist()
        shapes = [
            ShapeAnnotation((left, top, right, bottom), dataset.classes.names[class_id], class_id)
            for (left, top, right, bottom), class_id in zip(augmented.boxes.tolist(), class_ids, strict=True)
        ]
        height, width = augmented.image.shape[:2]
        return draw_shapes(augmented.image, shapes, (height, width), max(height, width))

    return preview.BoxMarks(boxes, draw)
