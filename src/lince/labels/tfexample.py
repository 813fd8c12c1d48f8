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

from lince import images, masks
from lince.annotations import CROWD, DIFFICULT, GROUP, OCCLUDED, TRUNCATED
from lince.errors import DataError, ImageError
from lince.labels import example, maskpng, scan
from lince.labels.example import Value
from lince.labels.photos import tidy
from lince.messages import _

PHOTO, FORMAT, FILENAME, SOURCE = "image/encoded", "image/format", "image/filename", "image/source_id"
HEIGHT, WIDTH, SHA256 = "image/height", "image/width", "image/key/sha256"
CLASS_LABEL, CLASS_TEXT = "image/class/label", "image/class/text"
OBJECT = "image/object/"
SIDES = tuple(f"{OBJECT}bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
LABEL, TEXT, MASK = f"{OBJECT}class/label", f"{OBJECT}class/text", f"{OBJECT}mask"
FLAGS = {
    f"{OBJECT}difficult": DIFFICULT,
    f"{OBJECT}truncated": TRUNCATED,
    f"{OBJECT}is_crowd": CROWD,
    f"{OBJECT}group_of": GROUP,
    f"{OBJECT}occluded": OCCLUDED,
}
_ENDINGS = {"jpeg": ".jpg", "tiff": ".tif"}
_NAME_AT_MOST = 200  # bytes; file systems end at 255
_KINDS = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
_SIDE_AT_MOST = 1_000_000  # pixels
T = TypeVar("T", bytes, float, int)
_FINEST = 6  # decimals of a pixel: beyond, 32 bits tell nothing


@dataclass(frozen=True)
class Drawn:
    """One object: its class by number or by text, its box in pixels, its flags, and its mask where it has one."""

    label: int | None
    text: str
    box: tuple[float, float, float, float]
    flags: int
    mask: bytes | NDArray[np.float64] = b""


@dataclass(frozen=True)
class Said:
    """All that a record says: the ``photo``'s file, its ``name`` (may be empty), ``size`` (height, width), its class.

    ``objects`` is ``None`` where the record says nothing of objects, not even that there are none.
    """

    photo: bytes
    name: str
    size: tuple[int, int]
    label: int | None
    text: str
    objects: list[Drawn] | None


def read(data: bytes) -> Said:
    """Return what the record ``data`` says; raise ``ImageError`` for its picture, ``DataError`` for all else."""
    found = example.parse(data)
    photo = _bytes(found, PHOTO) or _bytes(found, "image")
    if not photo:
        raise ImageError(_("the record holds no picture"))
    true = images.size(photo)
    stated = (_whole(found, HEIGHT) or 0, _whole(found, WIDTH) or 0)
    if not all(0 < side <= _SIDE_AT_MOST for side in true):
        raise ImageError(_("the picture has {height} x {width} pixels").format(height=true[0], width=true[1]))
    # Sides the other way round tell that the boxes were drawn on the photo as the camera held it: not ours to mend.
    size = stated if stated == true[::-1] else true
    label, text = _class(found)
    marked = any(name.startswith(OBJECT) for name in found)
    return Said(photo, _name(found, photo), size, label, text, list(_objects(found, size)) if marked else None)


def mask_of(drawn: Drawn, size: tuple[int, int]) -> str:
    """Return the run lengths of the mask of ``drawn``, empty for none; raise ``DataError`` when it does not fit."""
    if not len(drawn.mask):
        return ""
    pixels = maskpng.read(drawn.mask).values if isinstance(drawn.mask, bytes) else drawn.mask.reshape(size)
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    if pixels.shape != size:
        raise DataError(
            _("a mask of {width} x {height} pixels for an image of {image_width} x {image_height}").format(
                width=pixels.shape[1], height=pixels.shape[0], image_width=size[1], image_height=size[0]
            )
        )
    return masks.encode(pixels) if pixels.any() else ""


def _objects(found: dict[str, Value], size: tuple[int, int]) -> Iterator[Drawn]:
    sides = [_column(found, name, float) for name in SIDES]
    count = len(sides[0])
    labels, texts = _column(found, LABEL, int), _column(found, TEXT, bytes)
    flags = {bit: column for name, bit in FLAGS.items() if (column := _column(found, name, int))}
    shapes = _masks(found, count, size)
    lengths = {len(side) for side in sides} | {len(column) for column in (labels, texts, shapes, *flags.values())} - {0}
    if lengths - {count}:
        raise DataError(_("its lists of objects differ in length: {found}").format(found=sorted({count} | lengths)))
    boxes = _pixels(np.array(sides, np.float32).T, np.array([size[1], size[0], size[1], size[0]], np.float64))
    for i, box in enumerate(boxes.tolist()):
        yield Drawn(
            labels[i] if labels else None,
            _text(texts[i]) if texts else "",
            tuple(box),
            sum(bit for bit, column in flags.items() if column[i]),
            shapes[i] if shapes else b"",
        )


def _pixels(stored: NDArray[np.float32], sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares (N, 4) of ``sides`` (4,) in pixels: each the shortest decimal that has this share in 32 bits."""
    with np.errstate(over="ignore", invalid="ignore"):
        exact = stored.astype(np.float64) * sides
        pixels, missing = exact.copy(), np.ones(exact.shape, np.bool_)
        for digits in range(_FINEST + 1):
            shorter = exact.round(digits)
            fits = missing & ((shorter / sides).astype(np.float32) == stored)
            pixels[fits] = shorter[fits]
            missing &= ~fits
            if not missing.any():
                break
    return pixels


def _masks(found: dict[str, Value], count: int, size: tuple[int, int]) -> list[bytes] | list[NDArray[np.float64]]:
    """Return the mask of each object: a PNG file, or the pixels as numbers in one long list, as the API also writes."""
    values = found.get(MASK, [])
    if not values or isinstance(values[0], bytes):
        return _column(found, MASK, bytes)
    if len(values) != count * size[0] * size[1]:
        raise DataError(_("its masks have {found} pixels for {count} objects").format(found=len(values), count=count))
    return list(np.array(values, np.float64).reshape(count, -1))


def _class(found: dict[str, Value]) -> tuple[int | None, str]:
    labels, texts = _column(found, CLASS_LABEL, int), _column(found, CLASS_TEXT, bytes)
    plain = found.get("label", [])
    if plain and not labels and not texts:
        labels, texts = [x for x in plain if isinstance(x, int)], [x for x in plain if isinstance(x, bytes)]
    if len(labels) > 1 or len(texts) > 1:
        raise DataError(_("it has {count} classes as a whole").format(count=max(len(labels), len(texts))))
    return labels[0] if labels else None, _text(texts[0]) if texts else ""


def _name(found: dict[str, Value], photo: bytes) -> str:
    """Return what the record calls its picture, as a path below the root that ends as images do; empty for none."""
    for key in (FILENAME, SOURCE):
        parts = [part for part in tidy(_text(_bytes(found, key))).split("/") if part not in ("", ".", "..")]
        name = "".join(letter for letter in "/".join(parts) if letter.isprintable())
        if name and max(len(part.encode()) for part in parts) <= _NAME_AT_MOST:
            return name if scan.looks_like_image(name) else name + ending(photo)
    return ""


def ending(photo: bytes) -> str:
    """Return the ending of a file name for the picture ``photo``."""
    kind = images.kind(photo) or ""
    return _ENDINGS.get(kind, f".{kind}")


def _column(found: dict[str, Value], name: str, kind: type[T]) -> list[T]:
    """Return the list ``name``, empty where there is none; raise ``DataError`` when it holds something else."""
    values = [value for value in found.get(name, []) if isinstance(value, kind)]
    if len(values) != len(found.get(name, [])):
        raise DataError(_("{name} is no {kind}").format(name=name, kind=_KINDS[kind]))
    return values


def _whole(found: dict[str, Value], name: str) -> int | None:
    values = _column(found, name, int)
    return values[0] if len(values) == 1 else None


def _bytes(found: dict[str, Value], name: str) -> bytes:
    values = found.get(name, [])
    return values[0] if len(values) == 1 and isinstance(values[0], bytes) else b""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
