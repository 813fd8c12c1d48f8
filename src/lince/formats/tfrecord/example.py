"""What one record says of its picture: the features of the TF Object Detection API, read and checked.

Names and meaning of the features are those of the API's ``tf_example_decoder``; pictures with one class as a whole
follow TF-Slim (``image/class/label``) or are plain ``image`` and ``label``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lince import images, rle
from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.errors import DataError, ImageError
from lince.formats.image_lookup import normalise_path
from lince.formats.masks import png
from lince.formats.tfrecord import example_proto
from lince.formats.tfrecord.example_proto import FeatureValues
from lince.i18n import _
from lince.storage import scan

IMAGE_ENCODED, IMAGE_FORMAT, FILENAME, SOURCE_ID = "image/encoded", "image/format", "image/filename", "image/source_id"
HEIGHT, WIDTH, SHA256 = "image/height", "image/width", "image/key/sha256"
CLASS_LABEL, CLASS_TEXT = "image/class/label", "image/class/text"
OBJECT_PREFIX = "image/object/"
BOX_SIDES = tuple(f"{OBJECT_PREFIX}bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
OBJECT_LABEL, OBJECT_TEXT, OBJECT_MASK = (
    f"{OBJECT_PREFIX}class/label",
    f"{OBJECT_PREFIX}class/text",
    f"{OBJECT_PREFIX}mask",
)
OBJECT_FLAGS = {
    f"{OBJECT_PREFIX}difficult": DIFFICULT,
    f"{OBJECT_PREFIX}truncated": TRUNCATED,
    f"{OBJECT_PREFIX}is_crowd": CROWD,
    f"{OBJECT_PREFIX}group_of": GROUP,
    f"{OBJECT_PREFIX}occluded": OCCLUDED,
}
_SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif"}
_MAX_NAME_BYTES = 200  # bytes; file systems end at 255
_LIST_KINDS = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
_MAX_SIDE = 1_000_000  # pixels
T = TypeVar("T", bytes, float, int)
_MAX_DECIMALS = 6  # decimals of a pixel: beyond, 32 bits tell nothing


@dataclass(frozen=True)
class ParsedObject:
    """One object: its class by number or by text, its box in pixels, its flags, and its mask where it has one."""

    label: int | None
    text: str
    box: tuple[float, float, float, float]
    flags: int
    mask: bytes | NDArray[np.float64] = b""


@dataclass(frozen=True)
class ParsedExample:
    """All that a record says: the ``photo``'s file, its ``name`` (may be empty), ``size`` (height, width), its class.

    ``objects`` is ``None`` where the record says nothing of objects, not even that there are none.
    """

    image: bytes
    name: str
    size: tuple[int, int]
    label: int | None
    text: str
    objects: list[ParsedObject] | None


def parse_example(data: bytes) -> ParsedExample:
    """Return what the record ``data`` says; raise ``ImageError`` for its picture, ``DataError`` for all else."""
    found = example_proto.parse_example(data)
    photo = _single_bytes(found, IMAGE_ENCODED) or _single_bytes(found, "image")
    if not photo:
        raise ImageError(_("the record holds no picture"))
    true = images.read_size(photo)
    stated = (_single_int(found, HEIGHT) or 0, _single_int(found, WIDTH) or 0)
    if not all(0 < side <= _MAX_SIDE for side in true):
        raise ImageError(_("the picture has {height} x {width} pixels").format(height=true[0], width=true[1]))
    # Sides the other way round tell that the boxes were drawn on the photo as the camera held it: not ours to mend.
    size = stated if stated == true[::-1] else true
    label, text = _parse_class(found)
    marked = any(name.startswith(OBJECT_PREFIX) for name in found)
    return ParsedExample(
        photo, _parse_name(found, photo), size, label, text, list(_parse_objects(found, size)) if marked else None
    )


def decode_object_mask(drawn: ParsedObject, size: tuple[int, int]) -> str:
    """Return the run lengths of the mask of ``drawn``, empty for none; raise ``DataError`` when it does not fit."""
    if not len(drawn.mask):
        return ""
    pixels = png.decode_mask_png(drawn.mask).values if isinstance(drawn.mask, bytes) else drawn.mask.reshape(size)
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    if pixels.shape != size:
        raise DataError(
            _("a mask of {width} x {height} pixels for an image of {image_width} x {image_height}").format(
                width=pixels.shape[1], height=pixels.shape[0], image_width=size[1], image_height=size[0]
            )
        )
    return rle.encode(pixels) if pixels.any() else ""


def _parse_objects(found: dict[str, FeatureValues], size: tuple[int, int]) -> Iterator[ParsedObject]:
    sides = [_typed_column(found, name, float) for name in BOX_SIDES]
    count = len(sides[0])
    labels, texts = _typed_column(found, OBJECT_LABEL, int), _typed_column(found, OBJECT_TEXT, bytes)
    flags = {bit: column for name, bit in OBJECT_FLAGS.items() if (column := _typed_column(found, name, int))}
    shapes = _parse_masks(found, count, size)
    lengths = {len(side) for side in sides} | {len(column) for column in (labels, texts, shapes, *flags.values())} - {0}
    if lengths - {count}:
        raise DataError(_("its lists of objects differ in length: {found}").format(found=sorted({count} | lengths)))
    boxes = _to_pixels(np.array(sides, np.float32).T, np.array([size[1], size[0], size[1], size[0]], np.float64))
    for i, box in enumerate(boxes.tolist()):
        yield ParsedObject(
            labels[i] if labels else None,
            _decode_text(texts[i]) if texts else "",
            tuple(box),
            sum(bit for bit, column in flags.items() if column[i]),
            shapes[i] if shapes else b"",
        )


def _to_pixels(stored: NDArray[np.float32], sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares (N, 4) of ``sides`` (4,) in pixels: each the shortest decimal that has this share in 32 bits."""
    with np.errstate(over="ignore", invalid="ignore"):
        exact = stored.astype(np.float64) * sides
        pixels, missing = exact.copy(), np.ones(exact.shape, np.bool_)
        for digits in range(_MAX_DECIMALS + 1):
            shorter = exact.round(digits)
            fits = missing & ((shorter / sides).astype(np.float32) == stored)
            pixels[fits] = shorter[fits]
            missing &= ~fits
            if not missing.any():
                break
    return pixels


