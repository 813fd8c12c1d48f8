"""Writes a CSV table of image files, classes and splits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from lince.fileio import write_text
from lince.formats.format import WriteRequest
from lince.formats.table import LabelTable
from lince.splits import SPLITS

LIST_HEADER = "classes"  # of a column of lists


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: all are in ``images``."""
    return f"images/{file_name}"


def write(request: WriteRequest, folder: Path) -> None:
    """Write ``labels.csv`` in UTF-8: file, class and split of every image, the latter two empty for none.

    Where images may have several classes, the column is called ``classes`` and holds lists as JSON writes them, an
    empty one for an image that has none.
    """
    split_names = {split: name for name, split in SPLITS.items()}
    header, cells = _list_class_cells(request.table)
    stream = io.StringIO(newline="")
    csv_writer = csv.writer(stream, lineterminator="\n")
    csv_writer.writerow(["file", header, "split"])
    for path, cell, split in zip(request.image_paths, cells, request.table.splits.tolist(), strict=True):
        csv_writer.writerow([path, cell, split_names.get(split, "")])
    write_text(folder / "labels.csv", stream.getvalue())


def _list_class_cells(table: LabelTable) -> tuple[str, list[str]]:
    """Return the header of the column for the classes, and the cell of each image."""
    sets = table.label_sets
    listed = [table.list_class_names(row) for row in range(len(table.names))]
    if sets is None:
        return "class", ["".join(names) for names in listed]
    known = sets.is_known.tolist()
    rows = zip(listed, known, strict=True)
    return LIST_HEADER, [format_class_list(names) if is_known else "" for names, is_known in rows]


def format_class_list(names: Sequence[str]) -> str:
    """Return the cell of an image with the classes ``names``, as JSON, so that any name can be read again."""
    return json.dumps(list(names), ensure_ascii=False)
