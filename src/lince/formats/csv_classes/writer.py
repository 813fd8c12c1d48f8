"""Writes a CSV table of image files, classes and splits."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from lince.annotations import UNLABELLED
from lince.fileio import write_text
from lince.formats.format import WriteRequest
from lince.splits import SPLITS


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: all are in ``images``."""
    return f"images/{file_name}"


def write(request: WriteRequest, folder: Path) -> None:
    """Write ``labels.csv`` in UTF-8: file, class and split of every image, the latter two empty for none."""
    table, split_names = request.table, {split: name for name, split in SPLITS.items()}
    stream = io.StringIO(newline="")
    csv_writer = csv.writer(stream, lineterminator="\n")
    csv_writer.writerow(["file", "class", "split"])
    for path, class_id, split in zip(request.image_paths, table.class_ids.tolist(), table.splits.tolist(), strict=True):
        class_name = "" if class_id == UNLABELLED else table.classes.names[class_id]
        csv_writer.writerow([path, class_name, split_names.get(split, "")])
    write_text(folder / "labels.csv", stream.getvalue())
