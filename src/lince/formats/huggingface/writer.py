"""Writes Hugging Face image folders: a ``metadata.jsonl`` beside the images of each split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lince.annotations import UNLABELLED
from lince.fileio import write_text
from lince.formats.format import WriteRequest
from lince.splits import SPLITS

FILE_NAME = "metadata.jsonl"


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return where the image ``file_name`` goes: into the folder of its split, beside the metadata."""
    return f"{split}/{file_name}" if split else file_name


def write(request: WriteRequest, folder: Path) -> None:
    """Write ``<split>/metadata.jsonl`` for each split; that of images of no split is in ``folder`` itself.

    Each line is a record with ``file_name``, and ``label`` where images have classes (``labels``, a list, where they
    may have several), ``objects`` where objects are marked: their boxes as left, top, width and height in pixels, and
    the names of their classes.
    """
    split_names = {split: split_name for split_name, split in SPLITS.items()}
    lines_by_split: dict[str, list[str]] = {}
    for row, name in enumerate(request.image_paths):
        split_name = split_names.get(int(request.table.splits[row]), "")
        record = {
            "file_name": name.removeprefix(f"{split_name}/") if split_name else name,
            **_make_labels(request, row),
        }
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        lines_by_split.setdefault(split_name, []).append(line + "\n")
    for split_name, lines in lines_by_split.items():
        target = folder / split_name / FILE_NAME
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, "".join(lines))


def _make_labels(request: WriteRequest, row: int) -> dict[str, Any]:
    """Return the class of the image in ``row``, and its objects, as far as the table has such."""
    table, names = request.table, request.table.classes.names
    labels: dict[str, Any] = {}
    if table.label_sets is not None:
        class_ids = table.label_sets.get_class_ids(row)
        labels["labels"] = [names[class_id] for class_id in class_ids] if table.label_sets.is_known[row] else None
    elif table.objects is None or (table.class_ids != UNLABELLED).any():
        class_id = int(table.class_ids[row])
        labels["label"] = None if class_id == UNLABELLED else names[class_id]
    if table.objects is not None:
        own = table.objects.slice_of_image(row)
        boxes = table.objects.boxes[own].tolist()
        labels["objects"] = {
            "bbox": [[left, top, right - left, bottom - top] for left, top, right, bottom in boxes],
            "categories": [names[class_id] for class_id in table.objects.class_ids[own].tolist()],
        }
    return labels
