"""Parses the features of one record: the image, its class, and its objects.

Names and meaning of the features are those of ``tf_example_decoder`` in the TF Object Detection
API. Records for image classification follow TF-Slim (``image/class/label``) or have the plain keys
``image`` and ``label``.
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
_MAX_NAME_BYTES = 200  # per part of a path; file systems allow 255
_MAX_SIDE = 1_000_000  # pixels
T = TypeVar("T", bytes, float, int)
_MAX_DECIMALS = 6  # decimals of a pixel; float32 fractions hold no more


@dataclass(frozen=True)
class ParsedObject:
    """One object of a record.

    ``label`` is its class number, ``text`` its class name; either may be missing (``None``, '').
    ``box`` is (left, top, right, bottom) in pixels. ``mask`` is a PNG file, float64 pixels (H *
    W,), or empty.
    """

    label: int | None
    text: str
    box: tuple[float, float, float, float]
    flags: int
    mask: bytes | NDArray[np.float64] = b""


@dataclass(frozen=True)
class ParsedExample:
    """The content of a record.

    ``image`` is the encoded image file; ``name`` its path, '' when it has none; ``size`` (height,
    width) in pixels; ``label`` and ``text`` the class of the image as in ``ParsedObject``.
    ``objects`` is ``None`` where the record has no features about objects, and empty where it has
    such features but no object.
    """

    image: bytes
    name: str
    size: tuple[int, int]
    label: int | None
    text: str
    objects: list[ParsedObject] | None


def parse_example(data: bytes) -> ParsedExample:
    """Return the content of the serialised record ``data``.

    Raise ``ImageError`` when the image is missing or cannot be read, ``DataError`` for everything
    else.
    """
    features = example_proto.parse_example(data)
    image = _single_bytes(features, IMAGE_ENCODED) or _single_bytes(features, "image")
    if not image:
        raise ImageError(_("the record contains no image"))
    actual_size = images.read_size(image)
    stated_size = (_single_int(features, HEIGHT) or 0, _single_int(features, WIDTH) or 0)
    if not all(0 < side <= _MAX_SIDE for side in actual_size):
        raise ImageError(
            _("the image has {height} x {width} pixels").format(height=actual_size[0], width=actual_size[1])
        )
    # Swapped sides mean that the boxes were drawn on the image before its Exif rotation; that is kept as it is.
    size = stated_size if stated_size == actual_size[::-1] else actual_size
    label, text = _parse_class(features)
    has_objects = any(name.startswith(OBJECT_PREFIX) for name in features)
    return ParsedExample(
        image,
        _parse_name(features, image),
        size,
        label,
        text,
        list(_parse_objects(features, size)) if has_objects else None,
    )


def decode_object_mask(parsed_object: ParsedObject, size: tuple[int, int]) -> str:
    """Return the run-length string of an object's mask on an image of ``size`` (height, width), '' when there is none.

    Raise ``DataError`` when the mask has another size.
    """
    if not len(parsed_object.mask):
        return ""
    pixels = (
        png.decode_mask_png(parsed_object.mask).values
        if isinstance(parsed_object.mask, bytes)
        else parsed_object.mask.reshape(size)
    )
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    if pixels.shape != size:
        raise DataError(
            _("a mask of {width} x {height} pixels for an image of {image_width} x {image_height}").format(
                width=pixels.shape[1], height=pixels.shape[0], image_width=size[1], image_height=size[0]
            )
        )
    return rle.encode(pixels) if pixels.any() else ""


def _parse_objects(features: dict[str, FeatureValues], size: tuple[int, int]) -> Iterator[ParsedObject]:
    """Yield the objects of a record.

    Raise ``DataError`` when the lists of the features differ in length; optional features may be
    missing.
    """
    sides = [_typed_column(features, name, float) for name in BOX_SIDES]
    count = len(sides[0])
    labels, texts = _typed_column(features, OBJECT_LABEL, int), _typed_column(features, OBJECT_TEXT, bytes)
    flags = {bit: column for name, bit in OBJECT_FLAGS.items() if (column := _typed_column(features, name, int))}
    masks = _parse_masks(features, count, size)
    lengths = {len(side) for side in sides} | {len(column) for column in (labels, texts, masks, *flags.values())} - {0}
    if lengths - {count}:
        raise DataError(_("its lists of objects differ in length: {found}").format(found=sorted({count} | lengths)))
    boxes = _to_pixels(np.array(sides, np.float32).T, np.array([size[1], size[0], size[1], size[0]], np.float64))
    for i, box in enumerate(boxes.tolist()):
        yield ParsedObject(
            labels[i] if labels else None,
            _decode_text(texts[i]) if texts else "",
            tuple(box),
            sum(bit for bit, column in flags.items() if column[i]),
            masks[i] if masks else b"",
        )


def _to_pixels(fractions: NDArray[np.float32], sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``fractions`` float32 (N, 4) of the ``sides`` (4,) in pixels, float64 (N, 4).

    Multiplying gives values such as 99.99999. Each is rounded to the fewest decimals for which
    division by the side gives the same float32, so that boxes in whole pixels are read as such.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        exact = fractions.astype(np.float64) * sides
        pixels, missing = exact.copy(), np.ones(exact.shape, np.bool_)
        for digits in range(_MAX_DECIMALS + 1):
            rounded = exact.round(digits)
            is_exact = missing & ((rounded / sides).astype(np.float32) == fractions)
            pixels[is_exact] = rounded[is_exact]
            missing &= ~is_exact
            if not missing.any():
                break
    return pixels


def _parse_masks(
    features: dict[str, FeatureValues], count: int, size: tuple[int, int]
) -> list[bytes] | list[NDArray[np.float64]]:
    """Return the mask of each object: a PNG file, or pixels from the single list that the API writes too."""
    values = features.get(OBJECT_MASK, [])
    if not values or isinstance(values[0], bytes):
        return _typed_column(features, OBJECT_MASK, bytes)
    if len(values) != count * size[0] * size[1]:
        raise DataError(_("its masks have {found} pixels for {count} objects").format(found=len(values), count=count))
    return list(np.array(values, np.float64).reshape(count, -1))


def _parse_class(features: dict[str, FeatureValues]) -> tuple[int | None, str]:
    """Return number and name of the class of the image; raise ``DataError`` for several."""
    labels, texts = _typed_column(features, CLASS_LABEL, int), _typed_column(features, CLASS_TEXT, bytes)
    plain_labels = features.get("label", [])
    if plain_labels and not labels and not texts:
        labels, texts = (
            [x for x in plain_labels if isinstance(x, int)],
            [x for x in plain_labels if isinstance(x, bytes)],
        )
    if len(labels) > 1 or len(texts) > 1:
        raise DataError(_("it has {count} image-level classes").format(count=max(len(labels), len(texts))))
    return labels[0] if labels else None, _decode_text(texts[0]) if texts else ""


def _parse_name(features: dict[str, FeatureValues], image: bytes) -> str:
    """Return the image's file name or source id as a relative path with an image suffix, '' when there is none.

    Parts that lead out of the root and control characters are removed; overlong names are not
    used.
    """
    for key in (FILENAME, SOURCE_ID):
        parts = [
            part
            for part in normalise_path(_decode_text(_single_bytes(features, key))).split("/")
            if part not in ("", ".", "..")
        ]
        name = "".join(letter for letter in "/".join(parts) if letter.isprintable())
        if name and max(len(part.encode()) for part in parts) <= _MAX_NAME_BYTES:
            return name if scan.looks_like_image(name) else name + choose_image_suffix(image)
    return ""


def choose_image_suffix(image: bytes) -> str:
    """Return the suffix of a file name for the encoded ``image``."""
    image_format = images.detect_format(image) or ""
    return _SUFFIXES.get(image_format, f".{image_format}")


def _typed_column(features: dict[str, FeatureValues], name: str, value_type: type[T]) -> list[T]:
    """Return the values of the feature ``name``, empty when it is missing.

    Raise ``DataError`` when they are of another type.
    """
    values = [value for value in features.get(name, []) if isinstance(value, value_type)]
    if len(values) != len(features.get(name, [])):
        raise DataError(_("{name} is not {kind}").format(name=name, kind=example_proto.LIST_FIELDS[value_type]))
    return values


def _single_int(features: dict[str, FeatureValues], name: str) -> int | None:
    """Return the integer of a feature with one value, ``None`` for another number of values."""
    values = _typed_column(features, name, int)
    return values[0] if len(values) == 1 else None


def _single_bytes(features: dict[str, FeatureValues], name: str) -> bytes:
    """Return the bytes of a feature with one value, empty for anything else."""
    values = features.get(name, [])
    return values[0] if len(values) == 1 and isinstance(values[0], bytes) else b""


def _decode_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
