"""Writing TFRecord files that the TF Object Detection API reads: a set for each split, and ``label_map.pbtxt``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import images, rle
from lince.annotations import UNLABELLED, ObjectTable
from lince.fileio import write_text
from lince.formats.format import WriteRequest
from lince.formats.masks import png
from lince.formats.tfrecord import example, example_proto, label_map
from lince.formats.tfrecord.example_proto import FeatureValues
from lince.formats.tfrecord.shards import encode_record
from lince.splits import SPLITS

LABEL_MAP_FILE = "label_map.pbtxt"
MAX_IMAGES_PER_FILE = 1000  # of one file
MAX_FILE_BYTES = 100_000_000  # of one file, as TensorFlow advises: 100 MB or more
_UNASSIGNED_WORD = "data"
_NATIVE_FORMATS = ("jpeg", "png")  # the kinds that TensorFlow decodes to one picture each


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``export`` as ``train.record``, or ``train.record-00000-of-00003`` and so on, with its label map.

    Class ids are those of the label map, from 1 on. TensorFlow turns no photo upright by its Exif note and decodes
    JPEG and PNG alone, so all others are stored as upright PNG. Boxes are stored as 32-bit shares of the image: to
    6e-8 of its sides.
    """
    write_text(folder / LABEL_MAP_FILE, label_map.format_label_map(export.table.classes.names))
    words = {split: word for word, split in SPLITS.items()}
    for split in sorted(set(export.table.splits.tolist())):
        rows = np.flatnonzero(export.table.splits == split)
        _write_split(export, rows, folder, words.get(split, _UNASSIGNED_WORD))


def _write_split(export: WriteRequest, rows: NDArray[np.int64], folder: Path, word: str) -> None:
    """Write the images at ``rows`` to as many files as they take; how many is known, and in their names, at the end."""
    records = (encode_record(_encode_example(export, row)) for row in rows.tolist())
    parts: list[Path] = []
    first = next(records, None)
    while first is not None:
        parts.append(folder / f"{word}.record-{len(parts):05d}")
        first = _fill_file(parts[-1], first, records)
    for number, part in enumerate(parts):
        count = f"-{number:05d}-of-{len(parts):05d}" if len(parts) > 1 else ""
        os.replace(part, folder / f"{word}.record{count}")


def _fill_file(path: Path, first: bytes, records: Iterator[bytes]) -> bytes | None:
    """Write ``first`` and more of ``records`` until the file is full; return the one that no longer fitted."""
    size = count = 0
    following: bytes | None = first
    with open(path, "wb") as stream:
        while (
            following is not None
            and count < MAX_IMAGES_PER_FILE
            and (not count or size + len(following) < MAX_FILE_BYTES)
        ):
            size, count = size + stream.write(following), count + 1
            following = next(records, None)
    return following


def _encode_example(export: WriteRequest, row: int) -> bytes:
    photo = _to_native_image(export.read_image(row))
    height, width = export.image_sizes[row].tolist()
    name = export.image_paths[row].encode("utf-8")
    features: dict[str, FeatureValues] = {
        example.IMAGE_ENCODED: [photo],
        example.IMAGE_FORMAT: [(images.detect_format(photo) or "").encode()],
        example.FILENAME: [name],
        example.SOURCE_ID: [name],
        example.SHA256: [hashlib.sha256(photo).hexdigest().encode()],
        example.HEIGHT: [height],
        example.WIDTH: [width],
    }
    table = export.table
    class_id = int(table.class_ids[row])
    if class_id != UNLABELLED:
        features[example.CLASS_LABEL] = [class_id + 1]
        features[example.CLASS_TEXT] = [table.classes.names[class_id].encode("utf-8")]
    if table.objects is not None:
        features.update(
            _object_features(table.objects, table.objects.slice_of_image(row), (height, width), table.classes.names)
        )
    return example_proto.serialise_example(features)


def _object_features(
    objects: ObjectTable, rows: slice, size: tuple[int, int], names: Sequence[str]
) -> dict[str, FeatureValues]:
    shares = objects.boxes[rows] / (size[1], size[0], size[1], size[0])
    ids = objects.class_ids[rows].tolist()
    flags = objects.flags[rows]
    features: dict[str, FeatureValues] = {side: shares[:, i].tolist() for i, side in enumerate(example.BOX_SIDES)}
    features[example.OBJECT_LABEL] = [class_id + 1 for class_id in ids]
    features[example.OBJECT_TEXT] = [names[class_id].encode("utf-8") for class_id in ids]
    features.update({name: ((flags & bit) > 0).astype(int).tolist() for name, bit in example.OBJECT_FLAGS.items()})
    if objects.has_mask[rows].any():
        features[example.OBJECT_MASK] = [_encode_mask(objects.masks[i], size) for i in range(rows.start, rows.stop)]
    return features


def _encode_mask(text: str, size: tuple[int, int]) -> bytes:
    """Return the PNG of a mask: 1 where the object is; 0 all over for an object that has none."""
    pixels = rle.decode(text, *size) if text else np.zeros(size, np.bool_)
    return png.encode_mask_png(np.ascontiguousarray(pixels, np.uint8))


def _to_native_image(data: bytes) -> bytes:
    if images.detect_format(data) in _NATIVE_FORMATS and images.read_orientation(data) == 1:
        return data
    return images.encode_png(images.decode_image(data))
