"""Writing TFRecord files that the TF Object Detection API reads: a set for each split, and ``label_map.pbtxt``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import images, masks
from lince.annotations import UNLABELLED, Objects
from lince.files import write_text
from lince.labels import example, maskpng, pbtxt, tfexample
from lince.labels.example import Value
from lince.labels.format import Export
from lince.labels.records import frame
from lince.labels.table import SPLITS

LABEL_MAP = "label_map.pbtxt"
IMAGES_AT_MOST = 1000  # of one file
BYTES_AT_MOST = 100_000_000  # of one file, as TensorFlow advises: 100 MB or more
_WITHOUT_SPLIT = "data"
_PLAIN = ("jpeg", "png")  # the kinds that TensorFlow decodes to one picture each


def write(export: Export, folder: Path) -> None:
    """Write ``export`` as ``train.record``, or ``train.record-00000-of-00003`` and so on, with its label map.

    Class ids are those of the label map, from 1 on. TensorFlow turns no photo upright by its Exif note and decodes
    JPEG and PNG alone, so all others are stored as upright PNG. Boxes are stored as 32-bit shares of the image: to
    6e-8 of its sides.
    """
    write_text(folder / LABEL_MAP, pbtxt.write(export.table.classes.names))
    words = {split: word for word, split in SPLITS.items()}
    for split in sorted(set(export.table.splits.tolist())):
        rows = np.flatnonzero(export.table.splits == split)
        _write_set(export, rows, folder, words.get(split, _WITHOUT_SPLIT))


def _write_set(export: Export, rows: NDArray[np.int64], folder: Path, word: str) -> None:
    """Write the images at ``rows`` to as many files as they take; how many is known, and in their names, at the end."""
    records = (frame(_record(export, row)) for row in rows.tolist())
    parts: list[Path] = []
    first = next(records, None)
    while first is not None:
        parts.append(folder / f"{word}.record-{len(parts):05d}")
        first = _fill(parts[-1], first, records)
    for number, part in enumerate(parts):
        count = f"-{number:05d}-of-{len(parts):05d}" if len(parts) > 1 else ""
        os.replace(part, folder / f"{word}.record{count}")


def _fill(path: Path, first: bytes, records: Iterator[bytes]) -> bytes | None:
    """Write ``first`` and more of ``records`` until the file is full; return the one that no longer fitted."""
    size = count = 0
    following: bytes | None = first
    with open(path, "wb") as stream:
        while following is not None and count < IMAGES_AT_MOST and (not count or size + len(following) < BYTES_AT_MOST):
            size, count = size + stream.write(following), count + 1
            following = next(records, None)
    return following


def _record(export: Export, row: int) -> bytes:
    photo = _photo(export.read(row))
    height, width = export.sizes[row].tolist()
    name = export.files[row].encode("utf-8")
    features: dict[str, Value] = {
        tfexample.PHOTO: [photo],
        tfexample.FORMAT: [(images.kind(photo) or "").encode()],
        tfexample.FILENAME: [name],
        tfexample.SOURCE: [name],
        tfexample.SHA256: [hashlib.sha256(photo).hexdigest().encode()],
        tfexample.HEIGHT: [height],
        tfexample.WIDTH: [width],
    }
    table = export.table
    class_id = int(table.class_ids[row])
    if class_id != UNLABELLED:
        features[tfexample.CLASS_LABEL] = [class_id + 1]
        features[tfexample.CLASS_TEXT] = [table.classes.names[class_id].encode("utf-8")]
    if table.objects is not None:
        features.update(_objects(table.objects, table.objects.of(row), (height, width), table.classes.names))
    return example.serialise(features)


def _objects(objects: Objects, rows: slice, size: tuple[int, int], names: Sequence[str]) -> dict[str, Value]:
    shares = objects.boxes[rows] / (size[1], size[0], size[1], size[0])
    ids = objects.class_ids[rows].tolist()
    flags = objects.flags[rows]
    features: dict[str, Value] = {side: shares[:, i].tolist() for i, side in enumerate(tfexample.SIDES)}
    features[tfexample.LABEL] = [class_id + 1 for class_id in ids]
    features[tfexample.TEXT] = [names[class_id].encode("utf-8") for class_id in ids]
    features.update({name: ((flags & bit) > 0).astype(int).tolist() for name, bit in tfexample.FLAGS.items()})
    if objects.masked[rows].any():
        features[tfexample.MASK] = [_mask(objects.masks[i], size) for i in range(rows.start, rows.stop)]
    return features


def _mask(text: str, size: tuple[int, int]) -> bytes:
    """Return the PNG of a mask: 1 where the object is; 0 all over for an object that has none."""
    pixels = masks.decode(text, *size) if text else np.zeros(size, np.bool_)
    return maskpng.write(np.ascontiguousarray(pixels, np.uint8))


def _photo(data: bytes) -> bytes:
    if images.kind(data) in _PLAIN and images.orientation(data) == 1:
        return data
    return images.encode_png(images.decode(data))