def _parse_masks(
    found: dict[str, FeatureValues], count: int, size: tuple[int, int]
) -> list[bytes] | list[NDArray[np.float64]]:
    """Return the mask of each object: a PNG file, or the pixels as numbers in one long list, as the API also writes."""
    values = found.get(OBJECT_MASK, [])
    if not values or isinstance(values[0], bytes):
        return _typed_column(found, OBJECT_MASK, bytes)
    if len(values) != count * size[0] * size[1]:
        raise DataError(_("its masks have {found} pixels for {count} objects").format(found=len(values), count=count))
    return list(np.array(values, np.float64).reshape(count, -1))


def _parse_class(found: dict[str, FeatureValues]) -> tuple[int | None, str]:
    labels, texts = _typed_column(found, CLASS_LABEL, int), _typed_column(found, CLASS_TEXT, bytes)
    plain = found.get("label", [])
    if plain and not labels and not texts:
        labels, texts = [x for x in plain if isinstance(x, int)], [x for x in plain if isinstance(x, bytes)]
    if len(labels) > 1 or len(texts) > 1:
        raise DataError(_("it has {count} classes as a whole").format(count=max(len(labels), len(texts))))
    return labels[0] if labels else None, _decode_text(texts[0]) if texts else ""


def _parse_name(found: dict[str, FeatureValues], photo: bytes) -> str:
    """Return what the record calls its picture, as a path below the root that ends as images do; empty for none."""
    for key in (FILENAME, SOURCE_ID):
        parts = [
            part
            for part in normalise_path(_decode_text(_single_bytes(found, key))).split("/")
            if part not in ("", ".", "..")
        ]
        name = "".join(letter for letter in "/".join(parts) if letter.isprintable())
        if name and max(len(part.encode()) for part in parts) <= _MAX_NAME_BYTES:
            return name if scan.looks_like_image(name) else name + choose_image_suffix(photo)
    return ""


def choose_image_suffix(photo: bytes) -> str:
    """Return the ending of a file name for the picture ``photo``."""
    kind = images.detect_format(photo) or ""
    return _SUFFIXES.get(kind, f".{kind}")


def _typed_column(found: dict[str, FeatureValues], name: str, kind: type[T]) -> list[T]:
    """Return the list ``name``, empty where there is none; raise ``DataError`` when it holds something else."""
    values = [value for value in found.get(name, []) if isinstance(value, kind)]
    if len(values) != len(found.get(name, [])):
        raise DataError(_("{name} is no {kind}").format(name=name, kind=_LIST_KINDS[kind]))
    return values


def _single_int(found: dict[str, FeatureValues], name: str) -> int | None:
    values = _typed_column(found, name, int)
    return values[0] if len(values) == 1 else None


def _single_bytes(found: dict[str, FeatureValues], name: str) -> bytes:
    values = found.get(name, [])
    return values[0] if len(values) == 1 and isinstance(values[0], bytes) else b""


def _decode_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
