"""Writes YOLO text: a label file for each photo, empty where nothing is on it, and ``data.yaml`` with the names."""

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
    """Return where the image ``file_name`` goes."""
    return f"{_IMAGE_PREFIX}{split}/{file_name}" if split else _IMAGE_PREFIX + file_name


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``labels/``, the mirror of ``images/``, and ``data.yaml``.

    An object with an outline becomes an outline row, several rings joined by a seam without width; its box is then the
    one around it. ``data.yaml`` has no ``path``: a set without one is found from where the file lies.
    """
    objects = export.table.objects or ObjectTable.empty(len(export.table.names))
    for row, name in enumerate(export.image_paths):
        target = folder / _label_path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        height, width = export.image_sizes[row].tolist()
        found = objects.slice_of_image(row)
        lines = [_format_row(objects, index, width, height) for index in range(found.start, found.stop)]
        target.write_text("".join(lines), encoding="utf-8")
    write_text(folder / "data.yaml", _format_data_yaml(export))


def _label_path(name: str) -> str:
    stem = posixpath.splitext(name)[0]
    return f"labels/{stem.removeprefix(_IMAGE_PREFIX)}.txt"


def _format_data_yaml(export: WriteRequest) -> str:
    splits = set(export.table.splits.tolist())
    words = [word for word, split in SPLITS.items() if split in splits]
    lines = [f"{word}: {_IMAGE_PREFIX}{word}" for word in words]
    if words and UNASSIGNED in splits:
        lines.append(f"{UNASSIGNED_KEY}: images")
    names = export.table.classes.names
    lines += [f"nc: {len(names)}", "names:" if names else "names: []"]
    lines += [f"  {i}: {_quote(name)}" for i, name in enumerate(names)]
    return "\n".join([*lines, ""])


def _quote(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)  # a text of JSON is one of YAML


def _format_row(objects: ObjectTable, index: int, width: int, height: int) -> str:
    class_id = int(objects.class_ids[index])
    ring = _join_rings(objects.get_polygons(index))
    values = (
        _normalise_ring(ring, width, height)
        if _has_area(ring)
        else _to_cxcywh(objects.boxes[index].tolist(), width, height)
    )
    return " ".join([str(class_id), *map(repr, values)]) + "\n"


def _to_cxcywh(box: Sequence[float], width: int, height: int) -> list[float]:
    left, top, right, bottom = box
    return [
        (left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height
    ]  # fmt: skip


def _normalise_ring(ring: Ring, width: int, height: int) -> list[float]:
    shares: list[float] = (ring / (width, height)).ravel().tolist()
    return shares


def _join_rings(rings: Sequence[Ring]) -> Ring:
    if len(rings) < 2:
        return rings[0] if rings else np.empty((0, 2))
    first = rings[0][:1]
    others = [part for ring in rings[1:] for part in (ring, ring[:1], first)]
    return np.concatenate([rings[0], first, *others])


def _has_area(ring: Ring) -> bool:
    return len(ring) >= 3 and bool((np.ptp(ring, axis=0) > 0).all())
