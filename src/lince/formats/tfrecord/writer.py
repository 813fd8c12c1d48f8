"""Writes TFRecord files for the TF Object Detection API: one set per split, and ``label_map.pbtxt``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince import images, rle
from lince.annotations import UNLABELLED, ObjectTable
from lince.fileio import replace_file, write_text
from lince.formats.format import WriteRequest
from lince.formats.masks import png
from lince.formats.tfrecord import example, example_proto, label_map
from lince.formats.tfrecord.example_proto import FeatureValues
from lince.formats.tfrecord.shards import encode_record
from lince.splits import SPLITS

LABEL_MAP_FILE = "label_map.pbtxt"
MAX_IMAGES_PER_FILE = 1000
MAX_FILE_BYTES = 100_000_000  # TensorFlow recommends files of 100 MB or more
_UNASSIGNED_WORD = "data"
_NATIVE_FORMATS = ("jpeg", "png")  # formats that TensorFlow decodes to a single image


def write(export: WriteRequest, folder: Path) -> None:
    """Write ``train.record``, or ``train.record-00000-of-00003`` and so on, for each split, and the label map.

    Class numbers are those of the label map, from 1 on. TensorFlow ignores Exif orientation and
    decodes only JPEG and PNG to a single image, so other images, and those that need rotation, are
    stored as upright PNG. Boxes are stored as float32 fractions of the image, with an error of up
    to 6e-8 of its sides.
    """
    write_text(folder / LABEL_MAP_FILE, label_map.format_label_map(export.table.classes.names))
    split_names = {split: name for name, split in SPLITS.items()}
    for split in sorted(set(export.table.splits.tolist())):
        rows = np.flatnonzero(export.table.splits == split)
        _write_split(export, rows, folder, split_names.get(split, _UNASSIGNED_WORD))


def _write_split(export: WriteRequest, rows: NDArray[np.int64], folder: Path, split_name: str) -> None:
    """Write the images at ``rows`` to as many files as needed.

    The number of files is part of their names, and known only at the end: then they are renamed.
    """
    records = (encode_record(_encode_example(export, row)) for row in rows.tolist())
    files: list[Path] = []
    first = next(records, None)
    while first is not None:
        files.append(folder / f"{split_name}.record-{len(files):05d}")
        first = _fill_file(files[-1], first, records)
    for number, file in enumerate(files):
        suffix = f"-{number:05d}-of-{len(files):05d}" if len(files) > 1 else ""
        replace_file(file, folder / f"{split_name}.record{suffix}")


def _fill_file(path: Path, first: bytes, records: Iterator[bytes]) -> bytes | None:
    """Write ``first`` and more of ``records`` until the file is full.

    Return the record that did not fit, ``None`` when there are no more.
    """
    size = count = 0
    next_record: bytes | None = first
    with open(path, "wb") as stream:
        while (
            next_record is not None
            and count < MAX_IMAGES_PER_FILE
            and (not count or size + len(next_record) < MAX_FILE_BYTES)
        ):
            size, count = size + stream.write(next_record), count + 1
            next_record = next(records, None)
    return next_record


def _encode_example(export: WriteRequest, row: int) -> bytes:
    """Return the serialised Example of the image at ``row``."""
    image = _to_native_image(export.read_image(row))
    height, width = export.image_sizes[row].tolist()
    name = export.image_paths[row].encode("utf-8")
    features: dict[str, FeatureValues] = {
        example.IMAGE_ENCODED: [image],
        example.IMAGE_FORMAT: [(images.detect_format(image) or "").encode()],
        example.FILENAME: [name],
        example.SOURCE_ID: [name],
        example.SHA256: [hashlib.sha256(image).hexdigest().encode()],
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
    """Return the features of the objects at ``rows``, on an image of ``size`` (height, width)."""
    fractions = objects.boxes[rows] / (size[1], size[0], size[1], size[0])
    ids = objects.class_ids[rows].tolist()
    flags = objects.flags[rows]
    features: dict[str, FeatureValues] = {side: fractions[:, i].tolist() for i, side in enumerate(example.BOX_SIDES)}
    features[example.OBJECT_LABEL] = [class_id + 1 for class_id in ids]
    features[example.OBJECT_TEXT] = [names[class_id].encode("utf-8") for class_id in ids]
    features.update({name: ((flags & bit) > 0).astype(int).tolist() for name, bit in example.OBJECT_FLAGS.items()})
    if objects.has_mask[rows].any():
        features[example.OBJECT_MASK] = [_encode_mask(objects.masks[i], size) for i in range(rows.start, rows.stop)]
    return features


def _encode_mask(mask: str, size: tuple[int, int]) -> bytes:
    """Return the PNG of a mask: 1 on the object, 0 elsewhere; all 0 for an object without a mask."""
    pixels = rle.decode(mask, *size) if mask else np.zeros(size, np.bool_)
    return png.encode_mask_png(np.ascontiguousarray(pixels, np.uint8))


def _to_native_image(data: bytes) -> bytes:
    """Return the image unchanged if TensorFlow shows it as lince does, else as upright PNG."""
    if images.detect_format(data) in _NATIVE_FORMATS and images.read_orientation(data) == 1:
        return data
    return images.encode_png(images.decode_image(data))
