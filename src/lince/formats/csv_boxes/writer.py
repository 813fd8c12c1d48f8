"""Writes a CSV table with one row per box, in the layout of the TensorFlow object detection tutorials."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from lince.annotations import ObjectTable
from lince.fileio import write_text
from lince.formats.format import WriteRequest
from lince.splits import SPLITS

HEADER = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", "split"]


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: all are in ``images``."""
    return f"images/{file_name}"


def write(request: WriteRequest, folder: Path) -> None:
    """Write ``labels.csv`` in UTF-8: one row per box in pixels, with the split in an additional last column.

    An image without objects gets a row with an empty class and box.
    """
    table, split_names = request.table, {split: name for name, split in SPLITS.items()}
    objects = table.objects or ObjectTable.empty(len(table.names))
    stream = io.StringIO(newline="")
    csv_writer = csv.writer(stream, lineterminator="\n")
    csv_writer.writerow(HEADER)
    for row, path in enumerate(request.image_paths):
        height, width = request.image_sizes[row].tolist()
        split_name = split_names.get(int(table.splits[row]), "")
        object_slice = objects.slice_of_image(row)
        class_ids, boxes = objects.class_ids[object_slice].tolist(), objects.boxes[object_slice].tolist()
        for class_id, box in zip(class_ids, boxes, strict=True):
            class_name = table.classes.names[class_id]
            csv_writer.writerow([path, width, height, class_name, *map(_format_number, box), split_name])
        if not class_ids:
            csv_writer.writerow([path, width, height, "", "", "", "", "", split_name])
    write_text(folder / "labels.csv", stream.getvalue())


def _format_number(value: float) -> str:
    """Return the shortest text that is read as ``value`` again, without decimals for whole numbers."""
    return str(int(value)) if value.is_integer() else repr(value)
