"""Writes YOLO text labels: a file per image, empty without objects, and ``data.yaml`` with the class names."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lince.annotations import ObjectTable
from lince.fileio import write_text
from lince.formats.builders.object_table import Ring
from lince.formats.format import WriteRequest
from lince.formats.yolo.dataset_yaml import UNASSIGNED_KEY
from lince.splits import SPLITS, UNASSIGNED

_IMAGE_PREFIX = "images/"


def image_path(split: str, class_name: str, file_name: str) -> str:
    """Return the path of an image in the target folder: ``images/train/x.jpg``, ``images/x.jpg`` without a split."""
    return f"{_IMAGE_PREFIX}{split}/{file_name}" if split else _IMAGE_PREFIX + file_name


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``labels/``, which mirrors ``images/``, and ``data.yaml``.

    An object with a polygon becomes a polygon row, with several rings joined by a seam without
    width (as Ultralytics' converters do); its box is then the bounding box. ``data.yaml`` has no
    ``path``, so that paths are relative to the file and the dataset can be moved.
    """
    objects = export.table.objects or ObjectTable.empty(len(export.table.names))
    for row, image_file in enumerate(export.image_paths):
        target = folder / _label_path(image_file)
        target.parent.mkdir(parents=True, exist_ok=True)
        height, width = export.image_sizes[row].tolist()
        rows = objects.slice_of_image(row)
        lines = [_format_row(objects, index, width, height) for index in range(rows.start, rows.stop)]
        target.write_text("".join(lines), encoding="utf-8")
    write_text(folder / "data.yaml", _format_data_yaml(export))


def _label_path(image_file: str) -> str:
    """Return the path of the label file of an image."""
    stem = posixpath.splitext(image_file)[0]
    return f"labels/{stem.removeprefix(_IMAGE_PREFIX)}.txt"


def _format_data_yaml(export: WriteRequest) -> str:
    """Return the text of ``data.yaml``."""
    splits = set(export.table.splits.tolist())
    split_names = [split_name for split_name, split in SPLITS.items() if split in splits]
    lines = [f"{split_name}: {_IMAGE_PREFIX}{split_name}" for split_name in split_names]
    if split_names and UNASSIGNED in splits:
        lines.append(f"{UNASSIGNED_KEY}: images")
    names = export.table.classes.names
    lines += [f"nc: {len(names)}", "names:" if names else "names: []"]
    lines += [f"  {i}: {_quote(name)}" for i, name in enumerate(names)]
    return "\n".join([*lines, ""])


def _quote(name: str) -> str:
    """Return ``name`` as a quoted YAML string."""
    return json.dumps(name, ensure_ascii=False)  # JSON strings are YAML strings


def _format_row(objects: ObjectTable, index: int, width: int, height: int) -> str:
    """Return the row of the object at ``index`` on an image of ``width`` x ``height`` pixels."""
    class_id = int(objects.class_ids[index])
    ring = _join_rings(objects.get_polygons(index))
    values = (
        _normalise_ring(ring, width, height)
        if _has_area(ring)
        else _to_cxcywh(objects.boxes[index].tolist(), width, height)
    )
    return " ".join([str(class_id), *map(repr, values)]) + "\n"


def _to_cxcywh(box: Sequence[float], width: int, height: int) -> list[float]:
    """Return centre and sides of ``box`` (left, top, right, bottom) as fractions of the image."""
    left, top, right, bottom = box
    return [
        (left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height
    ]  # fmt: skip


def _normalise_ring(ring: Ring, width: int, height: int) -> list[float]:
    """Return the points of a polygon as fractions of the image: x1, y1, x2, y2, ..."""
    fractions: list[float] = (ring / (width, height)).ravel().tolist()
    return fractions


def _join_rings(rings: Sequence[Ring]) -> Ring:
    """Return one ring (K, 2) of all ``rings``; from the first point of the first, each is entered and left again."""
    if len(rings) < 2:
        return rings[0] if rings else np.empty((0, 2))
    start = rings[0][:1]
    bridged = [points for ring in rings[1:] for points in (ring, ring[:1], start)]
    return np.concatenate([rings[0], start, *bridged])


def _has_area(ring: Ring) -> bool:
    """Whether a ring has at least three points that are not on one vertical or horizontal line."""
    return len(ring) >= 3 and bool((np.ptp(ring, axis=0) > 0).all())
